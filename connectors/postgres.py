"""What every PostgreSQL system that receives views has in common: one connection, transactions, offsets.

    apply --transaction--> statements, offsets, commit     a fault --meaning--> what it means for the batch

Knows no table of any system: relational.py, stewardship/adapter.py and credentialing/adapter.py do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg.conninfo import make_conninfo

from connectors import statement
from connectors.fault import meaning
from connectors.resolve import text
from connectors.sink import Partition, View

Cursor: TypeAlias = psycopg.Cursor[tuple[Any, ...]]

# A process stopped in the middle of a transaction must not hold its successor's rows for long.
SESSION = "-c idle_in_transaction_session_timeout=10s -c lock_timeout=2s -c statement_timeout=60s"
# A server that vanished without a word is noticed within ten seconds.
SOCKET = {"keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 10_000}
LINE: dict[str, str | int] = {"connect_timeout": 2, "options": SESSION, **SOCKET}


class PostgresTarget:
    """One system's database; `apply` is the subclass's."""

    def __init__(self, name: str, dsn: str) -> None:
        self._name = name
        self._dsn = dsn
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def release(self) -> list[View]:
        """Nothing waits, unless the subclass says so."""
        return []

    def offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        rows = [partition._asdict() for partition in partitions]
        with self.transaction() as cursor:
            found = cursor.execute(statement.STORED, {"rows": text(rows)}).fetchall()
        return {Partition(topic, number, topic_id): offset for topic, number, topic_id, offset in found}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self) -> Iterator[Cursor]:
        try:
            connection = self._connect()
            with connection.transaction(), connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as fault:
            if self._connection is not None and self._connection.broken:
                self.close()
            raise meaning(self._name, fault) from None  # the cause's own text may quote values

    def _connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        if self._connection is None or self._connection.closed:
            # Never a prepared plan: one made for an empty table would read a grown one row by row.
            dsn = make_conninfo(self._dsn, application_name=f"concord-{self._name}", **LINE)
            self._connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
        return self._connection


def store(cursor: Cursor, offsets: Mapping[Partition, int]) -> None:
    rows = [{**partition._asdict(), "next_offset": offset} for partition, offset in offsets.items()]
    if rows:
        cursor.execute(statement.OFFSETS, {"rows": text(rows)})
