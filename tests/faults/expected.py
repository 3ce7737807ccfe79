"""What every system should hold, computed from the master's rows as they stand, without capture or Kafka.

    rows --SQL--> changes --aggregate--> entities --decide--> views

Uses the core's pure functions on freshly read rows: whatever happened on the way, the outcome must be this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from connectors.sink import View
from schemas.authority import load_authority
from schemas.tables import mapped_tables
from streams.core import entity as core
from streams.core.advance import World, decide
from streams.core.canonical import RECORDS
from streams.core.change import Change
from streams.core.columns import Column, Table
from streams.core.entity import Entity, Golden, aggregate
from streams.core.gate import Hold, Withdraw
from streams.core.view import named
from tests import views

MASTER = "credentialing"
NATIVE = ("integer", "boolean", "json", "text_list")
"""Types that psycopg reads as capture delivers them; all others are compared as text."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What must become of one entity: its views by sink, or why no sink has one."""

    kind: str
    entity_id: str
    views: Mapping[str, View]
    withdrawn: frozenset[str]
    held: frozenset[str]


def expected(connection: psycopg.Connection[Any]) -> list[Expected]:
    """Of every entity of the master, under one snapshot of it."""
    with connection.transaction():
        connection.execute("set transaction isolation level repeatable read")
        entities = read_entities(connection)
        today = connection.execute("select current_date::text").fetchone()
    authority = load_authority()
    references = {name: core.golden(entity, authority) for name, entity in entities.items()}

    def look(kind: str, entity_id: str) -> Golden | None:
        return references.get(f"{kind}/{entity_id}")

    world = World(authority, look, today[0] if today else "")
    return [_decided(entity, world) for entity in entities.values()]


def _decided(entity: Entity, world: World) -> Expected:
    decision = decide(entity, world, 0)
    made = {
        e.sink: views.view(e.sink, e.kind, e.entity_id, 0, **named(e.content)) for e in decision.emissions
    }
    withdrawn = frozenset(s for s, verdict in decision.sinks.items() if isinstance(verdict, Withdraw))
    held = frozenset(s for s, verdict in decision.sinks.items() if isinstance(verdict, Hold))
    return Expected(entity.kind, entity.id, made, withdrawn, held)


def read_entities(connection: psycopg.Connection[Any]) -> dict[str, Entity]:
    """Every entity with the claims the master's rows make now."""
    entities: dict[str, Entity] = {}
    for table in mapped_tables(MASTER):
        if table.mode != "log":
            for owner, row_id, *values in connection.execute(_select(table)):
                name = f"{table.kind}/{owner}"
                entity = entities.setdefault(name, Entity(table.kind, owner))
                aggregate(entity, _change(table, owner, row_id, values))
    return entities


def _select(table: Table) -> sql.Composed:
    columns: list[sql.Composable] = [_as_text(name) for name in (table.entity, table.row)]
    columns += [_column(column) for column in table.columns]
    return sql.SQL("select {} from {}").format(sql.SQL(", ").join(columns), sql.Identifier(table.name))


def _column(column: Column) -> sql.Composable:
    return sql.Identifier(column.name) if column.type in NATIVE else _as_text(column.name)


def _as_text(name: str) -> sql.Composed:
    return sql.SQL("{}::text").format(sql.Identifier(name))


def _change(table: Table, owner: str, row_id: str, values: list[Any]) -> Change:
    fields = {column.field: value for column, value in zip(table.columns, values, strict=True)}
    row = RECORDS[table.record](**fields)
    position = (1, 1, 1)
    return Change(
        MASTER, table.kind, owner, table.record, row_id, position, row, False, False, 1, 0, 0, False
    )
