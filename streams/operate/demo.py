"""The main job as a story: load providers, wait until all systems hold them, change things, see who is told.

    load -> settle (captured, decided, applied, equal) -> for each event: commit -> deliveries -> applied -> no echo

Yields values; the command line shows them. Waits on conditions with deadlines, never on time alone, and fails with
the end of a log when a process dies. Never stops what it did not start; that is `processes`' and the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import psycopg

from connectors.credentialing import load, story
from connectors.credentialing.load import Loaded
from connectors.directory import story as edits
from connectors.event import Connection, Event
from streams.core.parity import IN_FLIGHT
from streams.errors import Unavailable
from streams.operate import follow, processes
from streams.operate.find import Finder
from streams.operate.follow import Delivery, Follower
from streams.operate.preparing import Say
from streams.operate.presence import Presence, presence
from streams.operate.quiet import MASTER, Quiet, captured, dsn, log_position
from streams.settings import Settings

PATIENCE = 60.0
PER_PROVIDER = 0.05
POLL = 0.05


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


_ONE_LICENSE = """
select p.provider_id from provider p join license l using (provider_id) where p.status = 'active'
group by p.provider_id having count(*) = 1 and min(l.status) = 'active' order by min(l.expires), p.provider_id limit 1
"""


def _renew_license(connection: Connection) -> Event:
    """Of somebody with one licence: it is the one that enrollment shows."""
    row = connection.execute(_ONE_LICENSE).fetchone()
    return story.renew_license(connection, row[0] if row else None)


Happen = Callable[[Connection], Event]
EVENTS: tuple[tuple[str, Happen], ...] = (
    ("credentialing", story.move_practice),
    ("credentialing", _renew_license),
    ("credentialing", story.hire),
    ("credentialing", story.terminate),
    ("credentialing", story.clinic_moves),
    ("directory", edits.rename_group),
    ("directory", edits.accept_patients),
    ("directory", edits.change_degree),
)
"""(the system it happens in, what happens there)"""


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
        _until(lambda: captured(settings, here), patience, "the connector to pass the load")
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
    """Each event of the story in turn, committed in its system and followed to its last target, and back."""
    with Follower(settings) as follower, ExitStack() as stack:
        quiet, connections = Quiet(settings), _connections(settings, stack)
        for system, happen in EVENTS:
            follower.poll(POLL)
            event = happen(connections[system])
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

    A change that no system shows has no views: it is over once its commit is captured and decided.
    """
    found: list[Delivery] = []
    here = log_position(settings, event.system)

    def over() -> bool:
        arrived = follower.poll(POLL)
        found.extend(arrived)
        told = any(d.entity_id == event.key for d in found) or captured(settings, here, event.system)
        if arrived or not told or not quiet():
            return False
        found.extend(follower.poll(POLL))
        return all(d.settled for d in follow.applied(settings, newest(found)))

    _until(over, PATIENCE, f"every system to apply: {event.kind} {event.title}")
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

    _until(confirmed, PATIENCE, f"every system to confirm {len(names)} entities", pause=0.2)
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
