"""Business days: the federal holidays of a year, and the vectors of the domain's clocks."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.due import RECEIVED
from streams.core.rules.business import business_days_later, holidays, is_business_day


def test_the_holidays_of_a_year_are_those_that_are_kept() -> None:
    assert sorted(day.isoformat()[5:] for day in holidays(2026)) == [
        "01-01", "01-19", "02-16", "05-25", "06-19", "07-03", "09-07", "10-12", "11-11", "11-26", "12-25",
    ]  # fmt: skip


def test_new_years_day_may_be_kept_in_the_year_before() -> None:
    assert not is_business_day(date(2027, 12, 31)), "1 January 2028 is a Saturday"


@pytest.mark.parametrize(
    ("start", "days", "end"),
    [
        ("2026-11-25", 2, "2026-11-30"),  # received on the Wednesday before Thanksgiving
        ("2026-12-21", 5, "2026-12-29"),
        ("2026-12-21", 2, "2026-12-23"),
        ("2026-11-27", 1, "2026-11-30"),
        ("9999-12-30", 2, None),
        ("soon", 2, None),
    ],
)
def test_the_day_after_receipt_is_the_first(start: str, days: int, end: str | None) -> None:
    assert business_days_later(start, days) == end


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(1, 10))
def test_it_ends_on_a_business_day_with_so_many_of_them_in_between(start: date, days: int) -> None:
    end = date.fromisoformat(business_days_later(start.isoformat(), days) or "")
    between = [date.fromordinal(n) for n in range(start.toordinal() + 1, end.toordinal() + 1)]
    assert is_business_day(end)
    assert sum(map(is_business_day, between)) == days


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_two_business_days_pass_within_the_days_that_are_looked_at_again(start: date) -> None:
    """due.RECEIVED: the day after the second business day is one of them."""
    end = date.fromisoformat(business_days_later(start.isoformat(), 2) or "")
    assert (end - start).days + 1 in RECEIVED
