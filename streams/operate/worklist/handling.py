"""Who works on a finding, and until when it may wait: people's words, kept in the stewardship database.

    Told (assign | release | defer | resume) + what its author saw --say--> rows of `handling`, audited by the database

A word on several findings counts for all of them or for none. What a word is about must be as its author saw it:
somebody else's word in between makes it stale. Works as role concord_steward, which adds rows and changes none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from psycopg.errors import UndefinedTable

from streams.errors import EnvironmentFault, InvalidInput
from streams.operate.proposals import LOCK, Connection, connected
from streams.operate.worklist.case import Case, Handling, key_of
from streams.settings import Settings

Act = Literal["assign", "release", "defer", "resume"]
ACTS = ("assign", "release", "defer", "resume")
MOST = 100
"""Findings that one word may be about: more than somebody has looked at is not a decision."""
LONGEST_REASON = 500
NEWEST = """
select * from handling where kind = %s and entity_id = %s and code = %s and subject = %s
order by handling_id desc limit 1
"""
SINCE = "select * from handling where handling_id > %s order by handling_id limit 5000"
INSERT = """
insert into handling (kind, entity_id, code, subject, act, assignee, until, reason, said_by)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s) returning *
"""
IDENTITY = ("kind", "entity_id", "code", "subject")


class Stale(InvalidInput):
    """Somebody said something else meanwhile; nothing was done."""


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody says of findings. `to`: whom it is assigned to; `until`: the day until which it may wait."""

    act: Act
    by: str
    reason: str
    to: str = ""
    until: str = ""


def check(said: Said, cases: Sequence[Case], today: date) -> None:
    """InvalidInput where it can't be meant: before anything is asked of the database."""
    if said.act not in ACTS:
        raise InvalidInput("finding.act", "there is no such act", f"choose one of: {', '.join(ACTS)}")
    if not cases:
        raise InvalidInput("finding.none", "no finding is chosen", "choose at least one")
    if len(cases) > MOST:
        message = f"{len(cases)} findings are chosen, and one word may be about {MOST} at most"
        raise InvalidInput("finding.too_many", message, "choose fewer; nothing was done")
    if not said.reason.strip() or len(said.reason) > LONGEST_REASON:
        raise InvalidInput("finding.reason", f"a reason has 1 to {LONGEST_REASON} characters", "say why")
    if said.act == "assign" and not said.to.strip():
        raise InvalidInput("finding.assignee", "nobody is named", "say who works on it")
    if said.act == "defer" and not _ahead(said.until, today):
        raise InvalidInput(
            "finding.until", "a finding is deferred until a day that lies ahead", "name that day"
        )


def _ahead(text: str, today: date) -> bool:
    try:
        return date.fromisoformat(text) > today
    except ValueError:
        return False


def after(said: Said, before: Handling) -> tuple[str, str]:
    """(assignee, until) once it is said."""
    assignee = {"assign": said.to.strip(), "release": ""}.get(said.act, before.assignee)
    until = {"defer": said.until, "resume": ""}.get(said.act, before.until)
    return assignee, until


def say(settings: Settings, cases: Sequence[Case], said: Said) -> list[tuple[bytes, Handling]]:
    """Write it for every finding, or for none; what holds of each from now on. Stale where somebody was first."""
    with connected(settings) as connection, connection.transaction():
        connection.execute(LOCK)  # one word at a time, as with proposals
        return [_say(connection, case, said) for case in cases]


def _say(connection: Connection, case: Case, said: Said) -> tuple[bytes, Handling]:
    identity = [case.finding[name] for name in IDENTITY]
    row = connection.execute(NEWEST, identity).fetchone()
    before = handling(row) if row else Handling()
    if before.number != case.handling.number:
        raise stale(case, before)
    assignee, until = after(said, before)
    values = [*identity, said.act, assignee or None, until or None, said.reason.strip(), said.by]
    written = connection.execute(INSERT, values).fetchone()
    assert written is not None
    return key_of(case.finding), handling(written)


def stale(case: Case, now: Handling | None) -> Stale:
    """Why a form about it doesn't count."""
    what = f"{case.finding['code']} of {case.entity}"
    who = f": {now.by} was first" if now and now.by else ""
    message = f"{what} has changed since you looked at it{who}; nothing was done"
    return Stale("finding.changed", message, "look at it again, then decide")


def handling(row: Any) -> Handling:
    """A row as what people said last."""
    until = row["until"].isoformat() if row["until"] else ""
    at = row["said_at"].isoformat(timespec="seconds")
    return Handling(row["handling_id"], row["assignee"] or "", until, row["said_by"], row["reason"], at)


def words(settings: Settings, since: int) -> Iterator[tuple[bytes, Handling]]:
    """Every word after number `since`, the oldest first."""
    with connected(settings) as connection:
        try:
            rows = connection.execute(SINCE, [since]).fetchall()
        except UndefinedTable:
            message = "the stewardship database has no table handling yet"
            raise EnvironmentFault("stewardship.old", message, "concord systems apply") from None
    for row in rows:
        yield key_of(row), handling(row)
