"""What a source says of itself: which server it is, and how its replication slot stands.

    source database, Kafka topic --> Identity, Slot, last epoch --> sources.py

Reads, and drops a slot when told to. A position is only comparable with others of the same server and the
same epoch, so both are read here and nowhere else. Never reads rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, sleep
from typing import Any, LiteralString

import psycopg
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.errors import EnvironmentFault, Unavailable
from streams.kafka import broker

EPOCH_HEADER = "concord-epoch"
TIMEOUT = 30.0
WRITERS_WITHIN = 15.0
"""Seconds: most transactions are over by then."""

_LEADERLESS = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_IDENTITY = """
select system_identifier || '/' || timeline_id from pg_control_system(), pg_control_checkpoint()
"""
_SLOT = """
select active, restart_lsn::text, confirmed_flush_lsn::text, wal_status,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
from pg_replication_slots where slot_name = %s
"""
_CONFIRMED = """
select pg_wal_lsn_diff(confirmed_flush_lsn, '0/0')::bigint from pg_replication_slots where slot_name = %s
"""
_DROP = (
    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s and not active"
)
_READERS = """
select count(*) from pg_stat_activity
where datname = current_database() and usename = current_user and application_name like 'Debezium%%'
"""  # %% is psycopg's spelling of %

_WRITERS = """
select pid, backend_xid::text, usename, datname, application_name, xact_start from pg_stat_activity
where backend_xid is not null and pid <> pg_backend_pid() order by age(backend_xid) desc
"""
"""Who has written and not ended, in any database of the server; when it began is only told to its own role and to
those that may read all statistics (pg_read_all_stats)."""

SNAPSHOT = "Debezium General"
"""The application_name of the session that Debezium reads a snapshot in."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A transaction that has written and is open: a new replication slot waits for its end."""

    pid: int
    xid: str
    user: str
    database: str
    application: str
    since: datetime | None

    @property
    def is_snapshot(self) -> bool:
        """Whether it is Debezium's snapshot of a database of this server: it has a transaction id, and ends."""
        return self.application == SNAPSHOT

    def __str__(self) -> str:
        since = f"since {self.since:%Y-%m-%d %H:%M:%S %Z}" if self.since else "since an unknown time"
        name = self.application or "no application_name"
        return f"pid {self.pid} ({name}, user {self.user}, database {self.database}) {since}"


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot; `retained_bytes` is the WAL the source must keep for it."""

    active: bool
    restart_lsn: str | None
    confirmed_flush_lsn: str | None
    wal_status: str | None
    retained_bytes: int | None

    @property
    def lost(self) -> bool:
        """The source has thrown away WAL that this slot needed: what was in it can't be captured any more."""
        return self.wal_status == "lost"


def identity(dsn: str) -> str:
    """`<system identifier>/<timeline>` of the server: another one after a restore or a failover."""
    with connected(dsn) as connection:
        row = connection.execute(_IDENTITY).fetchone()
        return str(row[0]) if row else ""


def slot(dsn: str, name: str) -> Slot | None:
    """The slot, or None where there is none."""
    with connected(dsn) as connection:
        row = connection.execute(_SLOT, [name]).fetchone()
        return Slot(*row) if row else None


def beat(dsn: str) -> None:
    """A transaction of our own, as Debezium's heartbeat makes one: what follows it in the log is younger than now."""
    with connected(dsn) as connection:
        try:
            connection.execute("update public.concord_heartbeat set at = now()")
        except psycopg.Error as fault:
            step = "concord systems apply, or check CONCORD_CAPTURE_<SYSTEM>"
            raise Unavailable("source.no_heartbeat", _reason(fault), step) from None


def writers(dsn: str) -> list[Writer]:
    """The transactions a new slot would have to wait for, the oldest first."""
    with connected(dsn) as connection:
        return [Writer(*row) for row in connection.execute(_WRITERS).fetchall()]


def wait_for_writers(dsn: str, within: float = WRITERS_WITHIN) -> None:
    """Let the transactions that are open now end; Unavailable names those that don't."""
    open_now = {(writer.pid, writer.xid) for writer in writers(dsn)}
    deadline = monotonic() + within
    while left := [writer for writer in writers(dsn) if (writer.pid, writer.xid) in open_now]:
        if monotonic() > deadline:
            raise blocked(left)
        sleep(0.1)


def blocked(left: Sequence[Writer]) -> Unavailable:
    """What keeps a new slot waiting, and what to do."""
    message = f"a new replication slot waits for open write transactions: {'; '.join(map(str, left))}"
    step = "commit or end them (select pg_terminate_backend(pid)), then repeat"
    if all(writer.is_snapshot for writer in left):
        step = "wait until that snapshot has ended (concord sources status), then repeat"
    return Unavailable("source.blocked", message, step)


def wait_released(dsn: str) -> None:
    """Wait until no Debezium reads this database as this role any more.

    Connect reports a connector as stopped, without tasks, while its task is still ending: such a task
    would make the dropped slot anew and write back the offset that was just forgotten (seen on 4.3.1).
    """
    with connected(dsn) as connection:
        _until(lambda: _none(connection, _READERS), "Debezium still reads this database")


def drop_slot(dsn: str, name: str) -> None:
    """Drop the slot once nobody reads it. A new one starts where no transaction is open across it."""
    counted = "select count(*) from pg_replication_slots where slot_name = %s"

    def dropped() -> bool:
        connection.execute(_DROP, [name])
        return _none(connection, counted, name)

    with connected(dsn) as connection:
        _until(dropped, f"replication slot {name} is still read")


def make_slot(dsn: str, name: str) -> None:
    """A new slot, which sends what is committed from now on. Waits for transactions that are open now."""
    with connected(dsn) as connection:
        kept_on_standbys = ", false, false, true" if connection.info.server_version >= 170_000 else ""
        make = f"select pg_create_logical_replication_slot(%s, 'pgoutput'{kept_on_standbys})"
        connection.execute("set statement_timeout = '20s'")
        try:
            connection.execute(make, [name])
        except psycopg.errors.QueryCanceled:
            raise blocked(writers(dsn)) from None


def begins(dsn: str, name: str) -> int:
    """The LSN from which on a slot sends what is committed."""
    with connected(dsn) as connection:
        row = connection.execute(_CONFIRMED, [name]).fetchone()
    if row is None:
        raise Unavailable("source.no_slot", f"replication slot {name} is gone", "repeat")
    return int(row[0])


def _none(connection: psycopg.Connection[Any], counted: LiteralString, *values: str) -> bool:
    row = connection.execute(counted, values).fetchone()
    return row is not None and row[0] == 0


def _until(condition: Callable[[], bool], fault: str) -> None:
    deadline = monotonic() + TIMEOUT
    while not condition():
        if monotonic() > deadline:
            raise Unavailable("source.in_use", fault, "see who does (pg_stat_activity), then repeat")
        sleep(0.1)


def last_epoch(kafka: str, topic: str) -> int:
    """The highest epoch in the topic's last records, 0 for a topic that never had any."""
    settings = {**broker(kafka), "group.id": "concord-epoch", "enable.auto.commit": False}
    consumer = Consumer({**settings, "log_level": 0})
    try:
        return _patiently(consumer, topic)
    except KafkaException as fault:
        message = f"could not read the end of {topic}: {fault.args[0].str()}"
        raise Unavailable("kafka.unavailable", message, "check that the broker runs, then repeat") from None
    finally:
        consumer.close()


def _patiently(consumer: Consumer, topic: str) -> int:
    """A topic made a moment ago may have no leader yet: asked again until it has one."""
    deadline = monotonic() + TIMEOUT
    while True:
        try:
            return _last_epoch(consumer, topic)
        except KafkaException as fault:
            if fault.args[0].code() not in _LEADERLESS or monotonic() > deadline:
                raise
        sleep(0.1)


def _last_epoch(consumer: Consumer, topic: str) -> int:
    partitions = consumer.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions
    marks = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=TIMEOUT) for p in partitions}
    ends = [TopicPartition(topic, p, high - 1) for p, (low, high) in marks.items() if high > low]
    if not ends and any(high for _, high in marks.values()):
        message = f"{topic} had records, and they have expired: the last epoch is not known"
        raise EnvironmentFault("source.epoch_unknown", message, "say it: `concord sources apply --epoch N`")
    return max((_epoch_at(consumer, end) for end in ends), default=0)


def _epoch_at(consumer: Consumer, end: TopicPartition) -> int:
    consumer.assign([end])
    message = consumer.poll(TIMEOUT)
    if message is None or message.error():
        where = f"{end.topic}[{end.partition}]"
        raise Unavailable("kafka.unavailable", f"the last record of {where} did not arrive", "repeat")
    return int(dict(message.headers() or []).get(EPOCH_HEADER, b"0"))


ALTERED = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedColumn,
    psycopg.errors.UndefinedFunction,
    psycopg.errors.DatatypeMismatch,
    psycopg.errors.CannotCoerce,
    psycopg.DataError,
)
"""What a statement fails with whose table, or a column of it, is gone or of another type."""


@contextmanager
def connected(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a source, by the role that the DSN names; what keeps it away is said clearly."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            yield connection
    except psycopg.OperationalError as fault:
        step = "check the address, the role and that the database runs, then repeat"
        raise Unavailable("source.unreachable", f"the source's database: {_reason(fault)}", step) from None
    except psycopg.errors.InsufficientPrivilege as fault:
        step = "give the capture role the rights of connectors/<system>/capture.sql and REPLICATION"
        raise EnvironmentFault("source.refused", f"the source's database: {_reason(fault)}", step) from None
    except ALTERED as fault:
        # Words of a DataError may quote a value (Invariant 11).
        what = type(fault).__name__ if isinstance(fault, psycopg.DataError) else _reason(fault)
        step = "concord mapping check names the table or column and the cure; then repeat"
        message = f"the source's tables are not as the mapping has them: {what}"
        raise EnvironmentFault("source.altered", message, step) from None


def _reason(fault: psycopg.Error) -> str:
    return (fault.diag.message_primary or str(fault)).splitlines()[0]
