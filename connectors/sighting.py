"""One look at a source's capture from outside: its server with the replication slot, and its connector.

    source database --server--> Server, Slot        Connect --connector--> Connector

Two short questions each, so that they can be asked every second or two. Judges nothing and changes nothing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from connectors import lenient, sources
from connectors.connect import Connect
from connectors.mapping_check import CAPTURE_ROLE, looked_at
from connectors.postgres import SOCKET
from connectors.source import EPOCH, IDENTITY
from connectors.survey import Survey, look
from schemas.catalog import Mapping
from streams.errors import EnvironmentFault, Unavailable

_SERVER = """
select i.system_identifier || '/' || c.timeline_id,
       pg_wal_lsn_diff(wal.now, '0/0')::bigint,
       extract(epoch from pg_postmaster_start_time())::float8,
       to_jsonb(s),
       pg_wal_lsn_diff(s.confirmed_flush_lsn, '0/0')::bigint,
       pg_wal_lsn_diff(wal.now, s.restart_lsn)::bigint,
       t.total_txns, extract(epoch from t.stats_reset)::float8,
       (select pg_size_bytes(setting || unit) from pg_settings
        where name = 'max_slot_wal_keep_size' and setting <> '-1'),
       extract(epoch from clock_timestamp())::float8
from pg_control_system() i
cross join pg_control_checkpoint() c
cross join lateral (
    select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end as now
) wal
left join pg_replication_slots s on s.slot_name = %(slot)s
left join pg_stat_replication_slots t on t.slot_name = %(slot)s
"""
_CLASS = re.compile(r"^(?:Caused by: )?((?:\w+\.)+\w+)(?::|$)", re.MULTILINE)
_UNPROCESSABLE = re.compile(r"Error while processing event at offset \{(?:.*?\W)?lsn=(\d+)")
"""What Debezium (3.7) says of a change that it read and can't turn into an event."""
_PASSING = ("SQLException", "IOException", "InterruptedException")
"""... unless the database didn't answer when it was asked about the table."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A replication slot. LSNs are numbers; `decoded` counts transactions and starts anew with a new slot."""

    active: bool
    confirmed: int | None
    retained: int | None
    safe: int | None
    """bytes of WAL until the source may take it away; None: without limit"""
    wal_status: str
    invalidation: str
    decoded: int | None
    decoded_since: float | None
    """when the count was set back by hand"""

    @property
    def lost(self) -> bool:
        """What it still needed is gone, for good."""
        return self.wal_status == "lost" or bool(self.invalidation)


@dataclass(frozen=True, slots=True)
class Server:
    """The source's server; `keep` is its max_slot_wal_keep_size in bytes, None without one."""

    identity: str
    lsn: int
    started: float
    slot: Slot | None
    keep: int | None
    skew: float = 0.0
    """seconds that its clock is ahead of this machine's, beyond what asking took"""


@dataclass(frozen=True, slots=True)
class Task:
    """A connector's task. `fault`: classes of what it failed with; the text may quote values (Invariant 11)."""

    state: str
    fault: str = ""
    stuck_at: int = 0
    """LSN of the change that it read and couldn't turn into an event; 0: it failed over something else"""


@dataclass(frozen=True, slots=True)
class Connector:
    """A connector as Connect knows it; `state` MISSING where there is none."""

    state: str
    tasks: tuple[Task, ...] = ()
    epoch: int = 0
    identity: str = ""
    snapshot_finished: bool = False
    captured: bool = False
    """it has committed an offset: without its slot, changes would be missing"""
    lsn: int | None = None
    lenient: tuple[int, int] = (0, 0)
    """from and up to which LSN changes that can't be processed are passed over; 0: none are"""

    @property
    def stuck_at(self) -> int:
        """LSN of a change over which a task has failed, since it can't be processed; 0: over none."""
        return max((task.stuck_at for task in self.tasks if task.state == "FAILED"), default=0)

    @property
    def runs(self) -> bool:
        """It is RUNNING, and so is each task."""
        return self.state == "RUNNING" and bool(self.tasks) and all(t.state == "RUNNING" for t in self.tasks)


class Origin:
    """A source's database, over one connection that is made again when it breaks."""

    def __init__(self, dsn: str, slot: str) -> None:
        options = "-c statement_timeout=3s"
        self._dsn = make_conninfo(
            dsn, application_name="concord-guard", connect_timeout=2, options=options, **SOCKET
        )
        self._slot = slot
        self._connection: psycopg.Connection[Any] | None = None

    def server(self) -> Server:
        """The server now; raises Unavailable when it could not look."""
        with self._connected() as connection:
            before = time.time()
            row = connection.execute(_SERVER, {"slot": self._slot}).fetchone()
            after = time.time()
        assert row is not None
        return _server(row[:-1], skewed(row[-1], before, after))

    def survey(self, mapping: Mapping, publication: str) -> Survey:
        """What is there of what the mapping names; raises Unavailable when it could not look."""
        with self._connected() as connection:
            return look(connection, looked_at(mapping), role=CAPTURE_ROLE, publication=publication)

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[Any]]:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, autocommit=True, prepare_threshold=None)
            yield self._connection
        except psycopg.errors.InsufficientPrivilege as fault:
            step = "give the capture role the rights of connectors/<system>/capture.sql"
            raise EnvironmentFault("source.refused", _reason(fault), step) from None
        except psycopg.Error as fault:
            self.close()
            raise Unavailable("source.unreachable", _reason(fault), "check that the database runs") from None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def skewed(told: float, before: float, after: float) -> float:
    """How far a clock that was asked between two moments of this one's is surely ahead (behind: negative)."""
    return max(told - after, 0.0) + min(told - before, 0.0)


def _server(row: tuple[Any, ...], skew: float) -> Server:
    identity, lsn, started, slot, confirmed, retained, decoded, decoded_since, keep = row
    found = slot and Slot(
        bool(slot["active"]),
        confirmed,
        retained,
        slot.get("safe_wal_size"),
        slot.get("wal_status") or "",
        slot.get("invalidation_reason") or "",  # PostgreSQL 17 and newer
        decoded,
        decoded_since,
    )
    return Server(identity, lsn, started, found or None, keep, skew)


def connector(connect: Connect, name: str) -> Connector:
    """The connector now; raises Unavailable when Connect does not answer."""
    status, config = connect.status(name), connect.config(name)
    if status is None or config is None:
        return Connector("MISSING")
    offset = connect.offset(name)
    return Connector(
        status["connector"]["state"],
        tuple(_task(task["state"], task.get("trace", "")) for task in status["tasks"]),
        int(config[EPOCH]),
        config.get(IDENTITY, ""),
        sources.finished(offset),
        offset is not None,
        offset.get("lsn") if offset else None,
        lenient.span(config),
    )


def _task(state: str, trace: str) -> Task:
    fault = _classes(trace)
    stuck = None if any(name in fault for name in _PASSING) else _UNPROCESSABLE.search(trace)
    return Task(state, fault, int(stuck[1]) if stuck else 0)


def _classes(trace: str) -> str:
    """`ConnectException < PSQLException`: what failed, without its words."""
    return " < ".join(dict.fromkeys(name.rpartition(".")[2] for name in _CLASS.findall(trace)))


def _reason(fault: psycopg.Error) -> str:
    return (fault.diag.message_primary or str(fault)).splitlines()[0]
