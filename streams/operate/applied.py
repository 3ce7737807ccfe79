"""Which revision each target holds: its own `concord_applied` and `concord_pending`, read through its DSN; of a
system behind an API, what its receipts confirmed.

Used by explain, trace and the demo. A target that is down or not known here is `unknown` with the reason, never
"not applied". Reads only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from confluent_kafka import OFFSET_BEGINNING

from streams.errors import ConcordError
from streams.operate import reading
from streams.placing import partition_of
from streams.settings import Settings
from streams.systems import ADAPTED

_APPLIED = "select local_id, revision, extract(epoch from applied_at) * 1e6 from concord_applied"
_WAITS = "select revision, waits_for from concord_pending"
_WHICH = " where kind = %s and entity_id = %s"


@dataclass(frozen=True, slots=True)
class Held:
    """What a target holds of an entity. `why` says what keeps it from us, or what a view waits for there."""

    system: str
    known: bool
    revision: int | None = None
    applied_us: int | None = None
    local_id: str | None = None
    waiting_revision: int | None = None
    why: str = ""


def held(settings: Settings, kind: str, entity_id: str) -> dict[str, Held]:
    """What every adapted system holds of an entity."""
    return {system: _held(settings, system, kind, entity_id) for system in ADAPTED}


def _held(settings: Settings, system: str, kind: str, entity_id: str) -> Held:
    if system in settings.apis:
        return _confirmed(settings, system, kind, entity_id)
    try:
        with target(settings, system) as connection:
            row = connection.execute(_APPLIED + _WHICH, [kind, entity_id]).fetchone()
            waits = connection.execute(_WAITS + _WHICH, [kind, entity_id]).fetchone()
    except (psycopg.Error, LookupError) as fault:
        return Held(system, False, why=f"the target cannot be asked: {str(fault).splitlines()[0]}")
    local_id, revision, applied_us = row if row else (None, None, None)
    waiting, what = waits if waits else (None, None)
    why = f"revision {waiting} waits for {what}" if what else ""
    return Held(
        system, True, revision, int(applied_us) if applied_us is not None else None, local_id, waiting, why
    )


def _confirmed(settings: Settings, system: str, kind: str, entity_id: str) -> Held:
    """The newest revision the API confirmed. Receipts are kept for a week: older ones say nothing."""
    place = (settings.topic("receipt"), partition_of(entity_id.encode(), settings.partitions))
    try:
        records = reading.read(settings.kafka, {place: OFFSET_BEGINNING})
        told = [json.loads(r.value() or b"{}") for r in records if (r.key() or b"").decode() == entity_id]
    except (ConcordError, ValueError) as fault:
        return Held(system, False, why=f"its receipts cannot be read: {str(fault).splitlines()[0]}")
    mine = [
        r for r in told if (r.get("system"), r.get("kind"), r.get("outcome")) == (system, kind, "applied")
    ]
    newest = max(mine, key=lambda receipt: receipt["revision"], default=None)
    if newest is None:
        return Held(system, False, why="no receipt of the last days confirms a revision")
    at = datetime.fromisoformat(newest["at"]).timestamp()
    return Held(system, True, newest["revision"], int(at * 1_000_000))


def deferred(settings: Settings, system: str) -> int | None:
    """How many views wait in a target for a reference they name; None when it cannot be asked."""
    try:
        with target(settings, system) as connection:
            row = connection.execute("select count(*) from concord_pending where waits_for <> ''").fetchone()
    except (psycopg.Error, LookupError):
        return None
    return int(row[0]) if row else None


@contextmanager
def target(settings: Settings, system: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection to a target as its adapter, else as its superuser; LookupError when neither is known."""
    if system in settings.apis:
        raise LookupError(f"{system} is behind an API: it has no tables of ours")
    dsn = settings.adapters.get(system) or settings.databases.get(system)
    if not dsn:
        raise LookupError(f"CONCORD_ADAPTER_{system.upper()} is not set")
    with psycopg.connect(dsn, autocommit=True, connect_timeout=3) as connection:
        yield connection
