"""One table's columns as the fields of its canonical record: Debezium's row image becomes a typed row.

Used by `decode`. Checks that each mapped column is there and has its type; converts what JSON writes differently
(`time.precision.mode=isostring`, jsonb as text). Raises; `decode` makes a Malformed of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.structs import astuple

from streams.core.canonical import RECORDS, Row
from streams.core.change import Values

PLACEHOLDER = "__debezium_unavailable_value"
_IDENTITY = str | int
_INTEGER = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What the store and Avro can hold: a larger number would be decoded here and fail there, without end."""
_MAX_DEPTH = 32
_MANY_BRACKETS = 64
_LONG_NUMBER = re.compile(r"[0-9]{19}").search


class OutOfRange(ValueError):
    """A value of the right type that no system of ours can hold: an infinite date, a number beyond 64 bits."""


class Column(Struct, frozen=True):
    """A source column and the canonical field it carries. Types: schemas/canonical.toml.

    `field` is `record.field` when the field belongs to another record than the table's.
    """

    name: str
    field: str
    type: str


class Table(Struct, frozen=True):
    """What a mapping says of one source table."""

    name: str
    kind: str
    record: str
    entity: str
    row: str
    mode: str
    columns: tuple[Column, ...]


class Image(Struct, frozen=True, gc=False):
    """A row image, read."""

    entity_id: str
    row_id: str
    values: Row
    unavailable: tuple[str, ...]
    beside: Values


class TableDecoder:
    """Decodes the row images of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._record = RECORDS[table.record]
        self._fields = self._record.__struct_fields__
        self._beside = [column.field for column in table.columns if "." in column.field]
        attributes = _attributes(table, self._fields)
        self._decode = msgspec.json.Decoder(_wire(table, attributes)).decode
        self._entity, self._row = attributes[table.entity], attributes[table.row]
        self._convert = [
            (attributes[c.name], convert) for c in table.columns if (convert := _CONVERT.get(c.type))
        ]

    def decode(self, image: Raw, *, unavailable: bool) -> Image:
        """What a row image says; raises msgspec.ValidationError or ValueError.

        unavailable: the placeholder of an unchanged TOAST value occurs in the record.
        """
        wire = self._decode(image)
        missing = _take_unavailable(wire) if unavailable else ()
        for attribute, convert in self._convert:
            value = getattr(wire, attribute)
            if value is not None:
                setattr(wire, attribute, convert(value))
        values = self._record(*astuple(wire)[: len(self._fields)])
        beside = {name: getattr(wire, _plain(name)) for name in self._beside} if self._beside else _NOTHING
        return Image(str(getattr(wire, self._entity)), str(getattr(wire, self._row)), values, missing, beside)


_NOTHING: Values = {}


def _plain(field: str) -> str:
    return field.replace(".", "__")


def _attributes(table: Table, fields: tuple[str, ...]) -> dict[str, str]:
    """column -> attribute of the wire row; the identity columns are mapped, too, or have one of their own."""
    attributes = {column.name: _plain(column.field) for column in table.columns}
    for name in (table.entity, table.row):
        attributes.setdefault(name, f"{name}__id" if name in fields else name)
    return attributes


def _wire(table: Table, attributes: dict[str, str]) -> type[Struct]:
    """A row as JSON has it: the record's fields first and in their order, so that it becomes a row by position."""
    types = {column.name: _wire_type(column.type) for column in table.columns}
    required = {attribute: types.get(column, _IDENTITY) for column, attribute in attributes.items()}
    fields = RECORDS[table.record].__struct_fields__
    others = [name for name in required if name not in fields]
    defined: list[Any] = [
        (name, required[name]) if name in required else (name, None, None) for name in (*fields, *others)
    ]
    names = {attribute: column for column, attribute in attributes.items()}
    # A field without column must not be filled by a column that happens to have its name.
    renamed = {name: names.get(name, f"~{name}") for name in (*fields, *others)}
    return msgspec.defstruct(f"Row_{table.name}", defined, kw_only=True, rename=renamed, gc=False)


def _take_unavailable(wire: Any) -> tuple[str, ...]:
    # Three encodings: text and jsonb carry the bare string, arrays carry it as their only element.
    found = [
        name
        for name in wire.__struct_fields__
        if (value := getattr(wire, name)) == PLACEHOLDER or value == [PLACEHOLDER]
    ]
    for name in found:
        setattr(wire, name, None)
    return tuple(found)


def _wire_type(canonical: str) -> Any:
    match canonical:
        case "integer":
            return _INTEGER | None
        case "boolean":
            return bool | None
        case "text_list":
            return list[str | None] | None
        case "decimal":  # Debezium writes a numeric as text, and a column of integers as numbers
            return str | int | None
        case "json":  # a column may hold the list as text[]: it arrives as a list, jsonb as its text
            return list[str | None] | str | None
        case "uuid":
            return str | int | None
        case _:
            return str | None


@lru_cache(65_536)
def _date(value: str) -> str:
    """`2027-01-01Z` -> `2027-01-01`; infinity and years beyond four digits are refused, not guessed."""
    text = value[:-1] if value[-1:] == "Z" else value
    if len(text) == 10 and text[4] == "-" and text[7] == "-":
        date.fromisoformat(text)
        return text
    if _ANY_YEAR(text):
        raise OutOfRange
    raise ValueError("not a calendar date")


_ANY_YEAR = re.compile(r"[+-]?[0-9]{4,}-[0-9]{2}-[0-9]{2}").fullmatch


_NO_MOMENTS = frozenset({"infinity", "-infinity"})


def _moment(value: str) -> str:
    """As Debezium writes a timestamp; a column that became a date or a text would be read as another moment."""
    if (value[-1:] != "Z" or "T" not in value) and value not in _NO_MOMENTS:
        raise ValueError("not a timestamp")
    return value


def _document(value: Any) -> Any:
    if isinstance(value, list):
        return value
    try:
        document = msgspec.json.decode(value)
    except RecursionError:
        raise OutOfRange from None
    if value.count("[") + value.count("{") > _MANY_BRACKETS or _LONG_NUMBER(value):
        _check_storable(document, _MAX_DEPTH)
    return document


def _check_storable(document: Any, depth: int) -> None:
    """What the store's encoding can't take back is refused here, where it still is one bad record."""
    if depth == 0 or (isinstance(document, int) and not -(2**63) <= document < 2**63):
        raise OutOfRange
    if isinstance(document, dict | list):
        for item in document.values() if isinstance(document, dict) else document:
            _check_storable(item, depth - 1)


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "date": _date,
    "json": _document,
    "uuid": str,
    "decimal": str,
    "timestamp": _moment,
}
