"""Do the catalogue and a mapping agree: every name known, no field claimed twice, nothing restricted.

    CatalogFile; MappingFile and the records of the catalogue --> problems, each with its line and its cure

Pure. Shapes were checked before (schemas/strict.py); whether the database has the columns is `concord mapping check`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from schemas.catalog_file import CatalogFile, MappingFile, RecordFile, TableFile
from schemas.place import Path, Places
from schemas.problem import Problem, nearest

NEVER_CAPTURED = frozenset({"ssn"})
"""Names that no catalogue and no mapping may carry: a social security number stays at its source."""

WHY: Mapping[str, str] = {
    "schema.restricted": "it never leaves its source (invariant 11)",
    "mapping.system": "the file would be taken for another system's",
    "mapping.record": "what no record stands for could not be decided on",
    "mapping.kind": "rows would be taken for another kind of entity's",
    "mapping.field": "what the column says would never take effect",
    "mapping.duplicate": "of two statements nobody could say which one counts",
}
"""Code -> why it is a problem."""


def catalog(parsed: CatalogFile, places: Places, file: str) -> Iterator[Problem]:
    """Nothing that may not be captured even has a name here."""
    for record, entry in parsed.root.items():
        for field in sorted(NEVER_CAPTURED & entry.fields.keys()):
            what = f"{record}.{field} may not be captured"
            yield _problem("schema.restricted", file, places, (record, "fields", field), what, "remove it")


def mapping(
    system: str, parsed: MappingFile, records: Mapping[str, RecordFile], places: Places, file: str
) -> Iterator[Problem]:
    """Everything that is wrong with one system's mapping."""
    if parsed.system != system:
        what, fix = f"system is '{parsed.system}'", f'write system = "{system}"'
        yield _problem("mapping.system", file, places, ("system",), what, fix)
    for name, table in parsed.table.items():
        for code, key, what, fix in _table(name, table, records):
            yield _problem(code, file, places, ("table", name, *key), what, fix)


Found = Iterator[tuple[str, Path, str, str]]


def _table(name: str, table: TableFile, records: Mapping[str, RecordFile]) -> Found:
    yield from _record(name, table, records)
    for column in sorted(NEVER_CAPTURED & {table.entity, table.row}):
        key = ("entity" if table.entity == column else "row",)
        yield "schema.restricted", key, f"table {name}: column {column} may not be captured", "name another"
    yield from _columns(name, table, records)


def _record(name: str, table: TableFile, records: Mapping[str, RecordFile]) -> Found:
    record = records.get(table.record)
    if record is None:
        what = f"table {name}: no canonical record '{table.record}'"
        yield "mapping.record", ("record",), what, nearest(table.record, records)
    elif record.kind != table.kind:
        what = f"table {name}: kind is '{table.kind}', record '{table.record}' is of kind '{record.kind}'"
        yield "mapping.kind", ("kind",), what, f'write kind = "{record.kind}" or name another record'


def _columns(name: str, table: TableFile, records: Mapping[str, RecordFile]) -> Found:
    claimed: dict[tuple[str, str], str] = {}
    for column, said in table.columns.items():
        where, key = f"table {name}: column {column}", ("columns", column)
        if column in NEVER_CAPTURED:
            yield "schema.restricted", key, f"{where} may not be captured", "remove the column"
        record, field = target(table.record, said)
        if record not in records:
            if record != table.record:  # else it was said of the table
                what = f"{where}: no canonical record '{record}'"
                yield "mapping.record", key, what, nearest(record, records)
            continue
        if field not in records[record].fields:
            what = f"{where}: record '{record}' has no field '{field}'"
            yield "mapping.field", key, what, nearest(field, records[record].fields)
        elif (record, field) in claimed:
            what = f"{where}: {record}.{field} is already claimed by column {claimed[record, field]}"
            yield "mapping.duplicate", key, what, "let one column claim a field: remove one of the two"
        claimed[record, field] = column
    for column in sorted(set(table.unmapped) & {table.entity, table.row, *table.columns}):
        what = f"table {name}: column {column} is mapped and unmapped"
        yield "mapping.duplicate", ("unmapped",), what, "remove one of the two"


def target(record: str, said: str) -> tuple[str, str]:
    """(record, field) that a mapped column claims: `field` of the table's record, or `record.field`."""
    other, dot, field = said.partition(".")
    return (other, field) if dot else (record, other)


def _problem(code: str, file: str, places: Places, path: Path, what: str, fix: str) -> Problem:
    return Problem(code, f"{file}:{places.of(path)}", what, WHY[code], fix)
