"""What people say of findings in the real stewardship database: whole or not at all, audited, stale where it must be."""

from __future__ import annotations

from datetime import date, timedelta

import psycopg
import pytest

from connectors.stewardship.verdict import Word
from stack.environment import Environment
from streams.errors import InvalidInput
from streams.operate import proposals
from streams.operate.worklist import handling
from streams.operate.worklist.case import Case, Handling, key_of
from streams.operate.worklist.handling import Said, Stale
from streams.settings import Settings
from tests.console import findings
from tests.fixtures.databases import Database, NewDatabase, with_database

SOON = (date.today() + timedelta(days=3)).isoformat()
MINE = Said("assign", "pat", "I know the clinic", to="pat")


@pytest.fixture
def desk(database: NewDatabase) -> Database:
    return database("stewardship")


@pytest.fixture
def settings(stack: Environment, desk: Database) -> Settings:
    return Settings(steward=with_database(stack.steward, desk.name))


def cases() -> list[Case]:
    return [Case(found) for found in findings()]


def test_a_word_is_kept_and_is_what_holds_from_then_on(settings: Settings) -> None:
    first, *_ = cases()
    [(key, held)] = handling.say(settings, [first], MINE)
    assert (key, held.assignee, held.by) == (key_of(first.finding), "pat", "pat")
    now = Case(first.finding, held)
    [(_, later)] = handling.say(settings, [now], Said("defer", "mo", "waits for the board", until=SOON))
    assert (later.assignee, later.until, later.number > held.number) == ("pat", SOON, True)
    assert [word for _, word in handling.words(settings, 0)] == [held, later]
    assert [word for _, word in handling.words(settings, held.number)] == [later]


def test_of_several_all_are_written_or_none(settings: Settings) -> None:
    one, two, three = cases()
    handling.say(settings, [two], Said("assign", "mo", "mine", to="mo"))
    with pytest.raises(Stale, match="mo was first"):
        handling.say(settings, [one, two, three], MINE)
    assert [word.by for _, word in handling.words(settings, 0)] == ["mo"]


def test_every_word_stands_in_the_audit_with_its_reason(settings: Settings, desk: Database) -> None:
    handling.say(settings, cases()[:2], MINE)
    with desk.connect() as connection:
        rows = connection.execute(
            "select actor, action, detail ->> 'reason' from audit order by audit_id"
        ).fetchall()
    assert rows == [("pat", "finding.assign", "I know the clinic")] * 2


@pytest.mark.parametrize(
    "statement",
    [
        "update handling set assignee = 'x'",
        "delete from handling",
        "insert into handling (kind, entity_id, code, subject, act, reason, said_by, said_at)"
        " values ('provider', 'p', 'c', 's', 'release', 'r', 'x', '2020-01-01')",
    ],
)
def test_no_steward_changes_what_was_said(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.steward) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_a_ruling_on_a_proposal_that_changed_since_it_was_looked_at_does_not_count(
    settings: Settings, desk: Database
) -> None:
    with desk.connect() as connection:
        connection.execute(
            "insert into proposal (proposal_id, kind, entity_id, system, record, field, state, level)"
            " values (1, 'provider', 'p', 'directory', 'provider', 'degree', 'awaiting_approval_1', 'A1')"
        )
    seen = proposals.seen(proposals.show(settings, 1))
    with pytest.raises(InvalidInput, match="since it was looked at"):
        proposals.say(settings, 1, Word("pat", "data_steward", "approve"), "awaiting_approval_1 7")
    assert proposals.say(settings, 1, Word("pat", "data_steward", "approve"), seen)["missing"] == []


def test_nobody_has_said_anything_of_a_finding_at_first() -> None:
    assert cases()[0].handling == Handling()
