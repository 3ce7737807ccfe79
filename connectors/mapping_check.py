"""Does a system's database deliver what its mapping promises? Each problem comes with its cure.

    Mapping + Catalog + Survey --judge--> problems

`judge` is pure; `check` looks first (survey.py). A fix is SQL that its owner can paste as it stands, or a
line to change in a file; nothing is ever changed from here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from psycopg import sql

from connectors.source import HEARTBEAT, OWN, SIGNAL, captured, message_key
from connectors.survey import EVENTS, Column, Facts, Survey, survey
from schemas.catalog import Catalog, Mapping, Table
from schemas.catalog_check import NEVER_CAPTURED

CAPTURE_ROLE = "concord_capture"
PUBLICATION = "concord"

_INTEGERS = frozenset({"int2", "int4", "int8"})
_TEXTS = frozenset({"text", "varchar", "bpchar", "char", "citext", "name", "uuid"})
TYPES: dict[str, frozenset[str]] = {
    "text": _TEXTS,  # never an integer: leading zeros
    "integer": _INTEGERS,
    "boolean": frozenset({"bool"}),
    "date": frozenset({"date"}),
    "timestamp": frozenset({"timestamptz", "timestamp"}),
    "decimal": frozenset({"numeric"}) | _INTEGERS,  # never a float: it isn't exact
    "json": frozenset({"json", "jsonb", "_text", "_varchar", "_bpchar"}),  # a list is a document too
    "text_list": frozenset({"_text", "_varchar", "_bpchar"}),
    "uuid": frozenset({"uuid"}),
}
"""Canonical type -> PostgreSQL types (pg_type.typname) whose values it can hold without loss."""

RIGHTS = {HEARTBEAT: ("update",), SIGNAL: ("select", "insert")}
"""What capture needs beside SELECT on mapped columns, and no more (design: security at the source)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: a stable code, where, what, and the exact cure. `place`: the file and line of the
    mapping that it concerns, with table and column. `warning`: worth a decision, and nothing fails meanwhile."""

    code: str
    where: str
    message: str
    fix: str
    place: str = ""
    warning: bool = False


def check(
    mapping: Mapping, catalog: Catalog, dsn: str, *, role: str = CAPTURE_ROLE, publication: str = PUBLICATION
) -> list[Problem]:
    """Problems of the live database; raises Unavailable when it could not look."""
    seen = survey(dsn, looked_at(mapping), role=role, publication=publication)
    return judge(mapping, catalog, seen, role=role, publication=publication)


def looked_at(mapping: Mapping) -> list[str]:
    """The tables that a check must have seen."""
    return [*(table.qualified for table in captured(mapping)), SIGNAL, HEARTBEAT]


def judge(
    mapping: Mapping,
    catalog: Catalog,
    seen: Survey,
    *,
    role: str = CAPTURE_ROLE,
    publication: str = PUBLICATION,
) -> list[Problem]:
    """Problems of what was seen; pure."""
    judgement = _Judgement(mapping, catalog, seen, role, publication)
    return [replace(found, place=place(mapping, found.where)) for found in judgement.problems()]


def place(mapping: Mapping, where: str) -> str:
    """`schemas/mapping/<system>.toml:<line> <table>.<column>` of `<system>.<schema>.<table>.<column>`; "" for what
    no mapping names."""
    for table in mapping.tables.values():
        prefix = f"{mapping.system}.{table.qualified}"
        if where == prefix or where.startswith(f"{prefix}."):
            column = where[len(prefix) + 1 :]
            line = table.lines.get(column, table.lines.get("", 1))
            return f"{file_of(mapping)}:{line} {'.'.join(filter(None, (table.name, column)))}"
    return ""


def file_of(mapping: Mapping) -> str:
    """The mapping's file, as the project names it."""
    return f"schemas/mapping/{mapping.system}.toml"


def quoted(name: str) -> str:
    """An identifier, or `schema.table`, safe to paste."""
    return sql.Identifier(*name.split(".")).as_string(None)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)


@dataclass(frozen=True, slots=True)
class _Judgement:
    mapping: Mapping
    catalog: Catalog
    seen: Survey
    role: str
    publication: str

    def problems(self) -> Iterator[Problem]:
        """Of the database, then table by table, then of Concord's own tables."""
        if not self.seen.role:
            fix = f"create role {quoted(self.role)} login replication;  -- and set its password"
            yield Problem("mapping.role", self.mapping.system, f"role {self.role} does not exist", fix)
            return
        yield from self._publication()
        for table in captured(self.mapping):
            yield from self._table(table)
        for name, rights in RIGHTS.items():
            yield from self._own(name, rights)

    def _publication(self) -> Iterator[Problem]:
        missing = set(EVENTS) - self.seen.events
        if not self.seen.publication:
            fix = f"create publication {quoted(self.publication)};  -- then add the tables named below"
            yield Problem(
                "mapping.publication", self.mapping.system, f"no publication {self.publication}", fix
            )
        elif missing:
            fix = f"alter publication {quoted(self.publication)} set (publish = '{', '.join(EVENTS)}');"
            yield Problem(
                "mapping.publication", self.mapping.system, f"does not publish {sorted(missing)}", fix
            )

    def _table(self, table: Table) -> Iterator[Problem]:
        facts = self.seen.tables.get(table.qualified)
        if facts is None:
            yield self._missing_table(table.qualified)
            return
        present = [column for column in table.captured if column in facts.columns]
        missing = [column for column in table.captured if column not in facts.columns]
        strangers = _strangers(table, facts)
        yield from (self._missing_column(table, column, facts, strangers) for column in missing)
        yield from (self._unmapped(table, column) for column in strangers if not missing)
        yield from self._types(table, facts)
        yield from self._nullable(table, facts)
        yield from self._identity(table, facts)
        yield from self._published(table.qualified, present, facts)
        yield from self._readable(table, present, facts)

    def _missing_table(self, name: str) -> Problem:
        fix = f"correct the name in {self._file}, or remove [table.{name}]"
        if name in (*(table.qualified for table in OWN), SIGNAL, HEARTBEAT):
            fix = f"apply connectors/{self.mapping.system}/capture.sql (`concord systems apply`)"
        renamed = ", ".join(self.seen.strangers)
        hint = f"; {renamed} is published and in no mapping: was it renamed?" if renamed else ""
        return Problem("mapping.missing_table", self._where(name), "the table does not exist" + hint, fix)

    def _missing_column(
        self, table: Table, column: str, facts: Facts, strangers: Sequence[str] = ()
    ) -> Problem:
        near = get_close_matches(column, strangers or facts.columns, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        if strangers and not near:
            hint = f"; {', '.join(strangers)} is in no mapping: was it renamed?"
        fix = f"give the column back, or correct or remove '{column}' in [table.{table.name}] of {self._file}"
        where = self._where(table.qualified, column)
        return Problem("mapping.missing_column", where, "the column does not exist" + hint, fix)

    def _unmapped(self, table: Table, column: str) -> Problem:
        name = f"{self.mapping.system}.{table.name}.{column}"
        fix = (
            f"map it: concord schema new-field {table.record}.{column} --column {name} ...; or leave it out: "
            f"add '{column}' to `unmapped` of [table.{table.name}] in {self._file}"
        )
        where = self._where(table.qualified, column)
        message = f"the column {column} is new, and the mapping says nothing of it: it is not captured"
        return Problem("mapping.unmapped", where, message, fix, warning=True)

    def _types(self, table: Table, facts: Facts) -> Iterator[Problem]:
        for name in table.columns if table not in OWN else ():
            column, field = facts.columns.get(name), self.catalog.field(*table.target(name))
            if column and field and not fits(field.type, column):
                path = ".".join(table.target(name))
                message = f"the column is {column.type}, {path} is {field.type}"
                fix = f"map a column of type {_either(field.type)}, or correct {path} in canonical.toml"
                yield Problem("mapping.type", self._where(table.qualified, name), message, fix)

    def _nullable(self, table: Table, facts: Facts) -> Iterator[Problem]:
        for name in message_key(table):
            column = facts.columns.get(name)
            if column and not column.required:
                fix = (
                    f"-- rows without one must get one first\n"
                    f"alter table {quoted(table.qualified)} alter column {quoted(name)} set not null;"
                )
                message = "the column may be null, so rows could have no key"
                yield Problem("mapping.nullable", self._where(table.qualified, name), message, fix)

    def _identity(self, table: Table, facts: Facts) -> Iterator[Problem]:
        key = message_key(table)
        if set(key) <= set(facts.identity or ()) or not set(key) <= facts.columns.keys():
            return
        now = f"({', '.join(facts.identity)})" if facts.identity else "FULL or NOTHING"
        message = (
            f"the replica identity is {now}, not ({', '.join(reversed(key))}): deletes would have no key"
        )
        fix = _identity_fix(table.qualified, key, facts.primary)
        yield Problem("mapping.replica_identity", self._where(table.qualified), message, fix)

    def _published(self, name: str, columns: Sequence[str], facts: Facts) -> Iterator[Problem]:
        where, publication, table = self._where(name), quoted(self.publication), quoted(name)
        restricted = bool(NEVER_CAPTURED & facts.columns.keys())
        wanted = f" ({_listed(columns)})" if restricted else ""
        missing = [column for column in columns if column not in (facts.published or ())]
        if facts.published is None:
            fix = f"alter publication {publication} add table {table}{wanted};"
            yield Problem("mapping.unpublished", where, f"not in publication {self.publication}", fix)
        elif missing or facts.row_filter:
            fault = (
                f"the column list lacks {', '.join(missing)}"
                if missing
                else f"only rows where {facts.row_filter}"
            )
            fix = (
                f"begin;\nalter publication {publication} drop table {table};\n"
                f"alter publication {publication} add table {table}{wanted};\ncommit;"
            )
            yield Problem("mapping.partly_published", where, f"publication {self.publication}: {fault}", fix)

    def _readable(self, table: Table, columns: Sequence[str], facts: Facts) -> Iterator[Problem]:
        hidden = [column for column in columns if not facts.columns[column].readable]
        if hidden:
            fix = f"grant select ({_listed(hidden)}) on {quoted(table.qualified)} to {quoted(self.role)};"
            message = f"role {self.role} may not read {', '.join(hidden)}"
            yield Problem("mapping.grant", self._where(table.qualified), message, fix)

    def _own(self, name: str, rights: Sequence[str]) -> Iterator[Problem]:
        facts = self.seen.tables.get(name)
        if facts is None:
            yield self._missing_table(name)
            return
        yield from self._published(name, tuple(facts.columns), facts)
        lacking = [right for right in rights if right not in facts.rights]
        if lacking:
            fix = f"grant {', '.join(lacking)} on {quoted(name)} to {quoted(self.role)};"
            message = f"role {self.role} may not {' or '.join(lacking)}"
            yield Problem("mapping.grant", self._where(name), message, fix)

    @property
    def _file(self) -> str:
        return file_of(self.mapping)

    def _where(self, table: str, column: str = "") -> str:
        return ".".join(part for part in (self.mapping.system, table, column) if part)


def _strangers(table: Table, facts: Facts) -> list[str]:
    """Columns that nobody has said anything of. What may never be captured needs no word."""
    if table in OWN:
        return []
    known = {*table.captured, *table.unmapped, *NEVER_CAPTURED}
    return [column for column in facts.columns if column not in known]


def _either(wanted: str) -> str:
    return " or ".join(sorted(TYPES[wanted]))


def fits(wanted: str, column: Column) -> bool:
    """A column of this type holds values of the canonical type without loss."""
    return column.type in TYPES[wanted] or (column.enum and wanted == "text")


def _identity_fix(table: str, key: Sequence[str], primary: Sequence[str]) -> str:
    if set(key) <= set(primary):
        return f"alter table {quoted(table)} replica identity default;"
    index = f"{table.rpartition('.')[2][:46]}_concord_identity"
    return (
        f"-- not inside a transaction\n"
        f"create unique index concurrently if not exists {quoted(index)}\n"
        f"    on {quoted(table)} ({_listed(reversed(key))});\n"
        f"alter table {quoted(table)} replica identity using index {quoted(index)};"
    )
