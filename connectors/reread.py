"""Single rows of captured tables read anew, beside the stream: what a verification found missing or different.

    rows by table --one signal, a condition a table--> Debezium reads them (op r) --> cdc.<system> --> decide

A row that was read stands at (epoch, last commit before the read, 0): it wins against what was known and loses against
any change streamed after it, so a reading undoes nothing and orders itself (invariant 1). Never reads a whole table:
backfill does. Like it, refused for a table of which what follows would be misread in silence.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial

from psycopg import sql

from connectors.backfill import SCANNED, Running, heard, notifications, signal_reading, standing
from connectors.connect import Connect
from connectors.sources import Source
from schemas.catalog import load_mapping
from streams.errors import Unavailable

PATIENCE = 120.0
"""Seconds without a word of Debezium's before we say that it does not read."""


def read_rows(
    connect: Connect,
    kafka: str,
    source: Source,
    rows: Mapping[str, Sequence[str]],
    signal: str,
    say: Callable[[str], None],
) -> None:
    """Read these rows (table -> row ids) and return once Debezium has; who stops waiting doesn't stop the reading."""
    tables = load_mapping(source.names.system).tables
    wanted = {tables[name].qualified: _condition(tables[name].row, ids) for name, ids in rows.items() if ids}
    if not wanted:
        return
    with closing(heard(kafka, f"{source.names.connector}.notification")) as said:
        signal_reading(source, signal, wanted)
        say(f"{source.names.system}: signal {signal}: {sum(map(len, rows.values())):,} rows are read again")
        left, moved, running = set(wanted), time.monotonic(), Running(partial(standing, connect, source))
        while left:
            for kind, told in notifications(said):
                moved = time.monotonic()
                if kind == SCANNED:
                    left.discard(str(told.get("scanned_collection")))
            running.check()
            if time.monotonic() - moved > PATIENCE:
                what = f"{source.names.connector} was signalled {signal} and does not read {', '.join(sorted(left))}"
                raise Unavailable("reread.silent", what, "concord sources status; then the same again")


def _condition(column: str, row_ids: Sequence[str]) -> str:
    """The literals have no type of their own: PostgreSQL reads them as the column's."""
    listed = sql.SQL(", ").join(map(sql.Literal, row_ids))
    return sql.SQL("{} in ({})").format(sql.Identifier(column), listed).as_string(None)
