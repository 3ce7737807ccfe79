"""Whom a screening compares with the lists: names, date of birth and registrations, from a provider's stored entity.

Pure. In memory only: nothing of it is written or logged (invariant 11). What the owner's newest image says counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from streams.core import canonical
from streams.core.entity import Entity, decode

R = TypeVar("R", bound=canonical.Row)
OWNER = "credentialing"


@dataclass(frozen=True, slots=True)
class Person:
    """One provider; without a date of birth nobody is found by name."""

    id: str
    names: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """(last, first): today's and every former one"""
    born: str | None = field(default=None, repr=False)
    states: tuple[str, ...] = ()
    registrations: tuple[str, ...] = field(default=(), repr=False)


def person(value: bytes) -> Person:
    """The person that this stored entity is."""
    entity = decode(value)
    root = next(iter(_rows(entity, canonical.Provider)), None)
    if root is None:
        return Person(entity.id)
    former = [
        (row.last_name, row.first_name or root.first_name) for row in _rows(entity, canonical.FormerName)
    ]
    names = [(root.last_name, root.first_name), *former]
    return Person(
        entity.id,
        tuple(dict.fromkeys((last, first) for last, first in names if last and first)),
        root.date_of_birth,
        tuple(dict.fromkeys(row.state for row in _rows(entity, canonical.License) if row.state)),
        tuple(row.number for row in _rows(entity, canonical.DeaRegistration) if row.number),
    )


def _rows(entity: Entity, record: type[R]) -> Iterator[R]:
    for claim in entity.claims.get(OWNER, {}).get(record.RECORD, {}).values():
        row = claim.image(record.RECORD)
        if isinstance(row, record):
            yield row
