"""A filter of the worklist as SQL. Pure; every value a person typed is a parameter."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from streams.errors import InvalidInput
from streams.operate.worklist.case import SEVERITIES, Wanted, rank_of

ORDER = "order by finding.due, finding.rank, finding.id"
NOT_DEFERRED = "not exists (select 1 from handling h where h.id = finding.id and h.until > ?)"
NOT_ASSIGNED = "not exists (select 1 from handling h where h.id = finding.id and h.assignee <> '')"
MINE = "finding.id in (select id from handling where assignee = ?)"
DEFERRED = "finding.id in (select id from handling where until > ?)"
WEEK = timedelta(days=7)


@dataclass(slots=True)
class Clause:
    """Conditions and their values."""

    conditions: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        self.conditions.append(condition)
        self.values += values

    @property
    def where(self) -> str:
        return f" where {' and '.join(self.conditions)}" if self.conditions else ""


@dataclass(frozen=True, slots=True)
class Query:
    """The whole filter; the part of it that the tallies know; and what people's words keep out of that."""

    whole: Clause
    plain: Clause
    left_out: Clause
    order: str = ORDER

    @property
    def where(self) -> str:
        return self.whole.where

    @property
    def values(self) -> list[Any]:
        return self.whole.values


def query(wanted: Wanted, today: str) -> Query:
    """InvalidInput where a filter has no such value."""
    _check(wanted)
    whole, plain, left_out = Clause(), Clause(), Clause()
    for condition, value in _of_finding(wanted, today):
        whole.add(f"finding.{condition}", value)
        plain.add(condition, value)
        left_out.add(f"finding.{condition}", value)
    if wanted.entity:
        whole.add("finding.entity = ?", wanted.entity)
    _of_people(wanted, today, whole)
    left_out.add(*_left_out(wanted, today))
    if wanted.after:
        whole.add("(finding.due, finding.rank, finding.id) > (?, ?, ?)", *_place(wanted.after))
    return Query(whole, plain, left_out)


def _of_finding(wanted: Wanted, today: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    if wanted.code:
        found.append(("code = ?", wanted.code))
    if wanted.actor:
        found.append(("actor = ?", wanted.actor))
    if wanted.severity:
        found.append(("rank = ?", rank_of(wanted.severity)))
    if wanted.due == "overdue":
        found.append(("due < ?", today))
    if wanted.due == "week":
        found.append(("due <= ?", (date.fromisoformat(today) + WEEK).isoformat()))
    return found


def _of_people(wanted: Wanted, today: str, whole: Clause) -> None:
    if wanted.whose == "deferred":
        whole.add(DEFERRED, today)
        return
    whole.add(NOT_DEFERRED, today)
    if wanted.whose == "mine":
        whole.add(MINE, wanted.who)
    if wanted.whose == "unassigned":
        whole.add(NOT_ASSIGNED)


def _left_out(wanted: Wanted, today: str) -> tuple[str, Any]:
    condition = "handling.until > ?"
    return (f"({condition} or handling.assignee <> '')" if wanted.whose == "unassigned" else condition), today


def _place(after: str) -> tuple[str, int, int]:
    try:
        due, rank, number = after.split(".")
        return due, int(rank), int(number, 16)
    except ValueError:
        raise InvalidInput("worklist.page", "there is no such page", "begin at the first page") from None


def _check(wanted: Wanted) -> None:
    choices = {
        "whose": (wanted.whose, ("all", "mine", "unassigned", "deferred")),
        "severity": (wanted.severity, ("", *SEVERITIES)),
        "due": (wanted.due, ("", "overdue", "week")),
    }
    for name, (given, valid) in choices.items():
        if given not in valid:
            step = f"choose one of: {', '.join(v for v in valid if v)}"
            raise InvalidInput("worklist.filter", f"there is no such {name}", step)
