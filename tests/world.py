"""What decisions need around an entity in tests: the shipped authority, two known places and groups, and a date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from connectors import envelope
from schemas.authority import load_authority
from streams.core import entity as core_entity
from streams.core.advance import World, advance
from streams.core.canonical import RECORDS, Row
from streams.core.change import Change
from streams.core.entity import Entity, Golden
from tests.strategies import GOOD, MAPPING, decoded

TODAY = "2026-06-01"
AUTHORITY = load_authority()


def row(table: str, **columns: Any) -> envelope.Change:
    """A row of a table: its ids as given, everything else as in GOOD unless given."""
    mapped = MAPPING.tables[table]
    good = {column: GOOD.get(mapped.target(column)[1]) for column in mapped.columns}
    return envelope.Change(table, {**good, **columns})


def entity_of(changes: Iterable[Change], kind: str = "provider", entity_id: str = "provider-0") -> Entity:
    """An entity that has taken these changes."""
    entity = Entity(kind, entity_id)
    for change in changes:
        advance(entity, change, 0)
    return entity


def provider(*extra: envelope.Change, **columns: Any) -> Entity:
    """One good provider with a licence, a taxonomy, a place, a group and a network, plus `extra` rows."""
    person = row("provider", provider_id="provider-0", first_name="Ann", degree="MD", **columns)
    return entity_of(decoded([[person, *belongings(), *extra]]))


def belongings() -> list[envelope.Change]:
    """The rows a provider needs in order to show in every view."""
    ids = {"provider_id": "provider-0"}
    return [
        row("license", license_id="license-0", number="036-1", expires="2028-01-01", **ids),
        row("taxonomy", taxonomy_id="taxonomy-0", license_id="license-0", **ids),
        row("provider_location", id="provider_location-0", **ids),
        row("affiliation", affiliation_id="affiliation-0", org_id="organization-0", **ids),
        row("network_participation", id="network_participation-0", product="PPO", network="Choice", **ids),
    ]


def golden(table: str, entity_id: str, **columns: Any) -> Golden:
    """The golden record of a reference with one root row."""
    mapped = MAPPING.tables[table]
    root = row(table, **{mapped.entity: entity_id}, **columns)
    return core_entity.golden(entity_of(decoded([[root]]), mapped.kind, entity_id), AUTHORITY)


def golden_of(kind: str, entity_id: str, records: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Golden:
    """A golden record with these rows: record -> row id -> the fields that say something."""
    rows = {name: {i: RECORDS[name](**r) for i, r in by_id.items()} for name, by_id in records.items()}
    return Golden(kind, entity_id, rows, lambda name: dict(rows.get(name, {})))


def rows_of(record: Golden) -> dict[str, dict[str, Row]]:
    """Every row of a golden record, read now."""
    return {name: record.named(name) for name in record.records}


def references() -> dict[str, Golden]:
    """Two places and two groups."""
    known = [golden("practice_location", f"location-{n}", org_id=f"organization-{n}") for n in (0, 1)]
    known += [golden("organization", f"organization-{n}", npi="1245319599", tin="120000001") for n in (0, 1)]
    return {f"{g.kind}/{g.id}": g for g in known}


def world(known: Mapping[str, Golden] | None = None, as_of: str = TODAY) -> World:
    """What a decision may look at."""
    found = references() if known is None else known
    return World(AUTHORITY, lambda kind, entity_id: found.get(f"{kind}/{entity_id}"), as_of)


WORLD = world()
