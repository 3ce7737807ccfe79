"""Rows of captured tables as they are now, put into their log's own form: what a verification found wrong, or the
values of a column that is newly mapped, is said again this way.

    beat --mark--> beat --> rows --Log.message--> records as they stand on cdc.<system>, op r

A row that was read stands at (epoch, mark, 0). The mark lies between two commits of the platform's own, both before the
reading: whatever was captured until then stands below it, and what is committed after the reading stands above, since
its transaction follows the second commit. So a reading undoes nothing and orders itself (invariant 1). Debezium isn't
asked (docs/decisions/20261123-rows-are-read-again-without-debezium.md). Reads mapped columns alone, as the capture role
may; never locks, and writes nothing but the heartbeat.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from psycopg.sql import SQL, Composed, Identifier, Literal

from connectors import origin
from connectors.checksum import Checksums, Connection, log_end
from connectors.envelope import Change, Message
from connectors.envelope import Source as Log
from streams.core.columns import Table
from streams.core.verify import Name

Row = Mapping[str, Any]

AT_ONCE = 2_000
"""Rows of one statement."""


def mark(connection: Connection, dsn: str) -> int:
    """Where what is read from now on stands in the log: after what was captured, before what is committed later."""
    origin.beat(dsn)
    found = log_end(connection)
    origin.beat(dsn)
    return found


def log(system: str, epoch: int) -> Log:
    """The system's log, to write rows as they are now."""
    return Log(system, epoch=epoch, txid=0, at_us=time.time_ns() // 1000)


def said(found: Log, table: str, row: Row, at: int) -> Message:
    """The record of a row that was read; `at`: its mark."""
    return found.message(Change(table, row, "r"), at, 0, "incremental")


class Reader:
    """One table, through one connection that prints moments in UTC (checksum.reading)."""

    def __init__(self, connection: Connection, table: Table) -> None:
        checks = Checksums(connection, table)
        self._connection, self._table = connection, table
        self._key, self._source = checks.key, Identifier(*checks.qualified.split("."))
        self._types = {table.entity: "text", table.row: "text"} | {c.name: c.type for c in table.columns}

    def named(self, row_ids: Iterable[str]) -> dict[Name, Row]:
        """Those of these rows that are there, by entity and row."""
        left, found = list(row_ids), dict[Name, Row]()
        for start in range(0, len(left), AT_ONCE):
            among = self._key.among(self._table.row, left[start : start + AT_ONCE])
            found |= {self._name(row): row for row in self._rows(among)}
        return found

    def after(self, row_id: str | None, size: int = AT_ONCE) -> list[Row]:
        """The next rows in the order of their key."""
        behind = SQL("true") if row_id is None else self._behind(row_id)
        return list(self._rows(SQL("{} order by {} limit {}").format(behind, self._key.sql, Literal(size))))

    def _behind(self, row_id: str) -> Composed:
        return SQL("{} > {}").format(self._key.sql, Literal(self._key(row_id)))

    def _name(self, row: Row) -> Name:
        return str(row[self._table.entity]), str(row[self._table.row])

    def _rows(self, which: Composed) -> Iterator[Row]:
        """A row of nobody has no key to stand under: captured, it is in the quarantine."""
        columns, whose = SQL(", ").join(map(self._column, self._types)), Identifier(self._table.entity)
        query = SQL(
            "select row_to_json(found)::text from (select {} from {} where {} is not null and {}) found"
        ).format(columns, self._source, whose, which)
        for (text,) in self._connection.execute(query):
            yield {name: self._plain(name, value) for name, value in json.loads(text).items()}

    def _column(self, name: str) -> Composed:
        """A number of any length is told as text."""
        told = SQL("{0}::text as {0}") if self._types[name] == "decimal" else SQL("{}")
        return told.format(Identifier(name))

    def _plain(self, name: str, value: Any) -> Any:
        """As `Log.message` takes it."""
        if self._types[name] == "timestamp" and isinstance(value, str):
            return _moment(value)
        if self._types[name] == "text" and isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=False)
        return value


def _moment(value: str) -> str:
    """PostgreSQL's moment as Debezium writes it; one that no calendar here knows stays one."""
    if not value[:4].isdigit() or value[4] != "-" or value.endswith("BC"):
        return "+292278994-08-17T00:00:00Z"
    return value.replace("+00:00", "").removesuffix("Z") + "Z"
