"""Checksums of a source's tables, taken by PostgreSQL itself: sums of row hashes over ranges of keys, and single rows.

    table --ranges, in the order of its key--> (last key, rows, sum of hashes)     rows --> {(entity, row): hash}

The text of a row is that of streams/core/verify.py, expression by expression; a test holds a corpus of every type
against both. Reads only what the capture role may read, a bounded range at a time, at most a share of the time. Never
locks or writes, and no value leaves the database: ids, counts and hashes do (invariant 11).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.sql import SQL, Composed, Identifier, Literal

from connectors import origin
from streams.core.columns import Table
from streams.core.verify import NULL, UNIT, UNREADABLE, Hash, Name, Sum

Connection = psycopg.Connection[Any]

RANGE = 10_000
"""Rows of one statement: some 30 ms of one backend. More of them touch fewer blocks twice; a range that differs is read
by row."""
NAMED = 1_000
"""Rows looked up by one statement."""
SHARE = 0.15
"""The part of the time that the source may work for a verification."""
INTEGERS = frozenset({"smallint", "integer", "bigint"})
CASTS = INTEGERS | {"text", "character varying", "uuid", "citext"}
"""Types whose cast to text is the text they are printed as, and cheaper."""

_INTEGER = re.compile(r"-?[0-9]{1,19}").fullmatch
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch

_TYPES = """
select attname, format_type(atttypid, null) from pg_attribute
where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped
"""
_SETTINGS = """
set default_transaction_read_only = on; set timezone = 'UTC'; set datestyle = 'ISO'; set jit = off;
set max_parallel_workers_per_gather = 0; set application_name = 'concord verify'
"""


@dataclass(frozen=True, slots=True)
class Range:
    """Rows behind `after` up to and with `until` (None: no bound), as the source counts them."""

    after: str | None
    until: str | None
    sum: Sum


class Key:
    """How a table's rows are ordered, here and there: by number, or by the bytes of their text."""

    def __init__(self, column: str, type_name: str) -> None:
        self.is_number = type_name in INTEGERS
        self._type = type_name
        ordered = SQL("{}") if self.is_number or type_name == "uuid" else SQL('{} collate "C"')
        self.sql = ordered.format(Identifier(column))

    def __call__(self, row_id: str) -> Any:
        """What stands in that order."""
        return int(row_id) if self.is_number else row_id

    def fits(self, row_id: str) -> bool:
        """Whether a row of this table can have the id at all."""
        if self.is_number:
            return _INTEGER(row_id) is not None
        return self._type != "uuid" or _UUID(row_id) is not None

    def among(self, column: str, row_ids: Iterable[str]) -> Composed:
        """The condition that a row is one of these."""
        wanted = Literal([self(row_id) for row_id in row_ids if self.fits(row_id)])
        return SQL("{} = any({}::{}[])").format(Identifier(column), wanted, SQL(self._type))


class Checksums:
    """One table of a source, through one connection."""

    def __init__(self, connection: Connection, table: Table, share: float = SHARE) -> None:
        self._connection, self._table, self._share = connection, table, share
        self.qualified = table.name if "." in table.name else f"public.{table.name}"
        self._types: dict[str, str] = dict(connection.execute(_TYPES, [self.qualified]).fetchall())
        self.key = Key(table.row, self._types.get(table.row, "text"))

    def ranges(self, size: int = RANGE) -> Iterator[Range]:
        """The whole table, in ranges of so many rows; the last one has no upper bound."""
        after: str | None = None
        while True:
            started = time.monotonic()
            until = self._bound(after, size)
            found = Range(after, until, self._sum(after, until))
            yield found
            if until is None:
                return
            after = until
            self._rest(time.monotonic() - started)

    def within(self, found: Range) -> dict[Name, Hash]:
        """The rows of one range."""
        return self._rows(_bounded(self.key, found.after, found.until))

    def named(self, row_ids: Iterable[str]) -> dict[Name, Hash]:
        """Those of the named rows that are there."""
        found: dict[Name, Hash] = {}
        for some in _some(row_ids):
            found |= self._rows(Composed([SQL(" where "), self.key.among(self._table.row, some)]))
        return found

    def columns(self, row_ids: Iterable[str]) -> dict[Name, list[str | None]]:
        """The text of each column of the named rows, to say which of them differ; stays in this process."""
        texts, found = SQL(", ").join(self._texts()), dict[Name, list[str | None]]()
        for some in _some(row_ids):
            among = self.key.among(self._table.row, some)
            query = SQL("select {} from {} where {}").format(texts, self._source, among)
            found |= {(entity, row): rest for entity, row, *rest in self._connection.execute(query)}
        return found

    def _bound(self, after: str | None, size: int) -> str | None:
        # Named apart from its column: `order by` would take the text for it, and sort the whole table by it.
        query = SQL("select {}::text as bound from {}{} order by {} offset {} limit 1").format(
            Identifier(self._table.row),
            self._source,
            _bounded(self.key, after, None),
            self.key.sql,
            Literal(size - 1),
        )
        row = self._connection.execute(query).fetchone()
        return str(row[0]) if row else None

    def _sum(self, after: str | None, until: str | None) -> Sum:
        query = SQL("select count(*), coalesce(sum(h), 0) from ({}) hashed").format(
            self._hashed(_bounded(self.key, after, until))
        )
        row = self._connection.execute(query).fetchone()
        assert row is not None
        return Sum(int(row[0]), int(row[1]))

    def _rows(self, where: Composed) -> dict[Name, Hash]:
        query = SQL("select entity, row, h from ({}) hashed").format(self._hashed(where))
        return {(entity, row): hash_ for entity, row, hash_ in self._connection.execute(query)}

    def _hashed(self, where: Composed) -> Composed:
        """entity, row, h of the rows."""
        texts = self._texts()
        values = [SQL("coalesce({}, {})").format(text, Literal(NULL)) for text in texts]
        joined = SQL(" || ").join(
            [values[0], *(part for value in values[1:] for part in (Literal(UNIT), value))]
        )
        return SQL(
            "select {} as entity, {} as row, ('x' || left(md5({}), 16))::bit(64)::bigint as h from {}{}"
        ).format(*texts[:2], joined, self._source, where)

    def _texts(self) -> list[Composed]:
        key = [(self._table.entity, "text"), (self._table.row, "text")]
        columns = [(column.name, column.type) for column in self._table.columns]
        return [self._text(*column) for column in (*key, *columns)]

    def _text(self, column: str, type_name: str) -> Composed:
        """The expression of a column's text; null where it is null."""
        plain = _AS_TEXT if self._types.get(column) in CASTS else _PLAIN
        return _FORMS.get(type_name, plain).format(Identifier(column))

    @property
    def _source(self) -> Identifier:
        return Identifier(*self.qualified.split("."))

    def _rest(self, worked: float) -> None:
        """So that the source has the rest of the time for itself."""
        time.sleep(worked * (1 / self._share - 1))


def _some(row_ids: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time that a statement stays short."""
    left = list(row_ids)
    for start in range(0, len(left), NAMED):
        yield left[start : start + NAMED]


def _bounded(key: Key, after: str | None, until: str | None) -> Composed:
    bounds = [
        SQL("{} {} {}").format(key.sql, SQL(operator), Literal(key(bound)))
        for operator, bound in ((">", after), ("<=", until))
        if bound is not None
    ]
    return Composed([SQL(" where "), SQL(" and ").join(bounds)]) if bounds else Composed([])


# `concat` prints a char(n) with its blanks, as Debezium does; a cast to text would take them away.
_PLAIN = SQL("case when {0} is not null then concat({0}) end")
_AS_TEXT = SQL("{0}::text")
_DOCUMENT = SQL("nullif(to_jsonb({0}), 'null')::text")
_FORMS = {
    "integer": _AS_TEXT,
    "boolean": _AS_TEXT,
    "date": _AS_TEXT,
    "timestamp": SQL(
        "case when {0} >= '0001-01-01' and {0} < '10000-01-01' then (extract(epoch from {0}) * 1000000)::bigint::text"
        f" when {{0}} is not null then '{UNREADABLE}' end"
    ),
    "decimal": SQL("trim_scale({0}::numeric)::text"),
    "json": _DOCUMENT,
    "text_list": _DOCUMENT,
}


@contextmanager
def reading(dsn: str) -> Iterator[Connection]:
    """A connection that can only read, and prints dates and moments one way."""
    with origin.connected(dsn) as connection:
        for setting in _SETTINGS.split(";"):
            connection.execute(setting.strip().encode())
        yield connection


def log_end(connection: Connection) -> int:
    """Where the source's log ends now: whatever was read before was committed before it."""
    row = connection.execute("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    assert row is not None
    return int(row[0])
