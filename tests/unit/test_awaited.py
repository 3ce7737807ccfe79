"""What was sent and isn't confirmed: told when the next business day has passed, and never of what was confirmed."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.core import awaited
from streams.core import entity as core_entity
from streams.core.advance import decide
from streams.core.entity import NIL, Awaited, Confirmed, Entity, Refusal, Sent
from streams.core.rules.business import business_days_later
from tests.world import WORLD, provider

MONDAY = date(2026, 6, 1)
SENT, CONFIRMED, DAY = "sent", "confirmed", "a day passes"
steps = st.lists(st.sampled_from([SENT, CONFIRMED, DAY]) | st.integers(1, 9), max_size=40)
"""a number: that revision is confirmed, if it was sent"""


def late(entity: Entity, day: date) -> list[str]:
    return [system for system, _ in awaited.overdue(entity, ["directory"], day.isoformat())]


class Played:
    """A system that is sent views and confirms some of them, beside the day of each."""

    def __init__(self) -> None:
        self.entity, self.today = Entity("provider", "p"), MONDAY
        self.sent: dict[int, date] = {}
        self.held = 0
        self.told: date | None = None
        """when it last confirmed something"""

    def play(self, step: str | int) -> None:
        if step == DAY:
            self.today += timedelta(1)
        elif step == SENT:
            self.sent[len(self.sent) + 1] = self.today
            self.entity.sent["directory"] = Sent(len(self.sent), NIL)
        elif self.sent:
            self._confirm(step if isinstance(step, int) else len(self.sent))
        awaited.note(self.entity, ["directory"], self.today.isoformat())

    def _confirm(self, revision: int) -> None:
        if self.held < revision <= len(self.sent):
            self.held, self.told = revision, self.today
            self.entity.confirmed["directory"] = Confirmed(revision, (0, 0, 0), 0, 0)

    def owed_since(self) -> date | None:
        """The day on which the oldest view was sent that it may not hold yet."""
        return next((day for revision, day in sorted(self.sent.items()) if revision > self.held), None)


def by(day: date) -> date:
    return date.fromisoformat(business_days_later(day.isoformat(), 1) or "")


@given(steps)
def test_who_is_told_owes_a_confirmation_since_before_and_who_answers_nothing_is_told(
    played: list[str | int],
) -> None:
    """Counted afresh from each confirmation: no false alarm, and of who says nothing at all none too few."""
    system = Played()
    for step in played:
        system.play(step)
        since, told = system.owed_since(), late(system.entity, system.today)
        assert not told or (since is not None and by(since) < system.today)
        silent = since is not None and (system.told is None or system.told < since)
        if silent and since is not None and by(since) < system.today:
            assert told


@given(steps)
def test_a_replay_says_nothing_new_and_the_day_it_names_is_the_first_that_tells(
    played: list[str | int],
) -> None:
    """What a tick rests on: before the named day nothing changes, on it something does (invariant 3)."""
    system = Played()
    for step in played:
        system.play(step)
        entity, today = system.entity, system.today.isoformat()
        before, named = dict(entity.awaited), awaited.due(entity, today)
        awaited.note(entity, ["directory"], today)
        assert entity.awaited == before
        if named:
            day = date.fromisoformat(named)
            assert day > system.today
            assert (late(entity, day - timedelta(1)), late(entity, day)) == ([], ["directory"])
        elif not late(entity, system.today):
            assert late(entity, date(2200, 1, 1)) == []


@pytest.mark.parametrize(
    ("sent", "told"),
    [("2026-06-01", "2026-06-03"), ("2026-06-05", "2026-06-09"), ("2026-06-18", "2026-06-23")],
    ids=["a Monday", "a Friday", "before a holiday and a weekend"],
)
def test_it_is_told_once_the_next_business_day_has_passed(sent: str, told: str) -> None:
    entity = Entity("provider", "p", awaited={"directory": Awaited(1, sent)})
    assert awaited.due(entity, sent) == told
    assert late(entity, date.fromisoformat(told)) == ["directory"]


def test_a_view_that_was_sent_before_any_day_was_known_is_counted_from_the_first_one() -> None:
    entity = Entity("provider", "p", sent={"directory": Sent(1, NIL)})
    awaited.note(entity, ["directory"], "")
    assert (awaited.due(entity, ""), late(entity, date(2200, 1, 1))) == ("", [])
    awaited.note(entity, ["directory"], "2026-06-01")
    assert entity.awaited == {"directory": Awaited(1, "2026-06-01")}


def test_of_a_view_that_is_refused_nothing_more_is_told() -> None:
    refused = {"directory": Refusal(1, "target.value")}
    entity = Entity("provider", "p", refused=refused, awaited={"directory": Awaited(1, "2026-06-01")})
    assert late(entity, date(2026, 7, 1)) == []


def test_a_decision_notes_it_for_who_answers_and_is_due_for_it() -> None:
    entity = provider()
    decide(entity, replace(WORLD, as_of="2026-06-01", captured=("directory",)), 0)
    assert entity.awaited == {"directory": Awaited(1, "2026-06-01")}
    assert entity.due == "2026-06-03"
    assert core_entity.decode(core_entity.encode(entity)).awaited == entity.awaited
