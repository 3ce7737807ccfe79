"""Debezium's records become changes: the first step of the flow.

Sits between the raw bytes of `cdc.<system>` and the entity. Bad input is a value (`Malformed`), never an
exception; nothing here looks at any other record. Envelope and traps: shared contract with Debezium 3.7
(`decimal.handling.mode=string`, `time.precision.mode=isostring`, values as schemaless JSON).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct

from streams.core.change import Canary, Change, Confirmation, Control, Decoded, Int64, Malformed, Position
from streams.core.columns import PLACEHOLDER, OutOfRange, Table, TableDecoder

CONTROL_TABLES = frozenset({"concord_pending", "concord_request"})
"""The platform's own tables in a system: its adapter's books, not provider data."""

APPLIED_TABLE = "concord_applied"
"""What an adapter wrote last, the first row of each of its transactions."""

CANARY_TABLE = "concord_canary"
"""A count raised each second: nobody's data, and proof that capture goes on."""

ANY = "any"
"""The kind of a table whose rows name theirs."""
SUBJECTS = frozenset({"provider", "organization", "location"})

MAX_ROW_BYTES = 2 * 1024 * 1024
"""Larger rows are quarantined: an entity must stay well under the topics' message limit."""

_PLACEHOLDER = PLACEHOLDER.encode()


class Source(Struct, frozen=True, gc=False):
    """The parts of Debezium's `source` block that are used."""

    table: str = ""
    sequence: str | None = None
    lsn: Int64 | None = None
    txId: Int64 | None = None  # Debezium's spelling
    ts_us: Int64 | None = None
    snapshot: str | None = None


class Envelope(Struct, frozen=True, gc=False):
    """Debezium's envelope; the row images stay raw until the table is known."""

    op: str
    source: Source
    before: Raw = Raw(b"null")
    after: Raw = Raw(b"null")
    ts_us: Int64 | None = None


class AppliedRow(Struct, frozen=True, gc=False):
    """A row of concord_applied."""

    kind: str
    entity_id: str
    local_id: str
    revision: Int64
    view_hash: str = ""


class CanaryRow(Struct, frozen=True, gc=False):
    """A row of concord_canary."""

    beat: Int64


_decode_canary = msgspec.json.Decoder(CanaryRow).decode
_decode_applied = msgspec.json.Decoder(AppliedRow).decode
_decode_envelope = msgspec.json.Decoder(Envelope).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode
_READ = "r"
_DELETE = "d"
_TRUNCATE = "t"
_OPERATIONS = frozenset({"c", "u", _READ, _DELETE, _TRUNCATE})
_STREAMED = 2**63
"""No LSN reaches it: taken off the LSN of a row that was read, it leaves a number below every streamed one's."""


_NAME_LENGTH = 64
"""PostgreSQL's own limit is 63 bytes: a longer name is nobody's table, and must not fill a header."""
_NOTHING: dict[str, Any] = {}
_NO_FIELDS: tuple[str, ...] = ()


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
            if source.table == APPLIED_TABLE:
                return self._applied(key, headers, envelope)
            if source.table == CANARY_TABLE:
                return self._canary(envelope)
            if source.table in CONTROL_TABLES:
                return Control(self.system, source.table)
            return Malformed(
                "change.table_unknown",
                f"table {source.table[:_NAME_LENGTH]!r} is in no mapping of {self.system}",
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

    def _applied(
        self, key: bytes | None, headers: Iterable[tuple[str, bytes]], envelope: Envelope
    ) -> Decoded:
        if envelope.op in (_DELETE, _TRUNCATE):
            return Control(self.system, APPLIED_TABLE)  # forgotten by hand: what was confirmed stays so
        source = envelope.source
        try:
            position = _position(headers, source, read=envelope.op == _READ)
            row = _decode_applied(envelope.after)
        except (ValueError, TypeError, AttributeError, msgspec.DecodeError):
            return Malformed("change.type_wrong", f"{APPLIED_TABLE}: a column is missing or of a wrong type")
        if _text(key) != row.local_id:
            return Malformed("change.key_mismatch", f"{APPLIED_TABLE}: the key is not the row's local_id")
        return Confirmation(
            self.system,
            row.kind,
            row.entity_id,
            row.local_id,
            row.revision,
            row.view_hash,
            position,
            envelope.op == _READ,
            source.txId or 0,
            source.ts_us or 0,
            envelope.ts_us or 0,
        )

    def _canary(self, envelope: Envelope) -> Decoded:
        if envelope.op in (_DELETE, _TRUNCATE):
            return Control(self.system, CANARY_TABLE)
        try:
            row = _decode_canary(envelope.after)
        except msgspec.DecodeError:
            return Malformed("change.type_wrong", f"{CANARY_TABLE}: a column is missing or of a wrong type")
        return Canary(self.system, row.beat, envelope.source.ts_us or 0, envelope.ts_us or 0)

    def _row(
        self, decoder: TableDecoder, entity_id: str, value: bytes, envelope: Envelope, position: Position
    ) -> Decoded:
        table, source = decoder.table, envelope.source
        initial = envelope.op == _READ and source.snapshot != "incremental"
        try:
            if len(value) > MAX_ROW_BYTES:
                raise _TooLarge(f"{len(value)} bytes, limit {MAX_ROW_BYTES}")
            if envelope.op == _DELETE:
                # Only the identity columns of `before` are right under REPLICA IDENTITY USING INDEX.
                image = _decode_object(envelope.before)
                owner, row_id = str(image[table.entity]), str(image[table.row])
                values, unavailable, beside = None, _NO_FIELDS, _NOTHING
                if table.kind == ANY:
                    return Control(
                        self.system, table.name
                    )  # its kind is gone with it: a ruling once made stays so
            else:
                row = decoder.decode(envelope.after, unavailable=_PLACEHOLDER in value)
                owner, row_id, values = row.entity_id, row.row_id, row.values
                unavailable, beside = row.unavailable, row.beside
            kind = table.kind if table.kind != ANY else _kind(values)
            if owner != entity_id:
                raise _KeyMismatch(f"the key is not the row's {table.entity}")
        except (msgspec.DecodeError, ValueError, KeyError, TypeError, RecursionError) as error:
            code, detail = _classify(error)
            row_id, code, detail = _row_id(table, envelope, code, detail)
            return Malformed(
                code,
                f"{table.name}: {detail}",
                table.kind if table.kind != ANY else "",
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
            self.system,
            kind,
            entity_id,
            table.record,
            row_id,
            position,
            values,
            envelope.op == _READ,
            initial,
            source.txId or 0,
            source.ts_us or 0,
            envelope.ts_us or 0,
            table.mode == "log",
            unavailable,
            beside,
        )


def _position(headers: Iterable[tuple[str, bytes]], source: Source, *, read: bool) -> Position:
    """Rows that were read stand below any change streamed after the same commit."""
    for name, value in headers:
        if name == "concord-epoch":
            lsn = _lsn_of_reading(source) if read else source.lsn
            if lsn is None:
                raise ValueError("no lsn")
            position = int(value.strip(b'"')), _prior_commit(source.sequence), lsn
            if max(position) >= 2**63 or min(position) < -(2**63):
                raise ValueError("beyond 64 bits")
            return position
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


def _kind(values: Any) -> str:
    """The kind that a row of no table's kind names itself."""
    if values.subject_kind not in SUBJECTS:
        raise ValueError("no kind")
    return str(values.subject_kind)


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
