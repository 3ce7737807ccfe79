"""What another authority file would change: the stored entities' golden records under both, field by field.

    entity (topic) --golden OLD, golden NEW--> Change of a field of a provider --> `concord authority diff`

Asked before anyone deploys a file. Reads committed records a partition at a time; decides nothing and writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from schemas.authority import read
from schemas.problem import refuse
from streams.core import entity as core
from streams.core.authority import Authority
from streams.core.canonical import RECORDS
from streams.core.entity import Entity, Golden
from streams.operate import reading
from streams.operate.masking import shown
from streams.settings import Settings, need

LISTED = 200
"""Changes shown in full; the counts hold all of them."""


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One golden value that would be another one; restricted values masked. None: no value, or no row."""

    key: str
    record: str
    row: str
    field: str
    before: Any
    after: Any


@dataclass(slots=True)
class Difference:
    """What would change, over how many entities."""

    old: int
    new: int
    entities: int = 0
    changed: int = 0
    """entities with at least one other value"""
    fields: Counter[str] = field(default_factory=Counter)
    """`record.field` -> values that would change"""
    changes: list[FieldChange] = field(default_factory=list)


def diff(settings: Settings, old: Path, new: Path) -> Difference:
    """Replay every stored entity against both files."""
    before, after = _authority(old), _authority(new)
    return compare(stored(settings), before, after)


def _authority(path: Path) -> Authority:
    found = read(path)
    if found.matrix is None:
        refuse(found.problems)
    return found.matrix.authority()


def stored(settings: Settings) -> Iterator[Entity]:
    """Every entity of topic `entity`."""
    kafka, topic = need(settings.kafka, "CONCORD_KAFKA"), settings.topic("entity")
    for partition in range(settings.partitions):
        for key, message in reading.newest(kafka, reading.beginnings(topic, [partition])).items():
            value = message.value()
            if value is not None and not key.startswith(b"partition/"):
                yield core.decode(value)


def compare(entities: Iterable[Entity], old: Authority, new: Authority) -> Difference:
    """Count what would change, and list the first changes."""
    found = Difference(old.version, new.version)
    for entity in entities:
        changes = list(changes_of(entity, old, new))
        found.entities += 1
        found.changed += bool(changes)
        found.fields.update(f"{change.record}.{change.field}" for change in changes)
        found.changes += changes[: max(LISTED - len(found.changes), 0)]
    return found


def changes_of(entity: Entity, old: Authority, new: Authority) -> Iterator[FieldChange]:
    """Each field of each row whose golden value differs."""
    before, after = core.golden(entity, old), core.golden(entity, new)
    for record in dict.fromkeys(chain(before.records, after.records)):
        for row in sorted(before.named(record).keys() | after.named(record).keys()):
            yield from _row(before, after, record, row)


def _row(before: Golden, after: Golden, record: str, row: str) -> Iterator[FieldChange]:
    was, now = before.named(record).get(row), after.named(record).get(row)
    key = f"{before.kind}/{before.id}"
    for name in RECORDS[record].__struct_fields__ if was != now else ():
        old, new = getattr(was, name, None), getattr(now, name, None)
        if old != new:
            yield FieldChange(key, record, row, name, shown(record, name, old), shown(record, name, new))
