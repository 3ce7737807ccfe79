"""Until when something must be done about a finding, and when it is said again on the way there.

Beside finding. `DEADLINES` is the one list of codes with a day of their own; what restricts a system is reviewed within
one business day. Only public dates stand here: a finding's topic clears no others (invariant 11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from streams.core.canonical import Listing, Publication
from streams.core.rules import credentialing, directory
from streams.core.rules.business import business_days_later
from streams.core.rules.days import between, later
from streams.core.rules.rule import HOLD, WITHDRAW, Rule
from streams.core.today import Today

REVIEW_DAYS = 1
"""Business days (authority, level HOLD)."""

Day = Callable[[Today, str], str | None]
"""(facts, subject) -> the day"""


class Deadline(Struct, frozen=True):
    """The day something ends or is due, and how many days before it that is said again."""

    day: Day
    alerts: tuple[int, ...] = ()
    """in ascending order; the dates they give stand in `due.DATED`"""


def _in_its_field(today: Today, subject: str) -> str | None:
    """The date the subject `record/row/field` names."""
    record, field = subject.partition("/")[0], subject.rpartition("/")[2]
    value: str | None = getattr(today.golden.named(record).get(_row(subject)), field, None)
    return value


def _recredentialing(today: Today, _: str) -> str | None:
    return credentialing.due_day(today) or None


def _to_verify(today: Today, subject: str) -> str | None:
    row = today.golden.rows(Listing).get(_row(subject))
    return later(row.verified_on, directory.VERIFY_DAYS) if row is not None and row.verified_on else None


def _to_remove(today: Today, _: str) -> str | None:
    day, _row_id = directory.last_verified(today)
    return later(day, directory.REMOVE_DAYS) if day else None


def _to_publish(today: Today, subject: str) -> str | None:
    row = today.golden.rows(Publication).get(_row(subject))
    received = row.info_received_at if row is not None else None
    return business_days_later(received[:10], directory.PUBLISH_DAYS) if received else None


def _row(subject: str) -> str:
    return subject.partition("/")[2].rpartition("/")[0]


_CYCLE = Deadline(_recredentialing, (30, 90, 120, 180))

DEADLINES: Mapping[str, Deadline] = {
    "licence.expiring": Deadline(_in_its_field, (7, 30, 60, 90)),
    "recredential.due": _CYCLE,
    "recredential.overdue": _CYCLE,
    "recredential.lapsed": _CYCLE,
    "directory.verification_due": Deadline(_to_verify),
    "directory.verification_overdue": Deadline(_to_verify),
    "directory.removal_due": Deadline(_to_remove),
    "directory.publication_late": Deadline(_to_publish),
}
"""code -> its deadline"""


def due(code: str, subject: str, today: Today) -> str:
    """The day of a finding that has one of its own; empty: it has none."""
    deadline = DEADLINES.get(code)
    return (deadline.day(today, subject) or "") if deadline is not None else ""


def left(code: str, as_of: str, day: str) -> int | None:
    """The shortest of the alerts that has been reached; None before the first one and after the day."""
    deadline, days = DEADLINES.get(code), between(as_of, day)
    if deadline is None or days is None or days < 0:
        return None
    return next((alert for alert in deadline.alerts if days <= alert), None)


def review(rule: Rule, as_of: str) -> str:
    """When somebody must have looked at what a rule restricts; empty: it restricts nothing, or nobody knows the day."""
    restricts = {HOLD, WITHDRAW} & set(rule.in_force.values())
    return (business_days_later(as_of, REVIEW_DAYS) or "") if restricts and as_of else ""
