"""Verification: one text a row, whoever writes it down, and what two sides disagree about.

    a claim's row --Shape.hash--> 64 bits      the same 64 bits from PostgreSQL (connectors/checksum.py)
    sums of both, per range of keys --> ranges that differ --> rows --Standing--> missing, extra, different

The text is each column's behind the entity's id and the row's, with separators of ASCII between. A value's own text is
PostgreSQL's where it has one form only, and a form of ours where it has several (timestamps: microseconds since 1970,
UTC; decimals without trailing zeros; documents as jsonb prints them). Never holds, compares or tells a value itself:
what leaves this module are hashes and the names of columns (invariant 11).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Raw, Struct

from streams.core.canonical import DECODE
from streams.core.columns import Table
from streams.core.decode import ANY, SUBJECTS

MISSING = "missing"
"""The source has the row, the platform doesn't."""
EXTRA = "extra"
"""The platform has a row that the source doesn't."""
DIFFERENT = "different"

UNREADABLE = "?"
"""The text of a moment that no calendar of ours has: infinite, before the year 1, after 9999."""
QUARANTINED = 0
"""In place of a hash: the row's newest change is in the quarantine, and a finding says so."""

Hash = int
"""The first 64 bits of an MD5, signed, as PostgreSQL reads them. Kept against accidents, not against forgers."""
Name = tuple[str, str]
"""(entity id, row id) as the source has them"""

# ---- one text a type ----

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def _boolean(value: Any) -> str:
    return "true" if value else "false"


def _moment(value: Any) -> str:
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return UNREADABLE
    return str(((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND)


def _decimal(value: Any) -> str:
    text = str(value)
    if "E" in text or "e" in text:
        try:
            text = format(Decimal(text), "f")
        except InvalidOperation:
            return text
    return text.rstrip("0").rstrip(".") if "." in text else text


def _document(value: Any) -> str:
    return json.dumps(_ordered(value), ensure_ascii=False)


def _ordered(value: Any) -> Any:
    """As jsonb orders keys: the shorter first, then by their bytes."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=_by_length)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _by_length(key: str) -> tuple[int, bytes]:
    encoded = key.encode()
    return len(encoded), encoded


FORMS: Mapping[str, Callable[[Any], str]] = {
    "text": str,
    "uuid": str,
    "integer": str,
    "boolean": _boolean,
    "date": str,
    "timestamp": _moment,
    "decimal": _decimal,
    "json": _document,
    "text_list": _document,
}
"""Canonical type -> the one text of a value that is there."""


UNIT = "\x1f"
"""Between two values: ASCII's unit separator, which no text that somebody types holds."""
NULL = "\x1e"
"""In place of no value."""


def joined(values: Iterable[str | None]) -> str:
    """A row's text. Rows of as many columns have one text only when they are the same, or when values of theirs hold
    separators: that would have to move from one column to the next to hide anything, and each value's length before it,
    which leaves not even that, takes half again of PostgreSQL's time."""
    return UNIT.join([NULL if value is None else value for value in values])


def hashed(text: str) -> Hash:
    """64 bits of a text."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], signed=True)


# ---- what the platform holds ----


class Held(Struct, array_like=True, gc=False):
    """The parts of a stored claim that are compared. Mirrors `core.entity.Claim`."""

    position: Raw
    txid: int
    committed_us: int
    held: Raw
    claimed: Raw = Raw()
    refused: Raw = Raw()
    gaps: Raw = Raw()
    beside: dict[str, Any] = {}


class Stored(Struct, array_like=True, gc=False):
    """The parts of a stored entity that are compared. Mirrors `core.entity.Entity`."""

    kind: str
    id: str
    revision: int = 0
    claims: dict[str, Raw] = {}
    sent: Raw = Raw()
    findings: Raw = Raw()
    gaps: dict[str, str] = {}


decode_stored = msgspec.msgpack.Decoder(Stored).decode
_decode_tables = msgspec.msgpack.Decoder(dict[str, dict[str, Held]]).decode


class Shape:
    """One table of a system as its claims hold it: which fields of which record, in which form."""

    def __init__(self, number: int, system: str, table: Table, *, local: bool) -> None:
        self.number, self.system, self.table = number, system, table
        self.record = table.record
        kinds = sorted(SUBJECTS) if table.kind == ANY else [table.kind]
        self.kinds = tuple(f"{system}.{kind}" if local else kind for kind in kinds)
        """kinds of entity whose claims are this table's rows"""
        self.forgets = table.kind != ANY
        """whether a row that is deleted at its source is deleted here"""
        self._fields = [(column.field, FORMS[column.type]) for column in table.columns]
        self._decode = DECODE[table.record]

    @property
    def name(self) -> str:
        """`system.table`"""
        return f"{self.system}.{self.table.name}"

    def texts(self, claim: Held) -> list[str | None]:
        """The text of each column, in the mapping's order."""
        row, beside = self._decode(claim.held), claim.beside
        values = (beside.get(field) if "." in field else getattr(row, field) for field, _ in self._fields)
        return [
            None if value is None else form(value)
            for value, (_, form) in zip(values, self._fields, strict=True)
        ]

    def hash(self, entity_id: str, row_id: str, claim: Held) -> Hash:
        """The row's."""
        return hashed(joined((entity_id, row_id, *self.texts(claim))))

    def claim(self, value: bytes, row_id: str) -> Held | None:
        """The live claim of one of its rows in a stored entity."""
        entity = decode_stored(value)
        tables = _decode_tables(entity.claims[self.system]) if self.system in entity.claims else {}
        claim = tables.get(self.record, {}).get(row_id)
        return claim if claim is not None and len(claim.held) > 1 else None


class Shapes:
    """Every table that is compared, by the kinds of entity that hold its rows."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self.all = tuple(shapes)
        self._by_kind: dict[str, dict[str, dict[str, Shape]]] = {}
        for shape in self.all:
            for kind in shape.kinds:
                self._by_kind.setdefault(kind, {}).setdefault(shape.system, {})[shape.record] = shape

    def holds(self, key: bytes) -> bool:
        """Whether the entity under this key can have rows of these tables."""
        return key.partition(b"/")[0].decode() in self._by_kind

    def rows(self, value: bytes) -> list[tuple[int, str, Hash]]:
        """(table's number, row id, hash) of every live row in a stored entity."""
        entity = decode_stored(value)
        return [
            found
            for system, shapes in self._by_kind[entity.kind].items()
            if system in entity.claims
            for found in _rows(entity, _decode_tables(entity.claims[system]), shapes)
        ] + self._quarantined(entity)

    def _quarantined(self, entity: Stored) -> list[tuple[int, str, Hash]]:
        """Rows whose newest change could not be used: nothing is known of them, and a finding says so."""
        return [
            (shape.number, row_id, QUARANTINED)
            for subject in entity.gaps
            for record, _, row_id in [subject.partition("/")]
            for shapes in self._by_kind[entity.kind].values()
            if (shape := shapes.get(record)) is not None
        ]


def _rows(
    entity: Stored, tables: Mapping[str, Mapping[str, Held]], shapes: Mapping[str, Shape]
) -> Iterator[tuple[int, str, Hash]]:
    for record, shape in shapes.items():
        for row_id, claim in tables.get(record, _NOTHING).items():
            if len(claim.held) > 1 and not (entity.gaps and f"{record}/{row_id}" in entity.gaps):
                yield shape.number, row_id, shape.hash(entity.id, row_id, claim)


_NOTHING: dict[str, Any] = {}


# ---- two sides ----


class Sum(Struct):
    """How many rows a range of keys has, and the sum of their hashes: a sum, since two equal rows would cancel out."""

    count: int = 0
    total: int = 0

    def add(self, row: Hash) -> None:
        """One more row."""
        self.count += 1
        self.total += row


def difference(ours: Mapping[Name, Hash], theirs: Mapping[Name, Hash]) -> set[Name]:
    """Rows on which the platform (`ours`) and the source (`theirs`) don't agree."""
    return {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}


def state(ours: Hash | None, theirs: Hash | None) -> str:
    """What a disagreement is."""
    if theirs is None:
        return EXTRA
    return MISSING if ours in (None, QUARANTINED) else DIFFERENT


STANDS = 2
"""Rounds in a row that must see the very same disagreement after the first."""


class Standing:
    """Suspected rows, looked at in rounds until each has agreed or stood still and disagreed.

    A round reads the source and lets the platform catch up past that reading, hearing what it holds meanwhile. A row
    that it held as the source had it has arrived, however often it has moved on since. A row whose source was the same
    before and after the platform was read, and which the platform holds otherwise, is no row in flight. `again`: a row
    whose newest change is in the quarantine is missing, so that it is read again.
    """

    def __init__(self, suspects: Iterable[Name] = (), *, again: bool = False) -> None:
        self._again = again
        self._seen: dict[Name, tuple[tuple[Hash | None, Hash | None], int]] = {}
        self.suspect(suspects)
        self.confirmed: dict[Name, str] = {}
        self.quarantined: set[Name] = set()

    def suspect(self, names: Iterable[Name]) -> None:
        """More rows to look at."""
        self._seen.update(dict.fromkeys(names, ((None, None), 0)))

    @property
    def open(self) -> list[Name]:
        """Rows nobody can judge yet."""
        return sorted(self._seen)

    def look(self, ours: Mapping[Name, Sequence[Hash | None]], theirs: Mapping[Name, Hash]) -> None:
        """One round over the open rows: each as the platform held it one after the other, and as the source had it."""
        for name in self.open:
            held = ours[name]
            now = held[-1], theirs.get(name)
            before, times = self._seen[name]
            times = times + 1 if now == before else 0
            if now[1] in held:
                del self._seen[name]
            elif times < STANDS:
                self._seen[name] = now, times
            else:
                del self._seen[name]
                self._settle(name, *now)

    def _settle(self, name: Name, ours: Hash | None, theirs: Hash | None) -> None:
        if ours == QUARANTINED and not self._again:
            self.quarantined.add(name)
        else:
            self.confirmed[name] = state(ours, theirs)
