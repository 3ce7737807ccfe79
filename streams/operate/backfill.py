"""Says one captured table anew, row by row, while capture goes on: a newly mapped column gets its values this way.

    table, some thousand rows at a time --connectors/reread--> rows (op r) in cdc.<system> --> decide

A row stands newer than what was known of it and older than any change committed after its reading, so nothing is undone
(invariant 1). `plan` changes nothing. Never stops capture or raises the epoch; who stops it in the middle begins anew.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import structlog

from connectors import checksum, origin, reread, sources
from connectors.connect import Connect
from connectors.envelope import Message
from connectors.reread import Reader
from connectors.sources import Source
from schemas.catalog import Table, load_mapping
from schemas.problem import nearest
from schemas.tables import mapped_tables
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate.quarantine import send
from streams.operate.quarantine.send import Sender
from streams.operate.verify.caught_up import captured
from streams.settings import Settings

log = structlog.get_logger(__name__)

HEADER = "concord-backfill"
"""Which backfill sent a record."""
TELL = 5.0
"""Seconds between two words of how far it is."""


@dataclass(frozen=True, slots=True)
class Backfill:
    """What is said anew. `rows` is the source's own estimate; `said` how many it was, once it is over."""

    system: str
    table: str
    columns: tuple[str, ...]
    rows: int | None
    applied: bool = False
    number: str = ""
    by: str = ""
    said: int | None = None


def plan(settings: Settings, connect: Connect, source: Source, name: str) -> Backfill:
    """What would be said; refused while capture doesn't run, or would not send every mapped column."""
    table = _table(source.names.system, name)
    _ready(settings, connect, source)
    return Backfill(source.names.system, table.qualified, table.captured, _estimate(source.dsn, table))


def apply(
    settings: Settings, connect: Connect, source: Source, name: str, by: str, say: Callable[[str], None]
) -> Backfill:
    """Say every row of the table anew."""
    planned = plan(settings, connect, source, name)
    done = replace(planned, applied=True, number=f"concord-backfill-{uuid.uuid4().hex[:12]}", by=by, said=0)
    log.info("sources.backfill", system=done.system, table=done.table, number=done.number, by=by)
    epoch, told = sources.snapshot(connect, source.names.connector), time.monotonic()
    assert epoch is not None  # it was planned a moment ago
    with closing(Sender(settings.kafka)) as sender:
        for messages in _messages(source, name, epoch.epoch):
            place, mark = (source.names.topic, settings.partitions), (HEADER, done.number.encode())
            sender.send(send.captured(*place, message, mark) for message in messages)
            done = replace(done, said=(done.said or 0) + len(messages))
            if time.monotonic() - told > TELL:
                told = time.monotonic()
                say(f"{done.table}: {done.said:,} rows said{f' of about {done.rows:,}' if done.rows else ''}")
    return done


def _messages(source: Source, name: str, epoch: int) -> Iterator[list[Message]]:
    """The rows in the order of their key, some at a time; each time capture is past their mark."""
    [table] = [table for table in mapped_tables(source.names.system) if table.name == name]
    with checksum.reading(source.dsn) as connection:
        reader, last = Reader(connection, table), None
        while True:
            at = reread.mark(connection, source.dsn)
            rows = reader.after(last)
            if not rows:
                return
            # What was committed before stands in the topic before them: a transaction is over behind a later commit.
            captured(connection, source, checksum.log_end(connection))
            current = reread.log(source.names.system, epoch)
            yield [reread.said(current, name, row, at) for row in rows]
            last = str(rows[-1][table.row])


def _table(system: str, name: str) -> Table:
    tables = load_mapping(system).tables
    if name not in tables:
        what = f"no table '{name}' in the mapping of {system}"
        raise InvalidInput("backfill.table_unknown", what, nearest(name, tables))
    return tables[name]


def _ready(settings: Settings, connect: Connect, source: Source) -> None:
    [planned] = sources.plan(connect, settings.kafka, [source])
    if planned.action != "none":
        what = f"{planned.connector} does not capture what the mapping says: {', '.join(planned.settings)}"
        raise EnvironmentFault("backfill.not_captured", what, f"concord sources apply {planned.system}")
    [found] = sources.status(connect, [source])
    if found.state != "RUNNING" or any(task.state != "RUNNING" for task in found.tasks):
        what = f"{found.connector} is {found.state}, its tasks {[task.state for task in found.tasks]}"
        raise EnvironmentFault("backfill.not_running", what, "concord sources status")
    if not found.snapshot_finished:
        what = f"the initial snapshot of {found.connector} is not finished: it reads every row anyway"
        raise EnvironmentFault("backfill.snapshot_running", what, "wait for it: concord sources status")


def _estimate(dsn: str, table: Table) -> int | None:
    """As the source's statistics have it: None before they were ever taken."""
    with origin.connected(dsn) as connection:
        row = connection.execute(
            "select reltuples::bigint from pg_class where oid = to_regclass(%s)", [table.qualified]
        ).fetchone()
    return int(row[0]) if row and row[0] >= 0 else None
