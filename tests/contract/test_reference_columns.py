"""Every column of the reference systems' mapped tables is mapped, or left out on purpose: none would be told as new."""

from __future__ import annotations

import re

import pytest

from schemas.catalog import load_mapping
from schemas.catalog_check import NEVER_CAPTURED
from stack.layout import PROJECT
from streams.systems import SYSTEMS

NO_COLUMN = {"primary", "unique", "check", "constraint", "foreign", "references"}


def columns(system: str, table: str) -> set[str]:
    """Of a `create table` and of every `add column` behind it, as they stand in the SQL files."""
    folder = PROJECT / "connectors"
    sql = "".join(file.read_text() for file in (folder / system / "schema.sql", folder / "concord.sql"))
    sql = re.sub(r"--.*|'[^']*'", "", sql)
    created = re.search(rf"create table if not exists {table} \((.*?)\n\);", sql, re.DOTALL)
    assert created, table
    # A comma inside brackets (of a check, of a type) parts no columns.
    parts = re.sub(r"\([^()]*(\([^()]*\)[^()]*)*\)", "", created[1]).split(",")
    names = {part.split()[0] for part in parts if part.split()}
    added = re.findall(rf"alter table {table} add column if not exists (\w+)", sql)
    return {*added, *names} - NO_COLUMN


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_column_is_mapped_or_left_out_on_purpose(system: str) -> None:
    for name, table in load_mapping(system).tables.items():
        found = columns(system, name)
        assert set(table.captured) <= found, name
        assert found - {*table.captured, *table.unmapped} <= NEVER_CAPTURED, name
        assert set(table.unmapped) <= found, name
