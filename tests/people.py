"""Invented providers of the generator as row changes of the credentialing system, for tests without services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from connectors.credentialing.bundle import by_table
from connectors.credentialing.generator import generate
from connectors.envelope import Change
from schemas.catalog import Table, load_catalog, load_mapping


def changes(count: int, seed: int) -> Iterator[Change]:
    """The rows that `load_generated(count, seed)` would write, in load order."""
    mapping = load_mapping("credentialing")
    for name, rows in by_table(generate(count, seed)).items():
        table = mapping.tables.get(name)
        if table is not None:
            yield from (Change(name, _plain(table, row), "c") for row in rows)


def _plain(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    return {column: _value(table, column, value) for column, value in row.items()}


def _value(table: Table, column: str, value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    known = column in table.columns and load_catalog().field(*table.target(column))
    if known and known.type == "json" and isinstance(value, str):
        return json.loads(value)
    return value if value is None or isinstance(value, bool | int | list) else str(value)
