"""Who was overruled: when, by which rule, from what to what. The answer to `concord audit overruled`.

    topic rejection.<system>, kept for ever --> edits of what their system doesn't own, the newest first

The record of an edit is written in the transaction that decides it, so none is missing and none stands for what was
rolled back. No system says who typed there: `who` is the system and its own row. A value that isn't public never
reaches the topic (invariant 11): there, the field is named and its value isn't. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from confluent_kafka import OFFSET_BEGINNING

from connectors.wire import registry_schemas
from schemas import registry
from schemas.problem import nearest
from streams.errors import InvalidInput
from streams.operate import reading
from streams.operate.consume import Decode, Record
from streams.operate.find import Finder, names
from streams.operate.masking import HIDDEN, field_class
from streams.placing import partition_of
from streams.settings import Settings, need
from streams.systems import REKEYED

NPI = "npi/"


@dataclass(frozen=True, slots=True)
class Asked:
    """Which ones: what is empty doesn't matter. `since`: a moment, epoch milliseconds."""

    key: str = ""
    system: str = ""
    since: int = 0
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Overruled:
    """One edit. `was`, `became`: as JSON, HIDDEN of a field that isn't public, null where there is no value."""

    at: str
    system: str
    entity: str
    local_id: str
    record: str
    row: str
    field: str
    was: str | None
    """what somebody wrote there"""
    became: str | None
    """what it is to hold instead"""
    outcome: str
    rule: str
    owner: str
    position: str
    """epoch/prior_commit/lsn of the edit in its system"""
    place: str
    """topic[partition]@offset"""


def overruled(settings: Settings, asked: Asked) -> list[Overruled]:
    """The newest of those asked for, the newest first."""
    if asked.system and asked.system not in REKEYED:
        said = f"{asked.system} owns what it holds, or is no system"
        raise InvalidInput("audit.system", said, nearest(asked.system, REKEYED))
    found = sorted(_read(settings, asked), key=lambda r: (r.at_ms, r.topic, r.partition, r.offset))
    return [*_once(reversed(found))][: asked.limit]


def ids(settings: Settings, key: str) -> set[str]:
    """The entities a key stands for, also one that no worker knows any more; an NPI's, of who holds it."""
    named = names(key)
    if named[0].startswith(NPI):
        with Finder(settings) as finder:
            named = [located.name for located in finder.find(key)]
    return {name.partition("/")[2] for name in named}


def _read(settings: Settings, asked: Asked) -> Iterator[Record]:
    """What stands in the topics: of one entity, in the partition it belongs to alone."""
    kafka: str = need(settings.kafka, "CONCORD_KAFKA")
    decode = Decode(registry_schemas(registry.connect(need(settings.registry, "CONCORD_REGISTRY"))))
    wanted = {one.encode() for one in ids(settings, asked.key)} if asked.key else set()
    parts = {partition_of(one, settings.partitions) for one in wanted} or range(settings.partitions)
    topics = [settings.topic(f"rejection.{s}") for s in REKEYED if asked.system in ("", s)]
    places = [(topic, part) for topic in topics for part in parts]
    starts = (
        reading.since(kafka, dict.fromkeys(places, asked.since))
        if asked.since
        else dict.fromkeys(places, OFFSET_BEGINNING)
    )
    for message in reading.read(kafka, starts):
        if not wanted or message.key() in wanted:
            yield decode(message)


def _once(records: Iterable[Record]) -> Iterator[Overruled]:
    """A record may come again: record, row, field and position tell it."""
    seen = set()
    for record in records:
        found = told(record)
        known = found.system, found.entity, found.record, found.row, found.field, found.position
        if known not in seen:
            seen.add(known)
            yield found


def told(record: Record) -> Overruled:
    """What a record of the topic says."""
    said = record.value or {}
    hidden = HIDDEN if field_class(str(said.get("record")), str(said.get("field"))) != "public" else None
    return Overruled(
        datetime.fromtimestamp(record.at_ms / 1e3, UTC).isoformat(timespec="milliseconds"),
        str(said.get("system", "")),
        f"{said.get('kind', '')}/{said.get('entity_id', record.key)}",
        str(said.get("local_id", "")),
        str(said.get("record", "")),
        str(said.get("row_id", "")),
        str(said.get("field", "")),
        hidden or said.get("offered"),
        hidden or said.get("current"),
        str(said.get("outcome", record.problem)),
        str(said.get("rule", "")),
        str(said.get("owner", "")),
        str(said.get("position", "")),
        f"{record.topic}[{record.partition}]@{record.offset}",
    )
