"""The catalogue: what may be said (canonical.toml) and which column says it (mapping/<system>.toml).

    files --load--> Catalog, Mapping --> connectors (what to capture), streams (what a row means), check

A hospital with other table names changes a mapping file and no code. The files are outside input:
pydantic reads their shape, this module checks that they agree with each other, and what leaves it is
frozen. It never looks into a database (schemas/check.py does) and decides nothing about authority.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError
from pydantic import Field as Attribute

from streams.errors import EnvironmentFault, InvalidInput

FieldType = Literal["text", "integer", "boolean", "date", "timestamp", "decimal", "json", "text_list", "uuid"]
FieldClass = Literal["public", "S2", "S1"]
Mode = Literal["state", "log"]

Shape = TypeVar("Shape", bound=BaseModel)

NEVER_CAPTURED = frozenset({"ssn"})
"""Names that no catalogue and no mapping may carry: a social security number stays at its source."""


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
    """One captured table: whose entity its rows belong to and which canonical field each column is."""

    name: str
    kind: str
    record: str
    entity: str
    row: str
    mode: Mode
    columns: ReadOnly[str, str]

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
        record, dot, field = self.columns[column].partition(".")
        return (record, field) if dot else (self.record, record)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One system's tables. `rekeyed`: it has ids of its own, agent rekey comes before decide."""

    system: str
    version: int
    rekeyed: bool
    tables: ReadOnly[str, Table]


class _Outside(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _FieldFile(_Outside):
    type: FieldType
    cls: FieldClass = Attribute(alias="class")


class _RecordFile(_Outside):
    kind: str
    fields: dict[str, _FieldFile] = Attribute(min_length=1)


class _CatalogFile(RootModel[dict[str, _RecordFile]]):
    pass


class _TableFile(_Outside):
    kind: str
    record: str
    entity: str
    row: str
    mode: Mode
    columns: dict[str, str]


class _MappingFile(_Outside):
    system: str
    version: int = Attribute(ge=1)
    rekeyed: bool
    table: dict[str, _TableFile] = Attribute(min_length=1)


@cache
def load_catalog(directory: Path | None = None) -> Catalog:
    """The canonical records of `directory`/canonical.toml; without one, those shipped with Concord."""
    file = _folder(directory) / "canonical.toml"
    parsed = _parse(_CatalogFile, _read(file), file).root
    return Catalog(MappingProxyType({name: _record(file, name, record) for name, record in parsed.items()}))


@cache
def load_mapping(system: str, path: Path | None = None, directory: Path | None = None) -> Mapping:
    """One system's mapping: the file `path`, or <system>.toml of `directory` or of the package."""
    file: Traversable = path or _folder(directory) / "mapping" / f"{system}.toml"
    parsed = _parse(_MappingFile, _read(file), file)
    if parsed.system != system:
        _refuse("mapping.system", f"{file}: system is '{parsed.system}'", f'write system = "{system}"')
    catalog = load_catalog(directory)
    tables = {name: _table(file, name, table, catalog) for name, table in parsed.table.items()}
    return Mapping(system, parsed.version, parsed.rekeyed, MappingProxyType(tables))


def load_mappings(directory: Path | None = None) -> dict[str, Mapping]:
    """Every mapping there is, by system, in the order of the names."""
    return {system: load_mapping(system, directory=directory) for system in _systems(_folder(directory))}


def _folder(directory: Path | None) -> Traversable:
    return directory if directory else files("schemas")


def _systems(folder: Traversable) -> Iterator[str]:
    mapping = folder / "mapping"
    names = sorted(entry.name for entry in mapping.iterdir()) if mapping.is_dir() else []
    return (name.removesuffix(".toml") for name in names if name.endswith(".toml"))


def _read(file: Traversable) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as fault:
        message = f"{file}: {fault.strerror or fault}"
        raise EnvironmentFault("schema.unreadable", message, "check the path and its permissions") from fault
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
        _refuse("schema.syntax", f"{file}: {fault}", "correct the TOML at that line", fault)


def _parse(shape: type[Shape], content: dict[str, object], file: Traversable) -> Shape:
    try:
        return shape.model_validate(content)
    except ValidationError as fault:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in fault.errors(include_url=False)]
        _refuse("schema.invalid", f"{file}: " + "; ".join(lines), "correct these entries of the file", fault)


def _record(file: Traversable, name: str, record: _RecordFile) -> Record:
    for field in NEVER_CAPTURED & record.fields.keys():
        _refuse("schema.restricted", f"{file}: {name}.{field} may not be captured", "remove the field")
    fields = {field: Field(entry.type, entry.cls) for field, entry in record.fields.items()}
    return Record(name, record.kind, MappingProxyType(fields))


def _table(file: Traversable, name: str, entry: _TableFile, catalog: Catalog) -> Table:
    table = Table(
        name, entry.kind, entry.record, entry.entity, entry.row, entry.mode, MappingProxyType(entry.columns)
    )
    _check_record(file, table, catalog)
    _check_restricted(file, table)
    _check_targets(file, table, catalog)
    return table


def _check_record(file: Traversable, table: Table, catalog: Catalog) -> None:
    record = catalog.records.get(table.record)
    where = f"{file}: table {table.name}"
    if record is None:
        _refuse("mapping.record", f"{where}: no canonical record '{table.record}'", _one_of(catalog.records))
    if record.kind != table.kind:
        message = f"{where}: kind is '{table.kind}', record '{record.name}' is of kind '{record.kind}'"
        _refuse("mapping.kind", message, f'write kind = "{record.kind}" or name another record')


def _check_restricted(file: Traversable, table: Table) -> None:
    for column in sorted(NEVER_CAPTURED & set(table.captured)):
        message = f"{file}: table {table.name}: column {column} may not be captured"
        _refuse("schema.restricted", message, "remove the column: it never leaves its source")


def _check_targets(file: Traversable, table: Table, catalog: Catalog) -> None:
    claimed: dict[tuple[str, str], str] = {}
    for column in table.columns:
        where = f"{file}: table {table.name}: column {column}"
        target = table.target(column)
        _check_field(where, target, catalog)
        if target in claimed:
            message = f"{where}: {'.'.join(target)} is already claimed by column {claimed[target]}"
            _refuse("mapping.duplicate", message, "let one column claim a field: remove one of the two")
        claimed[target] = column


def _check_field(where: str, target: tuple[str, str], catalog: Catalog) -> None:
    record, field = target
    if record not in catalog.records:
        _refuse("mapping.record", f"{where}: no canonical record '{record}'", _one_of(catalog.records))
    if catalog.field(record, field) is None:
        message = f"{where}: record '{record}' has no field '{field}'"
        _refuse("mapping.field", message, _one_of(catalog.records[record].fields))


def _one_of(names: ReadOnly[str, object]) -> str:
    return "use one of: " + ", ".join(sorted(names)) + "; or add it to canonical.toml"


def _refuse(code: str, message: str, next_step: str, cause: Exception | None = None) -> NoReturn:
    raise InvalidInput(code, message, next_step) from cause
