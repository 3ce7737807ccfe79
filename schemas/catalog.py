"""The catalogue: what may be said (canonical.toml) and which column says it (mapping/<system>.toml).

    files --load--> Catalog, Mapping --> connectors (what to capture), streams (what a row means), check

A hospital with other table names changes a mapping file and no code. The files are outside input: schemas/strict.py
reads their shape, schemas/catalog_check.py whether they agree, and what leaves this module is frozen. It never looks
into a database (connectors/mapping_check.py does) and decides nothing about authority.
"""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from schemas import catalog_check, strict
from schemas.catalog_file import (
    CatalogFile,
    FieldClass,
    FieldType,
    MappingFile,
    Mode,
    RecordFile,
    TableFile,
)
from schemas.place import Places
from schemas.problem import Problem, refuse
from streams.errors import EnvironmentFault, InvalidInput

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Field:
    """One canonical field: its type, and the class that decides which topics may carry it."""

    type: FieldType
    cls: FieldClass


@dataclass(frozen=True, slots=True)
class Record:
    """One canonical record (license, taxonomy, ...) of one kind of entity."""

    name: str
    kind: str
    fields: ReadOnly[str, Field]


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every canonical record by name."""

    records: ReadOnly[str, Record]

    def field(self, record: str, field: str) -> Field | None:
        """The field `record.field`, or None where the catalogue has none."""
        found = self.records.get(record)
        return found.fields.get(field) if found else None


@dataclass(frozen=True, slots=True)
class Table:
    """One captured table: whose entity its rows belong to and which canonical field each column is; `unmapped`: the
    columns left out on purpose; `lines`: where the file speaks of a column, and under "" of the table."""

    name: str
    kind: str
    record: str
    entity: str
    row: str
    mode: Mode
    columns: ReadOnly[str, str]
    unmapped: tuple[str, ...] = ()
    lines: ReadOnly[str, int] = field(default_factory=dict, compare=False)

    @property
    def qualified(self) -> str:
        """`schema.table`, as Debezium and the publication name it."""
        return self.name if "." in self.name else f"public.{self.name}"

    @property
    def key(self) -> tuple[str, ...]:
        """The unique key of a row: entity first, then the row's own id (once, when they are the same)."""
        return tuple(dict.fromkeys((self.entity, self.row)))

    @property
    def captured(self) -> tuple[str, ...]:
        """Every column that leaves the source: the key, then the mapped ones."""
        return tuple(dict.fromkeys((*self.key, *self.columns)))

    def target(self, column: str) -> tuple[str, str]:
        """(record, field) that a mapped column claims."""
        return catalog_check.target(self.record, self.columns[column])


@dataclass(frozen=True, slots=True)
class Mapping:
    """One system's tables. `rekeyed`: it has ids of its own, agent rekey comes before decide."""

    system: str
    version: int
    rekeyed: bool
    tables: ReadOnly[str, Table]


@cache
def load_catalog(directory: Path | None = None) -> Catalog:
    """The canonical records of `directory`/canonical.toml; without one, those shipped with Concord."""
    parsed, problems = _records(_folder(directory))
    if parsed is None or problems:
        refuse(problems)
    return Catalog(_frozen({name: _record(name, record) for name, record in parsed.items()}))


@cache
def load_mapping(system: str, path: Path | None = None, directory: Path | None = None) -> Mapping:
    """One system's mapping: the file `path`, or <system>.toml of `directory` or of the package."""
    load_catalog(directory)
    parsed, places, problems = _mapped(system, path or _mapping_file(system, directory), directory)
    if parsed is None or problems:
        refuse(problems)
    tables = {name: _table(name, table, places) for name, table in parsed.table.items()}
    return Mapping(system, parsed.version, parsed.rekeyed, _frozen(tables))


def load_mappings(directory: Path | None = None) -> dict[str, Mapping]:
    """Every mapping there is, by system, in the order of the names."""
    return {system: load_mapping(system, directory=directory) for system in systems(directory)}


def problems(directory: Path | None = None) -> list[Problem]:
    """All that is wrong with the catalogue and every mapping, at once."""
    found = list(_records(_folder(directory))[1])
    for system in systems(directory):
        found += _mapped(system, _mapping_file(system, directory), directory)[2]
    return found


def systems(directory: Path | None = None) -> list[str]:
    """The systems that have a mapping, in the order of the names."""
    mapping = _folder(directory) / "mapping"
    names = sorted(entry.name for entry in mapping.iterdir()) if mapping.is_dir() else []
    return [name.removesuffix(".toml") for name in names if name.endswith(".toml")]


def _folder(directory: Path | None) -> Traversable:
    return directory if directory else files("schemas")


def _mapping_file(system: str, directory: Path | None) -> Traversable:
    return _folder(directory) / "mapping" / f"{system}.toml"


def _records(folder: Traversable) -> tuple[ReadOnly[str, RecordFile] | None, list[Problem]]:
    file = folder / "canonical.toml"
    parsed, places, found = strict.parse(CatalogFile, _text(file), str(file), "schema")
    if parsed is None:
        return None, found
    return parsed.root, [*catalog_check.catalog(parsed, places, str(file))]


def _mapped(
    system: str, file: Traversable, directory: Path | None
) -> tuple[MappingFile | None, Places, list[Problem]]:
    """Compared with the catalogue only where that could be read: what is wrong there is said of it."""
    parsed, places, found = strict.parse(MappingFile, _text(file), str(file), "mapping")
    records, _ = _records(_folder(directory))
    if parsed is None or records is None:
        return parsed, places, found
    return parsed, places, [*catalog_check.mapping(system, parsed, records, places, str(file))]


def _text(file: Traversable) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as fault:
        message = f"{file}: {fault.strerror or fault}"
        raise EnvironmentFault("schema.unreadable", message, "check the path and its permissions") from fault
    except UnicodeDecodeError as fault:
        raise InvalidInput("schema.unreadable", f"{file}: {fault}", "save it as UTF-8 text") from fault


def _record(name: str, record: RecordFile) -> Record:
    fields = {field: Field(entry.type, entry.cls) for field, entry in record.fields.items()}
    return Record(name, record.kind, _frozen(fields))


def _table(name: str, entry: TableFile, places: Places) -> Table:
    keys = {entry.entity: "entity", entry.row: "row"}
    lines = {"": places.of(("table", name))}
    lines |= {column: places.of(("table", name, key)) for column, key in keys.items()}
    lines |= {column: places.of(("table", name, "columns", column)) for column in entry.columns}
    said = entry.kind, entry.record, entry.entity, entry.row, entry.mode
    return Table(name, *said, _frozen(entry.columns), tuple(entry.unmapped), _frozen(lines))


def _frozen(content: ReadOnly[str, V]) -> ReadOnly[str, V]:
    return MappingProxyType(dict(content))
