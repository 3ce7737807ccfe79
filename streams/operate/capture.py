"""How capture stands: each source's connector, its snapshot and its replication slot, for `concord status`.

What the slot still has to send is told in bytes of WAL and in seconds; a source that cannot be asked is `unknown`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg

from connectors.sources import Source, Status
from streams.errors import ConcordError
from streams.operate import preparing
from streams.operate.standing import CAUGHT_UP, LAGGING, STOPPED, UNKNOWN, Capture
from streams.settings import Settings

TOLERATED_SECONDS = 10.0
"""Two heartbeats: a slot confirms only what Connect has flushed, so an idle one is never at the very end."""

_SLOT = """
select s.active, pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint,
       pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint,
       extract(epoch from r.flush_lag)::float8
from pg_replication_slots s left join pg_stat_replication r on r.pid = s.active_pid where s.slot_name = %s
"""


def captures(settings: Settings) -> list[Capture]:
    """Every source whose capture should run."""
    try:
        sources = preparing.chosen_sources(settings)
    except ConcordError as fault:
        return [
            _unknown(system, settings.topic_prefix + system, fault.message) for system in settings.sources
        ]
    return [_capture(settings, source) for source in sources]


def _capture(settings: Settings, source: Source) -> Capture:
    names = source.names
    try:
        (status,) = preparing.status_sources(settings, [names.system])
        return judge(status, _slot(source.dsn, names.slot_name))
    except ConcordError as fault:
        return _unknown(names.system, names.connector, fault.message)
    except psycopg.Error as fault:
        return _unknown(names.system, names.connector, f"the source: {str(fault).splitlines()[0]}")


def _slot(dsn: str, name: str) -> tuple[Any, ...] | None:
    with psycopg.connect(dsn, autocommit=True, connect_timeout=3) as connection:
        return connection.execute(_SLOT, [name]).fetchone()


def judge(status: Status, slot: tuple[Any, ...] | None) -> Capture:
    """State and reason from the connector and (active, retained, lag bytes, lag seconds) of its slot; pure."""
    active, retained, behind, seconds = slot if slot else (None, None, None, None)
    lag = float(seconds or 0.0) if active else None
    found = Capture(
        status.system,
        status.connector,
        CAUGHT_UP,
        "",
        status.state,
        status.epoch,
        status.snapshot_finished,
        active,
        retained,
        behind,
        lag,
    )
    failed = next(
        (t.trace.strip().splitlines()[0] for t in status.tasks if t.state == "FAILED" and t.trace), ""
    )
    if status.state != "RUNNING" or any(task.state != "RUNNING" for task in status.tasks) or not status.tasks:
        why = failed or f"the connector is {status.state}: concord sources apply"
        return replace(found, state=STOPPED, why=why)
    if not status.snapshot_finished:
        return replace(found, state=LAGGING, why="the initial snapshot is running")
    if not active:
        return replace(found, state=STOPPED, why="nobody reads the replication slot")
    if lag is not None and lag > TOLERATED_SECONDS:
        return replace(found, state=LAGGING, why="the connector is behind the log")
    return found


def _unknown(system: str, connector: str, why: str) -> Capture:
    return Capture(system, connector, UNKNOWN, why, "", None, False, None, None, None, None)
