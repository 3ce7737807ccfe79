"""Refusal: a view that its system refused goes out once more each day, until it is taken or another follows.

    refused, as-of date --> systems whose view goes out anew

Beside awaited. Nobody tells the platform that a system was mended (a constraint loosened, a code set loaded): that it
takes the view is the only sign. A day between two tries is a bound: what stays refused costs a view a day, and its
finding `target.refused` stays open meanwhile. Days are the as-of date's; no clock is read.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

from msgspec.structs import replace

from streams.core.entity import Entity, Refusal
from streams.core.rules.days import later

DAYS = 1
"""From one try to the next."""


def again(entity: Entity, systems: Container[str], as_of: str) -> set[str]:
    """The systems that refused their last view so long ago that it goes out anew."""
    return {s for s, refusal in _refusing(entity, systems) if refusal.day and _next(refusal) <= as_of}


def note(entity: Entity, as_of: str) -> None:
    """From which day each refusal is counted, after a decision."""
    if not all(refusal.day for refusal in entity.refused.values()):
        entity.refused = {s: r if r.day else replace(r, day=as_of) for s, r in entity.refused.items()}


def due(entity: Entity, systems: Container[str], as_of: str) -> str:
    """The next day on which something goes out anew; empty: none."""
    days = (_next(refusal) for _, refusal in _refusing(entity, systems))
    return min((day for day in days if day > as_of), default="")


def _refusing(entity: Entity, systems: Container[str]) -> Iterator[tuple[str, Refusal]]:
    """Those whose refusal is of the last view: what was sent since may yet pass."""
    for system, refusal in entity.refused.items():
        sent = entity.sent.get(system) if system in systems else None
        if sent is not None and refusal.revision >= sent.revision:
            yield system, refusal


def _next(refusal: Refusal) -> str:
    return later(refusal.day, DAYS) or "~"
