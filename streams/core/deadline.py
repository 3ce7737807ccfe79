"""Until when something must be done about a finding, and when it is said again on the way there.

Beside finding. `DEADLINES` is the one list of codes with a day of their own; what restricts a system is reviewed within
one working day. Only public dates stand here: a finding's topic clears no others (invariant 11).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from msgspec import Struct

from streams.core.rules import credentialing
from streams.core.rules.days import between, parsed
from streams.core.rules.rule import HOLD, WITHDRAW, Rule
from streams.core.today import Today

Day = Callable[[Today, str], str | None]
"""(facts, subject) -> the day"""


class Deadline(Struct, frozen=True):
    """The day something ends or is due, and how many days before it that is said again."""

    day: Day
    alerts: tuple[int, ...] = ()
    """in ascending order; the dates they give stand in `due.DATED`"""


def _in_its_field(today: Today, subject: str) -> str | None:
    """The date the subject `record/row/field` names."""
    record, _, rest = subject.partition("/")
    row_id, _, field = rest.rpartition("/")
    value: str | None = getattr(today.golden.named(record).get(row_id), field, None)
    return value


def _recredentialing(today: Today, _: str) -> str | None:
    return credentialing.due_day(today) or None


_CYCLE = Deadline(_recredentialing, (30, 90, 120, 180))

DEADLINES: Mapping[str, Deadline] = {
    "licence.expiring": Deadline(_in_its_field, (7, 30, 60, 90)),
    "recredential.due": _CYCLE,
    "recredential.overdue": _CYCLE,
    "recredential.lapsed": _CYCLE,
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
    """When somebody must have looked at what a rule restricts: one working day (weekends don't count)."""
    opened = parsed(as_of) if {HOLD, WITHDRAW} & set(rule.effect.values()) else None
    return _working_day_after(opened).isoformat() if opened is not None else ""


def _working_day_after(day: date) -> date:
    return day + timedelta({4: 3, 5: 2}.get(day.weekday(), 1))
