"""The handoff map: declared flows are those that there are, and each is open or late by what is kept anyway."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import handoffs as declared
from schemas.authority import load_rules
from schemas.handoffs import Duration
from streams.core.parity import DIFFERING, EQUAL, HELD, IN_FLIGHT, WITHDRAWN
from streams.operate import handoffs
from streams.operate.handoffs import Standing, is_late, of_requests, of_views, summed
from streams.settings import Settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()  # a Monday; the 26th is a holiday
MINUTE = Duration("1m", 60)
TWO_DAYS = Duration("2b", 0, 2)
TEXT = """
version = 1
owner = "credentialing_manager"
reviewed_on = 2026-11-22
"""
ONE = """
[[handoff]]
from = "credentialing"
to = "directory"
carries = "view"
trigger = "a change"
confirmed_by = "a receipt"
objective = "1m"
transport = ["stream"]
"""
FLOW = ("credentialing", "directory", "view")


def codes(text: str, carried: dict[Any, list[str]]) -> list[tuple[str, str]]:
    return [(p.code, p.where) for p in declared.check(carried, text)]


def test_the_shipped_map_declares_every_flow_that_there_is_and_no_other() -> None:
    assert declared.check(handoffs.carried(load_rules())) == []


def test_a_field_that_enters_a_view_of_another_system_makes_a_flow() -> None:
    found = handoffs.carried(load_rules())
    assert "provider.npi" in found["credentialing", "enrollment", "view"]
    assert found["enrollment", "credentialing", "request"] == [
        "license.expires",
        "license.number_raw",
        "license.state",
    ]
    assert ("enrollment", "directory", "view") not in found


def test_an_undeclared_flow_is_refused_with_what_makes_it_and_the_lines_to_add() -> None:
    [problem] = declared.check({FLOW: ["provider.npi"]}, TEXT + "handoff = []")
    assert problem.code == "handoff.undeclared"
    assert "provider.npi" in problem.what
    assert 'from = "credentialing", to = "directory", carries = "view"' in problem.fix


def test_a_declared_flow_that_nothing_carries_is_refused_on_its_line() -> None:
    assert codes(TEXT + ONE, {}) == [("handoff.not_carried", "handoffs.toml:7")]
    assert codes(TEXT + ONE, {FLOW: ["x"]}) == []


def test_two_of_one_flow_and_a_manual_one_without_its_person_are_refused() -> None:
    outside = ONE.replace('"view"', '"outside"')
    found = codes(TEXT + ONE + ONE + outside, {FLOW: ["x"]})
    assert found == [("handoff.twice", "handoffs.toml:16"), ("handoff.person", "handoffs.toml:25")]
    itself = codes(TEXT + ONE.replace('"directory"', '"credentialing"'), {})
    assert [code for code, _ in itself] == ["handoff.self", "handoff.not_carried"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ('to = "director"', "handoff.name_unknown"),
        ('to = "directory"\nhurry = 1', "handoff.key_unknown"),
        ('to = "directory"\nobjective_batch = "soon"', "handoff.type_wrong"),
    ],
)
def test_what_the_form_does_not_know_is_refused(said: str, code: str) -> None:
    assert codes(TEXT + ONE.replace('to = "directory"', said), {FLOW: ["x"]})[0][0] == code


def part(states: dict[str, int], longest: dict[str, list[float]]) -> dict[str, Any]:
    """What a worker tells of a partition; `longest`: state -> ages in seconds."""
    named = {s: [[int((NOW - age) * 1e6), "provider/p"] for age in ages] for s, ages in longest.items()}
    return {"systems": {"directory": states}, "fields": {}, "longest": {"directory": named}}


def test_views_are_open_until_confirmed_late_by_age_and_wait_for_a_person_where_a_finding_holds_them() -> (
    None
):
    parts = [
        part({EQUAL: 9, IN_FLIGHT: 2, HELD: 3, WITHDRAWN: 4}, {IN_FLIGHT: [10.0, 90.0]}),
        part({DIFFERING: 1}, {DIFFERING: [3_600.0]}),
    ]
    found = of_views("directory", parts, MINUTE, NOW)
    assert (found.open, found.late, found.oldest_seconds, found.person) == (6, 2, 3_600.0, 4)
    assert not found.late_at_least


def test_where_only_the_oldest_are_named_there_may_be_more_that_are_late() -> None:
    parts = [part({IN_FLIGHT: 900}, {IN_FLIGHT: [600.0, 500.0, 400.0, 300.0, 200.0]})]
    found = of_views("directory", parts, MINUTE, NOW)
    assert (found.open, found.late, found.late_at_least) == (900, 5, True)


def test_requests_wait_for_a_person_until_they_are_signed_and_are_late_by_business_days() -> None:
    rows = [
        {"system": "directory", "state": "awaiting_approval_1", "count": 2, "oldest": NOW - 5 * 86_400},
        {"system": "directory", "state": "approved", "count": 1, "oldest": NOW - 60},
        {"system": "billing", "state": "approved", "count": 7, "oldest": NOW},
    ]
    found = of_requests("directory", rows, TWO_DAYS, NOW)
    assert (found.open, found.late, found.person, found.oldest_seconds) == (3, 2, 2, 432_000.0)


@pytest.mark.parametrize(
    ("begun", "late"),
    [("2026-11-18", True), ("2026-11-19", False), ("2026-11-20", False), ("2026-11-23", False)],
)
def test_a_weekend_is_no_business_day(begun: str, late: bool) -> None:
    moment = datetime.fromisoformat(f"{begun}T23:00:00+00:00").timestamp()
    assert is_late(moment, TWO_DAYS, NOW) is late


@given(st.floats(0, 1e7), st.floats(0, 1e7), st.sampled_from([MINUTE, TWO_DAYS]))
def test_what_was_begun_earlier_is_never_less_late(one: float, other: float, limit: Duration) -> None:
    earlier, later = sorted((NOW - one, NOW - other))
    assert is_late(earlier, limit, NOW) >= is_late(later, limit, NOW)


def test_what_is_shared_counts_once_and_what_is_unknown_is_named() -> None:
    one = Standing("a", "directory", "view", "stream", "1m", "", "", False, "", "", 5, 1, False, 9.0, 2, True)
    found = summed(
        [
            one,
            replace(one, source="b"),
            replace(one, to="payer", shared=False, open=None, late=None, why="nobody"),
        ]
    )
    assert (found.open, found.late, found.unknown) == (5, 1, ["a -> payer: nobody"])


def test_without_workers_and_stewards_every_handoff_is_unknown_and_none_is_zero() -> None:
    nowhere = Settings(kafka="127.0.0.1:1", steward="postgresql://nobody@127.0.0.1:1/x")
    views, why = handoffs._views(nowhere)
    asked, why_asked = handoffs._requests(nowhere)
    assert (views, asked) == ([], [])
    assert why
    assert why_asked
