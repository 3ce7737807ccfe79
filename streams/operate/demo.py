"""The main job as a story: load providers, wait until all systems hold them, change things, see who is told.

    load -> settle (captured, decided, applied, equal) -> for each event of the plot: commit -> deliveries -> applied
    -> confirmed, and no echo

Yields values; the command line shows them. Waits on conditions with deadlines, never on time alone, and fails with
the end of a log when a process dies. Never stops what it did not start; that is `processes`' and the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psycopg

from connectors.credentialing import load
from connectors.credentialing.load import Loaded
from connectors.event import Connection, Event
from streams.core.parity import IN_FLIGHT
from streams.operate import follow
from streams.operate.find import Finder
from streams.operate.follow import Delivery, Follower
from streams.operate.plot import EVENTS, PATIENCE, POLL, until
from streams.operate.preparing import Say
from streams.operate.presence import Presence, presence
from streams.operate.quiet import MASTER, Quiet, captured, dsn, log_position
from streams.settings import Settings

PER_PROVIDER = 0.05
CALM = 2.0
"""Seconds without a view before a change is believed to have none."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the demo runs on: invented providers, or the rows of an NPPES file."""

    providers: int = 300
    seed: int = 1
    nppes: Path | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """One event of the story and what came of it; times are milliseconds after the source's commit.

    sent    views that went out for it, older revisions included
    echoes  views that followed once every system had confirmed what it holds: none, or there would be a loop
    """

    event: Event
    committed_us: int
    deliveries: list[Delivery]
    sent: int = 0
    echoes: int = 0


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of one hop over the story's deliveries."""

    hop: str
    count: int
    p50: float
    max: float


def fill(settings: Settings, plan: Plan, say: Say) -> Loaded:
    """Load the plan's providers; loading them again changes nothing."""
    master = dsn(settings, MASTER)
    if plan.nppes is not None:
        return load.load_nppes(master, plan.nppes, plan.limit, say)
    return load.load_generated(master, plan.providers, plan.seed, say)


def settle(settings: Settings, loaded: Loaded, say: Say) -> Presence:
    """Wait until what was committed is captured, decided and applied, and every system holds everyone."""
    patience = PATIENCE + PER_PROVIDER * loaded.bundles
    if loaded.rows.total():
        here = log_position(settings)
        until(lambda: captured(settings, here), patience, "the connector to pass the load")
    quiet = Quiet(settings)
    until(quiet, patience, "the workers to decide everything")
    found: list[Presence] = []

    def equal() -> bool:
        found.append(presence(settings))
        return found[-1].equal

    until(equal, patience, lambda: f"all systems to hold every provider; missing {found[-1]}", pause=0.5)
    until(quiet, patience, "the workers to decide everything")
    return found[-1]


def play(settings: Settings) -> Iterator[Scene]:
    """Each event of the story in turn, committed in its system and followed to its last target, and back."""
    with Follower(settings) as follower, ExitStack() as stack:
        quiet, connections = Quiet(settings), _connections(settings, stack)
        for system, happen in EVENTS:
            follower.poll(POLL)
            event = happen(settings, connections[system])
            found = _deliveries(settings, follower, quiet, event)
            deliveries = follow.applied(settings, newest(found))
            echoes = _echoes(settings, follower, quiet, deliveries)
            own = (d.committed_us for d in deliveries if d.entity_id == event.key)
            yield Scene(event, min(own, default=0), deliveries, len(found), len(echoes))


def _connections(settings: Settings, stack: ExitStack) -> Mapping[str, Connection]:
    """To the systems in which something happens."""
    return {
        system: stack.enter_context(psycopg.connect(dsn(settings, system), autocommit=True))
        for system in dict.fromkeys(system for system, _ in EVENTS)
    }


def _deliveries(settings: Settings, follower: Follower, quiet: Quiet, event: Event) -> list[Delivery]:
    """Everything the event caused: until its own views are there, nothing waits and each target has applied.

    A change that no system shows has no views: it is over once its commit is captured and decided, and a moment later:
    what is captured stands in Kafka before a worker says that it waits.
    """
    found: list[Delivery] = []
    here, still = log_position(settings, event.system), time.monotonic()

    def over() -> bool:
        nonlocal still
        arrived = follower.poll(POLL)
        found.extend(arrived)
        told = any(d.entity_id == event.key for d in found)
        if arrived or not (told or captured(settings, here, event.system)):
            still = time.monotonic()
            return False
        if (not told and time.monotonic() - still < CALM) or not quiet():
            return False
        found.extend(follower.poll(POLL))
        return all(d.settled for d in follow.applied(settings, newest(found)))

    until(over, PATIENCE, f"every system to apply: {event.kind} {event.title}")
    return found


def _echoes(
    settings: Settings, follower: Follower, quiet: Quiet, deliveries: list[Delivery]
) -> list[Delivery]:
    """What is still sent until each of these systems has confirmed its view: our own writes come back by capture."""
    found: list[Delivery] = []
    names = dict.fromkeys(f"{d.kind}/{d.entity_id}" for d in deliveries)

    def confirmed() -> bool:
        found.extend(follower.poll(POLL))
        return quiet() and not _in_flight(settings, names)

    until(confirmed, PATIENCE, f"every system to confirm {len(names)} entities", pause=0.2)
    return [*found, *follower.poll(POLL)]


def _in_flight(settings: Settings, names: Iterable[str]) -> bool:
    """Whether a view of these entities was sent that its system has not confirmed."""
    with Finder(settings) as finder:
        standing = [found.entity.parity.values() for found in finder.get_many(names)]
    return any(each.state == IN_FLIGHT for systems in standing for each in systems)


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
