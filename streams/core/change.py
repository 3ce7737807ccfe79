"""A captured row change, decoded from a Debezium record: the first value of the flow.

Sits between the raw bytes of `cdc.<system>` and the entity. Bad input is a value (`Malformed`), never an
exception; nothing here looks at any other record. Envelope and traps: shared contract with Debezium 3.7
(`decimal.handling.mode=string`, `time.precision.mode=isostring`, values as schemaless JSON).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

Position = tuple[int, int, int]
"""(epoch, prior_commit, lsn): ordered by commit, never by event LSN across transactions (invariant 1)."""

Values = dict[str, Any]
"""Canonical field -> value; text, int, bool, None, lists and JSON documents. Dates are ISO text."""

PLACEHOLDER = "__debezium_unavailable_value"
PLACEHOLDER_BYTES = PLACEHOLDER.encode()
UNAVAILABLE = msgspec.UNSET
"""An unchanged TOAST value that PostgreSQL did not log: neither a string nor null (P03)."""

CONTROL_TABLES = frozenset({"concord_applied", "concord_pending", "concord_request"})
"""The platform's own tables in a system: confirmations, not provider data."""

MAX_ROW_BYTES = 2 * 1024 * 1024
"""Larger rows are quarantined: an entity must stay well under the topics' message limit."""


class Change(Struct, frozen=True, gc=False):
    """One row as one system holds it after one commit; `values` is None when the row was deleted."""

    system: str
    kind: str
    entity_id: str
    record: str
    row_id: str
    position: Position
    values: Values | None
    read: bool
    """Read by a snapshot (op `r`) rather than streamed from the log."""
    initial: bool
    """Part of an initial snapshot: its entity waits for snapshot-complete before it is decided."""
    txid: int
    committed_us: int
    captured_us: int
    log: bool
    """The table is a log (claims, denials, events): not aggregated row by row."""


class Control(Struct, frozen=True):
    """A row of the platform's own tables in a system."""

    system: str
    table: str


class Malformed(Struct, frozen=True):
    """A record that says nothing we can use; `code` is stable, `detail` names paths and never values.

    The rest says whose history now has a gap, and since when, as far as it could be read.
    """

    code: str
    detail: str
    kind: str = ""
    entity_id: str = ""
    record: str = ""
    row_id: str = ""
    system: str = ""
    position: Position | None = None
    initial: bool = False
    txid: int = 0
    committed_us: int = 0
    captured_us: int = 0


Decoded = Change | Control | Malformed


class Column(Struct, frozen=True):
    """A source column and the canonical field it carries. Types: schemas/canonical.toml."""

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


class Source(Struct, frozen=True, gc=False):
    """The parts of Debezium's `source` block that are used."""

    table: str = ""
    sequence: str | None = None
    lsn: int | None = None
    txId: int | None = None  # Debezium's spelling
    ts_us: int | None = None
    snapshot: str | None = None


class Envelope(Struct, frozen=True, gc=False):
    """Debezium's envelope; the row images stay raw until the table is known."""

    op: str
    source: Source
    before: Raw = Raw(b"null")
    after: Raw = Raw(b"null")
    ts_us: int | None = None


_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_READ = "r"
_DELETE = "d"
_TRUNCATE = "t"
_OPERATIONS = frozenset({"c", "u", _READ, _DELETE, _TRUNCATE})
_IDENTITY = str | int
_INTEGER = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What the store and Avro can hold: a larger number would be decoded here and fail there, without end."""
_STREAMED = 2**63
"""No LSN reaches it: taken off the LSN of a row that was read, it leaves a number below every streamed one's."""
_MAX_DEPTH = 32
_MANY_BRACKETS = 64
_LONG_NUMBER = re.compile(r"[0-9]{19}").search


class OutOfRange(ValueError):
    """A value of the right type that no system of ours can hold: an infinite date, a number beyond 64 bits."""


class TableDecoder:
    """Decodes the row images of one table into canonical values, checking presence and type of each column."""

    def __init__(self, table: Table) -> None:
        self.table = table
        names = {column.name for column in table.columns}
        fields: list[tuple[str, Any]] = [(c.name, _wire_type(c.type)) for c in table.columns]
        # Identity columns that are canonical fields too are already listed.
        fields += [
            (name, _IDENTITY) for name in dict.fromkeys((table.entity, table.row)) if name not in names
        ]
        self._decode = msgspec.json.Decoder(msgspec.defstruct(f"Row_{table.name}", fields, gc=False)).decode
        self._pairs = [(c.name, c.field) for c in table.columns]
        self._convert = [(c.field, convert) for c in table.columns if (convert := _CONVERT.get(c.type))]

    def decode(self, image: Raw, *, unavailable: bool) -> tuple[str, str, Values]:
        """(entity id, row id, values) of a row image; raises msgspec.ValidationError or ValueError."""
        row = self._decode(image)
        values = {field: getattr(row, name) for name, field in self._pairs}
        if unavailable:
            _mark_unavailable(values)
        for field, convert in self._convert:
            value = values[field]
            if value is not None and value is not UNAVAILABLE:
                values[field] = convert(value)
        return str(getattr(row, self.table.entity)), str(getattr(row, self.table.row)), values


def _mark_unavailable(values: Values) -> None:
    # Three encodings: text and jsonb carry the bare string, arrays carry it as their only element.
    for field, value in values.items():
        if value == PLACEHOLDER or value == [PLACEHOLDER]:
            values[field] = UNAVAILABLE


def _wire_type(canonical: str) -> Any:
    match canonical:
        case "integer":
            return _INTEGER | None
        case "boolean":
            return bool | None
        case "text_list":
            return list[str | None] | None
        case "json":  # a column may hold the list as text[]: it arrives as a list, jsonb as its text
            return list[str | None] | str | None
        case "uuid":
            return str | int | None
        case _:
            return str | None


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


_CONVERT: dict[str, Callable[[Any], Any]] = {"date": _date, "json": _document, "uuid": str}


class Decoder:
    """Decodes the records of one system's topic; built once from its mapping."""

    def __init__(self, system: str, tables: Iterable[Table]) -> None:
        self.system = system
        self._tables = {table.name: TableDecoder(table) for table in tables}

    def decode(self, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> Decoded:
        """The change a record stands for. Order of checks: envelope, table, key, position, size, columns."""
        if value is None:
            return Malformed("change.value_missing", "the record has no value")
        try:
            envelope = _decode_envelope(value)
        except UnicodeDecodeError:
            return Malformed("change.undecodable", "the value is not UTF-8")
        except msgspec.ValidationError as error:
            return Malformed("change.envelope_unknown", f"no Debezium envelope: {_path(error)}")
        except msgspec.DecodeError:
            return Malformed("change.undecodable", "the value is not JSON")
        except RecursionError:
            return Malformed("change.undecodable", "the value is nested too deeply")
        return self._change(key, value, headers, envelope)

    def _change(
        self, key: bytes | None, value: bytes, headers: Iterable[tuple[str, bytes]], envelope: Envelope
    ) -> Decoded:
        source = envelope.source
        decoder = self._tables.get(source.table)
        if decoder is None:
            if source.table in CONTROL_TABLES:
                return Control(self.system, source.table)
            return Malformed(
                "change.table_unknown", f"table {source.table!r} is in no mapping of {self.system}"
            )
        table = decoder.table
        if envelope.op not in _OPERATIONS:
            return Malformed("change.operation_unknown", f"{source.table}: the operation is none of cudrt")
        if envelope.op == _TRUNCATE:
            return Malformed(
                "change.truncated", f"{source.table} was truncated at its source", record=table.record
            )
        if key is None:
            return Malformed(
                "change.key_missing", f"a row of {source.table} without key", record=table.record
            )
        entity_id = _text(key)
        try:
            position = _position(headers, source, read=envelope.op == _READ)
        except (ValueError, TypeError, AttributeError):
            return Malformed(
                "change.position_unknown",
                f"{table.name}: header concord-epoch, source.sequence or source.lsn",
                table.kind,
                entity_id,
            )
        return self._row(decoder, entity_id, value, envelope, position)

    def _row(
        self, decoder: TableDecoder, entity_id: str, value: bytes, envelope: Envelope, position: Position
    ) -> Decoded:
        table, source = decoder.table, envelope.source
        initial = envelope.op == _READ and source.snapshot != "incremental"
        values: Values | None
        try:
            if len(value) > MAX_ROW_BYTES:
                raise _TooLarge(f"{len(value)} bytes, limit {MAX_ROW_BYTES}")
            if envelope.op == _DELETE:
                # Only the identity columns of `before` are right under REPLICA IDENTITY USING INDEX.
                image = _decode_object(envelope.before)
                owner, row_id, values = str(image[table.entity]), str(image[table.row]), None
            else:
                owner, row_id, values = decoder.decode(envelope.after, unavailable=PLACEHOLDER_BYTES in value)
            if owner != entity_id:
                raise _KeyMismatch(f"the key is not the row's {table.entity}")
        except (msgspec.DecodeError, ValueError, KeyError, TypeError, RecursionError) as error:
            code, detail = _classify(error)
            row_id, code, detail = _row_id(table, envelope, code, detail)
            return Malformed(
                code,
                f"{table.name}: {detail}",
                table.kind,
                entity_id,
                table.record,
                row_id,
                self.system,
                position,
                initial,
                source.txId or 0,
                source.ts_us or 0,
                envelope.ts_us or 0,
            )
        return Change(
            system=self.system,
            kind=table.kind,
            entity_id=entity_id,
            record=table.record,
            row_id=row_id,
            position=position,
            values=values,
            read=envelope.op == _READ,
            initial=initial,
            txid=source.txId or 0,
            committed_us=source.ts_us or 0,
            captured_us=envelope.ts_us or 0,
            log=table.mode == "log",
        )


def _position(headers: Iterable[tuple[str, bytes]], source: Source, *, read: bool) -> Position:
    """Rows that were read stand below any change streamed after the same commit."""
    for name, value in headers:
        if name == "concord-epoch":
            lsn = _lsn_of_reading(source) if read else source.lsn
            if lsn is None:
                raise ValueError("no lsn")
            return (int(value.strip(b'"')), _prior_commit(source.sequence), lsn)
    # Without an epoch the row would silently lose against every claim that has one.
    raise ValueError("no epoch")


def _lsn_of_reading(source: Source) -> int:
    """An initial snapshot that was interrupted is taken again under its epoch, and knows no commit: what changed
    in between only stands in the second reading, which must win against the first."""
    return 0 if source.snapshot == "incremental" else (source.lsn or 0) - _STREAMED


def _prior_commit(sequence: str | None) -> int:
    """`["24023119","24023128"]` -> 24023119: the end of the last commit before this transaction; null -> 0."""
    if not sequence:
        raise ValueError("no sequence")
    first = sequence[1 : sequence.index(",")].strip()
    return 0 if first == "null" else int(first.strip('"'))


class _TooLarge(ValueError):
    pass


class _KeyMismatch(ValueError):
    pass


def _row_id(table: Table, envelope: Envelope, code: str, detail: str) -> tuple[str, str, str]:
    """(row id as far as it can be read, code, detail): an image that is no row is another fault."""
    image = envelope.before if envelope.op == _DELETE else envelope.after
    try:
        found = _decode_object(image).get(table.row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", "change.envelope_unknown", "the row image is no object"
    return (str(found) if isinstance(found, str | int) else ""), code, detail


def _classify(error: Exception) -> tuple[str, str]:
    if isinstance(error, _TooLarge):
        return "change.row_too_large", str(error)
    if isinstance(error, _KeyMismatch):
        return "change.key_mismatch", str(error)
    if isinstance(error, OutOfRange):
        return "change.value_out_of_range", "an infinite date, a number beyond 64 bits or too deep a document"
    if isinstance(error, msgspec.ValidationError):
        text = str(error)
        if "missing required field" in text:
            return "change.column_missing", text.split("missing required field")[1].strip()
        if "Expected `int` <=" in text or "Expected `int` >=" in text:
            return "change.value_out_of_range", _path(error)
        return "change.type_wrong", _path(error)
    if isinstance(error, KeyError):
        return "change.column_missing", str(error)
    return "change.type_wrong", "a date, number or document could not be read"


def _path(error: Exception) -> str:
    """msgspec names types and the path, never the value."""
    return str(error)


def _text(key: bytes | None) -> str:
    return key.decode("utf-8", "replace") if key else ""
