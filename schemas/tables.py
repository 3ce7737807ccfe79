"""A system's mapping in the core's form: the tables and typed columns its decoder works from.

    canonical.toml + mapping/<system>.toml --> core.change.Table --> core.change.Decoder

Reads the packaged files only; decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.catalog import Catalog, load_catalog, load_mapping
from schemas.catalog import Table as MappedTable
from streams.core.columns import Column, Table
from streams.core.decode import Decoder


def decoders(systems: Iterable[str]) -> Mapping[str, Decoder]:
    """One decoder a system, from its mapping and the catalogue's types."""
    return {system: Decoder(system, mapped_tables(system)) for system in systems}


def mapped_tables(system: str) -> list[Table]:
    """The core's form of a system's mapping."""
    catalog = load_catalog()
    return [_table(table, catalog) for table in load_mapping(system).tables.values()]


def _table(table: MappedTable, catalog: Catalog) -> Table:
    columns = tuple(_column(table, column, catalog) for column in table.columns)
    return Table(table.name, table.kind, table.record, table.entity, table.row, table.mode, columns)


def _column(table: MappedTable, column: str, catalog: Catalog) -> Column:
    record, field = table.target(column)
    known = catalog.field(record, field)
    assert known is not None  # load_mapping has checked it
    return Column(column, field if record == table.record else f"{record}.{field}", known.type)
