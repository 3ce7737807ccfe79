"""How the platform's stored values read to people: source tables and columns, positions, times. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache

from schemas.catalog import Table, load_mappings


@cache
def _tables(system: str) -> tuple[Table, ...]:
    mapping = load_mappings().get(system)
    return tuple(mapping.tables.values()) if mapping else ()


@cache
def _columns(system: str) -> Mapping[tuple[str, str], str]:
    """(record, field) -> column of a system, from its mapping."""
    return {table.target(column): column for table in _tables(system) for column in table.columns}


def has_tables(system: str) -> bool:
    """Whether a claimant is a captured system, whose rows have tables and columns."""
    return bool(_tables(system))


@cache
def table_of(system: str, record: str) -> str:
    """The source table of a canonical record; empty where the system has none."""
    return next((table.name for table in _tables(system) if table.record == record), "")


def column_of(system: str, record: str, field: str) -> str:
    """The source column of a canonical field; empty where the system has none."""
    return _columns(system).get((record, field), "")


def place_of(system: str, record: str, field: str) -> str:
    """`table.column` that holds a canonical field in a system; empty where none does."""
    named = (
        (t.name, column)
        for t in _tables(system)
        for column in t.columns
        if t.target(column) == (record, field)
    )
    return ".".join(next(named, ()))


def time_text(us: int) -> str:
    """ISO 8601 in UTC with microseconds; empty for what has no time."""
    return datetime.fromtimestamp(us / 1e6, UTC).isoformat(timespec="microseconds") if us else ""
