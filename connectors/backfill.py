"""Reads one captured table anew, while capture goes on: a newly mapped column gets its values this way.

    signal in the source's concord_signal --Debezium, chunk by chunk--> rows (op r) in cdc.<system> --> decide

A row that was read stands at (epoch, last commit before the read, 0): newer than what was known, older than any
change streamed after it, so nothing is undone (invariant 1). `plan` changes nothing. Never stops capture, raises the
epoch, or reads a table of which what follows would be misread in silence.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
import structlog
from confluent_kafka import OFFSET_END, Consumer, TopicPartition
from psycopg import sql

from connectors import misread, origin, sources
from connectors.connect import Connect
from connectors.source import SIGNAL
from connectors.sources import Source
from schemas.catalog import Table, load_mapping
from schemas.problem import nearest
from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from streams.kafka import broker

log = structlog.get_logger(__name__)

POLL = 0.5
ASK = 5.0
HEALS = 60.0
"""Seconds within which a task that failed is started again, also on a busy machine."""
SCANNED = "TABLE_SCAN_COMPLETED"


@dataclass(frozen=True, slots=True)
class Backfill:
    """What is read anew. `rows` is the source's own estimate; `scanned` what Debezium has read, once it is over."""

    system: str
    table: str
    columns: tuple[str, ...]
    rows: int | None
    applied: bool = False
    signal: str = ""
    by: str = ""
    scanned: int | None = None


def plan(connect: Connect, kafka: str, source: Source, name: str) -> Backfill:
    """What would be read; refused while capture could not do it, or would not send every mapped column."""
    table = _table(source.names.system, name)
    _ready(connect, kafka, source)
    misread.refuse(source, [table.qualified])
    return Backfill(source.names.system, table.qualified, table.captured, _estimate(source.dsn, table))


def apply(
    connect: Connect, kafka: str, source: Source, name: str, by: str, say: Callable[[str], None]
) -> Backfill:
    """Signal it, and wait until the table is read. Whoever stops waiting doesn't stop the reading."""
    planned = plan(connect, kafka, source, name)
    signal = f"concord-backfill-{uuid.uuid4().hex[:12]}"
    with closing(heard(kafka, f"{source.names.connector}.notification")) as notices:
        signal_reading(source, signal, {planned.table: ""})
        # The row in concord_signal says the same in the source.
        log.info("sources.backfill", system=planned.system, table=planned.table, signal=signal, by=by)
        say(f"{planned.table}: signal {signal} is written; Debezium reads beside its stream")
        scanned = _await(connect, source, notices, planned.table, say)
    return Backfill(planned.system, planned.table, planned.columns, planned.rows, True, signal, by, scanned)


def _table(system: str, name: str) -> Table:
    tables = load_mapping(system).tables
    if name not in tables:
        what = f"no table '{name}' in the mapping of {system}"
        raise InvalidInput("backfill.table_unknown", what, nearest(name, tables))
    return tables[name]


def _ready(connect: Connect, kafka: str, source: Source) -> None:
    [planned] = sources.plan(connect, kafka, [source])
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


def signal_reading(source: Source, signal: str, tables: Mapping[str, str]) -> None:
    """Have Debezium read these tables beside its stream: of each the rows that its condition names, if it has one."""
    misread.refuse(source, [*tables])
    conditions = [{"data-collection": table, "filter": where} for table, where in tables.items() if where]
    said = {"data-collections": list(tables), "type": "incremental"}
    data = json.dumps({**said, "additional-conditions": conditions} if conditions else said)
    insert = sql.SQL("insert into {} (id, type, data) values (%s, 'execute-snapshot', %s)")
    with origin.connected(source.dsn) as connection:
        try:
            connection.execute(insert.format(sql.Identifier(*SIGNAL.split("."))), [signal, data])
        except psycopg.errors.InsufficientPrivilege as fault:
            step = f"grant insert on {SIGNAL} to the capture role (concord mapping check)"
            raise EnvironmentFault("backfill.refused", str(fault).splitlines()[0], step) from None


# ---- until it is read ----


def heard(kafka: str, topic: str) -> Consumer:
    """A reader of Debezium's notifications from now on."""
    consumer = Consumer({**broker(kafka), "group.id": "concord-backfill", "enable.auto.commit": False})
    partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
    ends = []
    for number in partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
        ends.append(TopicPartition(topic, number, end if end >= 0 else OFFSET_END))
    consumer.assign(ends)
    return consumer


def _await(
    connect: Connect, source: Source, notices: Consumer, table: str, say: Callable[[str], None]
) -> int:
    """Rows read. A connector that stays failed ends the waiting; one that is started again goes on reading."""
    running = Running(partial(standing, connect, source))
    while True:
        for kind, told in notifications(notices):
            if kind == SCANNED and told.get("scanned_collection") == table:
                return int(told.get("total_rows_scanned", 0))
            if told.get("current_collection_in_progress") == table:
                say(f"{table}: read up to {told.get('last_processed_key', '?')}")
        running.check()


def notifications(consumer: Consumer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Debezium's notifications of incremental snapshots."""
    for message in consumer.consume(100, POLL):
        if message.error() is None and message.value():
            told = json.loads(message.value() or b"{}")
            if told.get("aggregate_type") == "Incremental Snapshot":
                yield str(told["type"]), dict(told.get("additional_data") or {})


class Running:
    """Whether capture still runs while somebody waits for a reading.

    A task that failed goes on with it once it is started again, as the guard does within seconds: of a table with a
    column list that is what follows a reading.
    """

    def __init__(self, ask: Callable[[], str], now: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._now = ask, now
        self._asked = self._ran = now()

    def check(self) -> None:
        """Now and then; Unavailable once it has not run for as long as a start may take."""
        now = self._now()
        if now - self._asked < ASK:
            return
        self._asked, fault = now, self._ask()
        if not fault:
            self._ran = now
        elif now - self._ran > HEALS:
            step = "concord sources status; then start the backfill anew"
            raise Unavailable("backfill.interrupted", fault, step)


def standing(connect: Connect, source: Source) -> str:
    """Why the connector doesn't run; empty while it does."""
    [found] = sources.status(connect, [source])
    failed = [task for task in found.tasks if task.state == "FAILED"]
    if not failed and found.state not in ("MISSING", "STOPPED", "PAUSED"):
        return ""
    first = failed[0].trace.splitlines()[0] if failed and failed[0].trace else ""
    return f"{found.connector} is {found.state}: {first}".rstrip(": ")
