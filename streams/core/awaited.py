"""Awaited: views that were sent and that their system has not confirmed, and since which day.

    sent, confirmed, refused, as-of date --> Awaited per system --> finding view.unconfirmed (T06)

Beside parity, which says how a system stands in microseconds of the worker's clock; here days count, so that a tick
finds what is late and the same inputs always give the same step. Told once the business day after it was sent has
passed: by then a nightly file has been answered, too. Silent of a system that has never confirmed this entity and of
which nothing is captured (nobody knows that it answers at all), and of a view it refuses, which is a finding already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.core.entity import Awaited, Entity
from streams.core.rules.business import business_days_later
from streams.core.rules.days import later

WITHIN = 1
"""Business days in which a system confirms what it was sent (the confirmation objective)."""


def overdue(entity: Entity, answering: Iterable[str], as_of: str) -> Iterator[tuple[str, str]]:
    """(system, the day by which it was to confirm) of views that are late."""
    for system in answering if entity.awaited else ():
        awaited = entity.awaited.get(system)
        if awaited is None or system in entity.refused or _held(entity, system) >= awaited.revision:
            continue
        if (by := confirm_by(awaited)) < as_of:
            yield system, by


def note(entity: Entity, answering: Iterable[str], as_of: str) -> None:
    """Since when each system owes a confirmation, after a decision: of the oldest revision it may not hold yet."""
    entity.awaited = {
        system: _since(entity, system, held, as_of)
        for system in answering
        if system in entity.sent and (held := _held(entity, system)) < entity.sent[system].revision
    }


def _since(entity: Entity, system: str, held: int, as_of: str) -> Awaited:
    """With one of several on the way confirmed, the next is counted from today: nobody keeps the day of each."""
    before = entity.awaited.get(system)
    if before is not None and before.day and before.revision > held:
        return before
    return Awaited(entity.sent[system].revision, as_of)


def due(entity: Entity, as_of: str) -> str:
    """The next day on which time alone makes a confirmation late; empty: none."""
    days = (later(confirm_by(awaited), 1) or "" for awaited in entity.awaited.values())
    return min((day for day in days if day > as_of), default="")


def confirm_by(awaited: Awaited) -> str:
    """The day by which it is to be confirmed; without a day to count from, never."""
    return business_days_later(awaited.day, WITHIN) or "~"


def _held(entity: Entity, system: str) -> int:
    """The revision a system is known to hold; 0: none."""
    confirmed = entity.confirmed.get(system)
    return confirmed.revision if confirmed is not None else 0
