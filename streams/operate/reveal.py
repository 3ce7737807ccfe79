"""One restricted value in the clear, for a person who may see it: what `explain` masks.

    kind/id, system, record, row, field --reveal--> the value a system holds

Whoever calls this has written down before who asks and why (audit). The value goes to that one person: never into a
log, an error, a finding or a cache (invariant 11).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streams.core.entity import Entity
from streams.errors import InvalidInput
from streams.operate.announced import Answer
from streams.operate.find import Finder, Unknown
from streams.operate.masking import field_class
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: the field of a row that a system holds of an entity."""

    entity: str
    system: str
    record: str
    row: str
    field: str

    def __str__(self) -> str:
        return f"{self.entity} {self.system}/{self.record}/{self.row}/{self.field}"


def reveal(settings: Settings, place: Place, known: list[Answer] | None = None) -> str:
    """The value; Unknown where nothing stands there."""
    with Finder(settings, known) as finder:
        found = finder.get_many([place.entity])
    if not found:
        raise Unknown("entity.unknown", f"nothing is known under {place.entity!r}", "concord explain")
    return value_of(found[0].entity, place)


def value_of(entity: Entity, place: Place) -> str:
    """The same of an entity at hand; pure."""
    if field_class(place.record, place.field) != "S1":
        raise InvalidInput("reveal.open", "this field is not masked", "read it where it stands")
    claim = entity.claims.get(place.system, {}).get(place.record, {}).get(place.row)
    value: Any = getattr(claim.row(place.record), place.field, None) if claim is not None else None
    if value is None:
        raise Unknown("reveal.nothing", f"nothing stands at {place}", "look at the provider again")
    return str(value)
