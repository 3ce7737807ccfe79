"""Looks at a system's database: server, roles, rights, heartbeat, and the tables as the mapping check sees them.

    DSNs of the roles --look--> Database --judge_database--> results

Asks catalogs and one row of Concord's own; changes nothing. Prefers what capture itself sees; where the capture role
can't log in, an administrator's DSN (CONCORD_DATABASE_<SYSTEM>) lets the rest be looked at all the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from connectors import granted
from connectors.granted import Right
from connectors.mapping_check import CAPTURE_ROLE, looked_at
from connectors.source import Names
from connectors.survey import Survey
from connectors.survey import look as survey
from connectors.systems import system_of
from schemas.catalog import load_mapping
from streams.errors import Unavailable
from streams.settings import FILES, Settings

PATIENCE = 5
_SERVER = """
select current_setting('wal_level'),
       current_setting('max_replication_slots')::int, (select count(*) from pg_replication_slots),
       current_setting('max_wal_senders')::int, current_database(),
       exists (select from pg_settings where name = 'wal_level' and pending_restart),
       exists (select from pg_replication_slots where slot_name = %s)
"""
_PLUGINS = "select current_setting('output_plugin_libraries', true)"
_ROLES = """
select rolname, rolcanlogin, rolreplication or rolsuper,
       has_database_privilege(oid, current_database(), 'connect'), has_schema_privilege(oid, 'public', 'usage')
from pg_roles where rolname = any(%s)
"""
_BEAT = "select extract(epoch from clock_timestamp() - at)::float8 from public.concord_heartbeat where id = 1"


@dataclass(frozen=True, slots=True)
class Role:
    """A role as the server has it."""

    login: bool
    replicates: bool
    connects: bool
    uses: bool
    """may use schema public"""


@dataclass(frozen=True, slots=True)
class Database:
    """A system's database at one moment. What could not be asked is None with its reason beside it."""

    name: str
    wal_level: str
    wal_pending: bool
    """another wal_level is set and waits for a restart"""
    plugins: str | None
    """output_plugin_libraries; None: this version of PostgreSQL has no such setting, or `plugins_fault`"""
    slots: int
    slots_used: int
    slot_there: bool
    """capture's own is one of them"""
    senders: int
    skew: float
    """seconds that its clock is ahead of this machine's"""
    doubt: float
    """seconds that the question itself took"""
    roles: Mapping[str, Role]
    refused: Mapping[str, str]
    """role -> why it could not log in"""
    survey: Survey
    adapter_role: str
    adapter_expected: bool
    lacking: tuple[Right, ...] = ()
    absent: tuple[Right, ...] = ()
    beat: float | None = None
    """seconds since the heartbeat; None: `beat_fault`, or there is no such row"""
    beat_fault: str = ""
    plugins_fault: str = ""
    """PostgreSQL shows the setting to administrators only"""
    captured: bool = True


def look(settings: Settings, system: str) -> Database:
    """The database now; Unavailable when nobody could look."""
    dsns = _dsns(settings, system)
    refused: dict[str, str] = {}
    connections: dict[str, psycopg.Connection[Any]] = {}
    try:
        for who, dsn in dsns.items():
            _connect(who, dsn, connections, refused)
        if not connections:
            reason = next(iter(refused.values()), f"CONCORD_CAPTURE_{system.upper()} is not set")
            raise Unavailable("doctor.database", reason, _possible(system))
        plugins = _plugins(connections.get("") or next(iter(connections.values())))
        return _look(settings, system, next(iter(connections.values())), refused, plugins)
    except psycopg.Error as fault:
        raise Unavailable("doctor.database", _reason(fault), _possible(system)) from None
    finally:
        for connection in connections.values():
            connection.close()


def _dsns(settings: Settings, system: str) -> dict[str, str]:
    """Who may look, in order of preference; "" is an administrator. Each login is also a check by itself."""
    dsns = {
        CAPTURE_ROLE: settings.capture.get(system, ""),
        "": settings.databases.get(system, ""),
        system_of(system).adapter_role: _adapter(settings, system),
    }
    return {who: dsn for who, dsn in dsns.items() if dsn}


def _adapter(settings: Settings, system: str) -> str:
    dsn = settings.adapters.get(system, "")
    return "" if dsn.startswith("http") or dsn == FILES else dsn


def _connect(who: str, dsn: str, found: dict[str, psycopg.Connection[Any]], refused: dict[str, str]) -> None:
    try:
        found[who] = psycopg.connect(
            dsn, autocommit=True, connect_timeout=PATIENCE, application_name="concord-doctor"
        )
        found[who].execute("set statement_timeout = '10s'")
    except psycopg.Error as fault:
        refused[who] = _reason(fault)


def _look(
    settings: Settings,
    system: str,
    connection: psycopg.Connection[Any],
    refused: Mapping[str, str],
    plugins: tuple[str | None, str],
) -> Database:
    adapter = system_of(system).adapter_role
    server = connection.execute(_SERVER, [Names(system, settings.topic_prefix).slot_name]).fetchone()
    assert server is not None
    wal_level, slots, used, senders, name, pending, own = server
    roles = {row[0]: Role(*row[1:]) for row in connection.execute(_ROLES, [[CAPTURE_ROLE, adapter]])}
    expected = bool(_adapter(settings, system))
    rights = granted.granted(system, adapter) if expected and adapter in roles else ()
    lacking, absent = granted.missing(connection, adapter, rights) if rights else ([], [])
    mapping = load_mapping(system)
    beat, fault = _beat(connection)
    skew, doubt = _skew(connection)
    return Database(
        name=name,
        wal_level=wal_level,
        wal_pending=pending,
        plugins=plugins[0],
        plugins_fault=plugins[1],
        slots=slots,
        slots_used=used,
        slot_there=own,
        senders=senders,
        skew=skew,
        doubt=doubt,
        roles=roles,
        refused=refused,
        survey=survey(connection, looked_at(mapping), role=CAPTURE_ROLE, publication="concord"),
        adapter_role=adapter,
        adapter_expected=expected,
        lacking=tuple(lacking),
        absent=tuple(absent),
        beat=beat,
        beat_fault=fault,
        captured=system in settings.sources,
    )


def _skew(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    """Asked three times: the quickest answer says it best."""
    return min((_asked(connection) for _ in range(3)), key=lambda pair: pair[1])


def _asked(connection: psycopg.Connection[Any]) -> tuple[float, float]:
    before = time.time()
    row = connection.execute("select extract(epoch from clock_timestamp())::float8").fetchone()
    after = time.time()
    assert row is not None
    return float(row[0]) - (before + after) / 2, (after - before) / 2


def _plugins(connection: psycopg.Connection[Any]) -> tuple[str | None, str]:
    try:
        row = connection.execute(_PLUGINS).fetchone()
    except psycopg.errors.InsufficientPrivilege as fault:
        return None, _reason(fault)
    return (row[0] if row else None), ""


def _beat(connection: psycopg.Connection[Any]) -> tuple[float | None, str]:
    try:
        row = connection.execute(_BEAT).fetchone()
    except psycopg.errors.Error as fault:
        return None, _reason(fault)
    return (float(row[0]), "") if row else (None, "")


def _possible(system: str) -> str:
    name = system.upper()
    return (
        f"# check that the server runs, its address, and the password in CONCORD_CAPTURE_{name}\n"
        f"# (or give CONCORD_DATABASE_{name}, an administrator's DSN), then:\nconcord doctor --system {system}"
    )


def _reason(fault: psycopg.Error) -> str:
    """PostgreSQL's own first line; a DSN's password is never in it."""
    lines: Iterable[str] = (fault.diag.message_primary or str(fault)).splitlines()
    return next(iter(lines), type(fault).__name__).strip()
