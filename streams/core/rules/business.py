"""Business days of the United States: federal holidays by their rules, for clocks that count them."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

from streams.core.rules.days import parsed

FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
"""(month, day): kept on the Friday before a Saturday, on the Monday after a Sunday."""
NTH = ((1, 0, 3), (2, 0, 3), (9, 0, 1), (10, 0, 2), (11, 3, 4))
"""(month, weekday with Monday 0, which of the month)."""


@lru_cache(256)
def holidays(year: int) -> frozenset[date]:
    """The days that are kept, of this year's holidays."""
    fixed = {_kept(date(year, month, day)) for month, day in FIXED}
    moving = {_nth(year, month, weekday, which) for month, weekday, which in NTH}
    return frozenset(fixed | moving | {_last_monday(date(year, 5, 31))})


def _kept(day: date) -> date:
    return day + timedelta({5: -1, 6: 1}.get(day.weekday(), 0))


def _nth(year: int, month: int, weekday: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta((weekday - first.weekday()) % 7 + 7 * (which - 1))


def _last_monday(end: date) -> date:
    return end - timedelta(end.weekday())


def is_business_day(day: date) -> bool:
    """No weekend and no holiday; New Year's Day may be kept in the year before."""
    near = holidays(day.year) if day.month < 12 else holidays(day.year) | {_kept(date(day.year + 1, 1, 1))}
    return day.weekday() < 5 and day not in near


@lru_cache(16_384)
def business_days_later(value: str, days: int) -> str | None:
    """The so manieth business day after a date; the day after it is the first. None beyond the calendar."""
    day = parsed(value)
    if day is None or not date.min.year < day.year < date.max.year - 1:
        return None
    while days:
        day += timedelta(1)
        days -= is_business_day(day)
    return day.isoformat()
