"""Which revision each target holds: its own `concord_applied` and `concord_pending`, read through its DSN; of a
system of which nothing is captured (behind an API, or taking files), what its receipts confirmed.

Used by explain, trace and the demo. A target that is down or not known here is `unknown` with the reason, never
"not applied". Reads only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from streams.core.entity import Entity
from streams.operate import databases
from streams.settings import Settings
from streams.systems import ADAPTED, WORK

_APPLIED = "select local_id, revision, extract(epoch from applied_at) * 1e6 from concord_applied"
_WAITS = "select revision, waits_for from concord_pending"
_WHICH = " where kind = %s and entity_id = %s"


@dataclass(frozen=True, slots=True)
class Held:
    """What a target holds of an entity. `why` says what keeps it from us, what a view waits for there, or why the
    target refuses one."""

    system: str
    known: bool
    revision: int | None = None
    applied_us: int | None = None
    local_id: str | None = None
    waiting_revision: int | None = None
    why: str = ""
    refused_revision: int | None = None


def held(settings: Settings, entity: Entity, systems: Iterable[str] = ADAPTED) -> dict[str, Held]:
    """What systems hold of an entity: all are asked at once, since a connection takes longer than the question."""
    asked = list(systems)
    with ThreadPoolExecutor(max(1, len(asked)), "held") as pool:
        found = pool.map(lambda system: _with_refusal(_held(settings, system, entity), entity), asked)
        return dict(zip(asked, found, strict=True))


def _held(settings: Settings, system: str, entity: Entity) -> Held:
    if system in settings.apis or system in settings.uncaptured:
        return _confirmed(system, entity)
    if WORK.get(system) == ("request",):
        return Held(system, False, why="requests are answered one by one: see `concord proposals list`")
    which = [entity.kind, entity.id]
    try:
        with target(settings, system) as connection:
            row = connection.execute(_APPLIED + _WHICH, which).fetchone()
            waits = connection.execute(_WAITS + _WHICH, which).fetchone()
    except (psycopg.Error, LookupError) as fault:
        return Held(system, False, why=f"the target cannot be asked: {str(fault).splitlines()[0]}")
    local_id, revision, applied_us = row if row else (None, None, None)
    waiting, what = waits if waits else (None, None)
    why = f"revision {waiting} waits for {what}" if what else ""
    return Held(
        system, True, revision, int(applied_us) if applied_us is not None else None, local_id, waiting, why
    )


def _confirmed(system: str, entity: Entity) -> Held:
    """What decide has heard of it: nobody else is asked, so that this says no more than its parity."""
    known = entity.confirmed.get(system)
    if known is None:
        return Held(system, True, why="it has confirmed nothing yet")
    return Held(system, True, known.revision, known.committed_us)


def _with_refusal(found: Held, entity: Entity) -> Held:
    refused = entity.refused.get(found.system)
    if refused is None:
        return found
    why = f"revision {refused.revision} refused: {refused.reason}"
    return replace(found, refused_revision=refused.revision, why="; ".join(filter(None, (found.why, why))))


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
    if system in settings.files:
        raise LookupError(f"{system} takes files: it has no tables of ours")
    dsn = settings.adapters.get(system) or settings.databases.get(system)
    if not dsn:
        raise LookupError(f"CONCORD_ADAPTER_{system.upper()} is not set")
    with databases.connected(dsn, 3, autocommit=True) as connection:
        yield connection
