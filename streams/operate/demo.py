"""The main job as a story: load providers, wait until all systems hold them, change things, see who is told.

    load -> settle (captured, decided, applied, equal) -> for each event: commit -> deliveries -> applied

Yields values; the command line shows them. Waits on conditions with deadlines, never on time alone, and fails with
the end of a log when a process dies. Never stops what it did not start; that is `processes`' and the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psycopg

from connectors.credentialing import load, story
from connectors.credentialing.load import Loaded
from connectors.credentialing.story import Event
from streams.errors import Unavailable
from streams.operate import announced, follow, processes
from streams.operate.announced import Party
from streams.operate.follow import Delivery, Follower
from streams.operate.preparing import Say, chosen_sources
from streams.operate.presence import Presence, presence
from streams.settings import Settings, need

PATIENCE = 60.0
PER_PROVIDER = 0.05
POLL = 0.05

_HERE = "select pg_current_wal_lsn()"
_PASSED = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s"


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo runs on: invented providers, or the rows of an NPPES file."""

    providers: int = 300
    seed: int = 1
    nppes: Path | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One event of the story and what came of it; times are milliseconds after the source's commit."""

    event: Event
    committed_us: int
    deliveries: list[Delivery]


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one hop over the story's deliveries."""

    hop: str
    count: int
    p50: float
    max: float


_ONE_LICENSE = """
select p.provider_id from provider p join license l using (provider_id) where p.status = 'active'
group by p.provider_id having count(*) = 1 and min(l.status) = 'active' order by min(l.expires), p.provider_id limit 1
"""


def _renew_license(connection: psycopg.Connection) -> Event:
    """Of somebody with one licence: it is the one that enrollment shows."""
    row = connection.execute(_ONE_LICENSE).fetchone()
    return story.renew_license(connection, row[0] if row else None)


EVENTS: tuple[Callable[[psycopg.Connection], Event], ...] = (
    story.move_practice,
    _renew_license,
    story.hire,
    story.terminate,
    story.clinic_moves,
)


def fill(settings: Settings, plan: Plan, say: Say) -> Loaded:
    """Load the plan's providers; loading them again changes nothing."""
    dsn = _master(settings)
    if plan.nppes is not None:
        return load.load_nppes(dsn, plan.nppes, plan.limit, say)
    return load.load_generated(dsn, plan.providers, plan.seed, say)


def settle(settings: Settings, loaded: Loaded, say: Say) -> Presence:
    """Wait until what was committed is captured, decided and applied, and every system holds everyone."""
    patience = PATIENCE + PER_PROVIDER * loaded.bundles
    if loaded.rows.total():
        here = _log_position(settings)
        _until(lambda: _captured(settings, here), patience, "the connector to pass the load")
    quiet = Quiet(settings)
    _until(quiet, patience, "the workers to decide everything")
    found: list[Presence] = []

    def equal() -> bool:
        found.append(presence(settings))
        return found[-1].equal

    _until(equal, patience, lambda: f"all systems to hold every provider; missing {found[-1]}", pause=0.5)
    _until(quiet, patience, "the workers to decide everything")
    return found[-1]


def play(settings: Settings) -> Iterator[Scene]:
    """Each event of the story in turn, committed in the master and followed to its last target."""
    with Follower(settings) as follower, psycopg.connect(_master(settings), autocommit=True) as connection:
        quiet = Quiet(settings)
        for happen in EVENTS:
            follower.poll(POLL)
            event = happen(connection)
            deliveries = _deliveries(settings, follower, quiet, event)
            yield Scene(
                event, min(d.committed_us for d in deliveries if d.entity_id == event.key), deliveries
            )


def _deliveries(settings: Settings, follower: Follower, quiet: Quiet, event: Event) -> list[Delivery]:
    """Everything the event caused: until its own views are there, nothing waits and each target has applied.

    A change that no system shows has no views: it is over once its commit is captured and decided.
    """
    found: list[Delivery] = []
    here = _log_position(settings)

    def over() -> bool:
        arrived = follower.poll(POLL)
        found.extend(arrived)
        told = any(d.entity_id == event.key for d in found) or _captured(settings, here)
        if arrived or not told or not quiet():
            return False
        found[:] = follow.applied(settings, newest([*found, *follower.poll(POLL)]))
        return all(d.settled for d in found)

    _until(over, PATIENCE, f"every system to apply: {event.kind} {event.title}")
    return found


def newest(deliveries: list[Delivery]) -> list[Delivery]:
    """The newest view of each entity and system, with all fields that changed on the way to it."""
    kept: dict[tuple[str, str, str], Delivery] = {}
    for d in deliveries:
        before = kept.get(d.identity)
        fields = dict.fromkeys((*(before.changed if before else ()), *d.changed))
        if before is None or d.revision >= before.revision:
            kept[d.identity] = replace(d, changed=tuple(fields))
    return list(kept.values())


def latencies(scenes: list[Scene]) -> list[Latency]:
    """Hop by hop over all deliveries of the story."""
    pairs = [
        (scene.committed_us, d) for scene in scenes for d in scene.deliveries if d.applied_us is not None
    ]
    hops = {
        "commit -> sink": [d.recorded_us - at for at, d in pairs],
        "sink -> applied": [(d.applied_us or 0) - d.recorded_us for _, d in pairs],
        "commit -> applied": [(d.applied_us or 0) - at for at, d in pairs],
    }
    return [
        Latency(hop, len(us), round(median(us) / 1000, 1), round(max(us) / 1000, 1))
        for hop, us in hops.items()
        if us
    ]


class Quiet:
    """Is everything that was captured decided? Asks the workers that were found at the start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parties: list[Party] = []

    def __call__(self) -> bool:
        answers = announced.answers(self._parties)
        opened = sum(len(answer.status["partitions"]) for answer in answers)
        if opened < self._settings.partitions:
            self._parties = announced.announced(self._settings, "worker")
            return False
        return not any(
            any(entry["lag"] for entry in answer.status["inputs"])
            or any(partition["dirty"] for partition in answer.status["partitions"])
            for answer in answers
        )


def _log_position(settings: Settings) -> str:
    with psycopg.connect(_master(settings), autocommit=True) as connection:
        row = connection.execute(_HERE).fetchone()
    return str(row[0]) if row else "0/0"


def _captured(settings: Settings, position: str) -> bool:
    """The slot has confirmed the position: every row before it is in Kafka."""
    (source,) = [s for s in chosen_sources(settings) if s.names.system == "credentialing"]
    with psycopg.connect(_master(settings), autocommit=True) as connection:
        row = connection.execute(_PASSED, [position, source.names.slot_name]).fetchone()
    return bool(row and row[0])


def _until(
    condition: Callable[[], bool], within: float, what: str | Callable[[], str], pause: float = POLL
) -> None:
    deadline = time.monotonic() + within
    while not condition():
        processes.check_alive()
        if time.monotonic() > deadline:
            words = what if isinstance(what, str) else what()
            raise Unavailable("demo.late", f"waited {within:.0f} s for {words}", "concord status")
        time.sleep(pause)


def _master(settings: Settings) -> str:
    dsn: str = need(settings.databases.get("credentialing"), "CONCORD_DATABASE_CREDENTIALING")
    return dsn
