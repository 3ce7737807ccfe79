"""One entity's last revisions hop by hop: the answer to `concord trace`.

    commit -> captured -> received -> decided -> sink -> applied        (absolute times, and ms from hop to hop)

The first four stand in the entity's trail, `sink` is the record's timestamp in its topic, `applied` stands in the
target, which only knows its newest revision. A time nobody kept is absent with a reason, never a zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from streams.core.change import position_text
from streams.core.entity import Entity, Step
from streams.operate import applied, reading
from streams.operate.announced import Answer
from streams.operate.applied import Held
from streams.operate.find import Finder, Located
from streams.operate.reading import Place
from streams.operate.wording import time_text
from streams.placing import partition_of
from streams.settings import Settings, need
from streams.systems import ADAPTED

HOPS = ("committed", "captured", "received", "decided")
WINDOW_MS = 60_000
"""A view is looked for in its sink topic from this long before its decision on."""

Recorded = Mapping[tuple[str, int], int]
"""(sink system, revision) -> timestamp of its record, epoch microseconds"""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a hop was reached, and how long after the hop before; None where nobody kept it."""

    hop: str
    at: str
    us: int | None
    ms: float | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """One sink's part of a revision. state: applied | superseded | pending | deferred | refused | unknown."""

    sink: str
    state: str
    moments: list[Moment]
    why: str = ""


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: the commit it answers, the hops it took, and how it arrived at each sink."""

    revision: int
    system: str
    position: str
    txid: int
    moments: list[Moment]
    sinks: list[Arrival]
    total_ms: float | None
    """commit -> applied in the last of its sinks, where all are known"""


@dataclass(frozen=True, slots=True)
class Trace:
    """The last revisions of an entity, newest first."""

    kind: str
    id: str
    found_in: str
    revision: int
    waits: bool
    """a newer change waits to be decided"""
    revisions: list[Revision] = field(default_factory=list)


def trace(settings: Settings, key: str, known: list[Answer] | None = None) -> list[Trace]:
    """Trace what a key stands for. `known`: the workers that live, where somebody keeps an eye on it."""
    with Finder(settings, known) as finder:
        return [_traced(settings, located) for located in finder.find(key)]


def _traced(settings: Settings, located: Located) -> Trace:
    entity = located.entity
    sinks = {sink for step in entity.steps() for sink in step.sinks}
    targets = applied.held(settings, entity, sorted({*ADAPTED, *sinks}))
    return describe(located, recorded(settings, entity), targets)


def describe(located: Located, records: Recorded, targets: Mapping[str, Held]) -> Trace:
    """The trace of an entity from what each hop kept; pure."""
    entity = located.entity
    steps = [_revision(step, records, targets) for step in reversed(entity.steps())]
    return Trace(entity.kind, entity.id, located.where, entity.revision, entity.dirty is not None, steps)


def _revision(step: Step, records: Recorded, targets: Mapping[str, Held]) -> Revision:
    times = (step.committed_us, step.captured_us, step.received_us, step.decided_us)
    sinks = [_arrival(sink, step, records, targets.get(sink)) for sink in step.sinks]
    return Revision(
        step.revision,
        step.system,
        position_text(step.position),
        step.txid,
        moments(zip(HOPS, (us or None for us in times), strict=True)),
        sinks,
        _total(step, sinks),
    )


def _arrival(sink: str, step: Step, records: Recorded, target: Held | None) -> Arrival:
    state, why = arrival_state(step.revision, target)
    applied_us = target.applied_us if target and state == "applied" else None
    hops = (("sink", records.get((sink, step.revision))), ("applied", applied_us))
    return Arrival(sink, state, moments(hops, after=step.decided_us), why)


def arrival_state(revision: int, target: Held | None) -> tuple[str, str]:
    """What became of a revision in a target that knows only its newest."""
    if target is None or not target.known:
        return "unknown", target.why if target else "no such target here"
    if target.refused_revision == revision:
        return "refused", target.why
    if target.revision == revision:
        return "applied", ""
    if target.revision is not None and target.revision > revision:
        return "superseded", f"the target holds revision {target.revision} by now, and no time of this one"
    if target.waiting_revision is not None and target.waiting_revision >= revision:
        return "deferred", target.why
    return "pending", "not applied yet"


def moments(hops: Iterable[tuple[str, int | None]], after: int | None = None) -> list[Moment]:
    """Hops with the milliseconds since the hop before that is known.

    Kafka keeps whole milliseconds: a record's time within the millisecond of the hop before is that hop's time.
    """
    found: list[Moment] = []
    before = after
    for hop, told_us in hops:
        us = before if told_us is not None and before is not None and 0 < before - told_us < 1000 else told_us
        delta = round((us - before) / 1000, 3) if us is not None and before is not None else None
        found.append(Moment(hop, time_text(us or 0), us, delta))
        before = us if us is not None else before
    return found


def _total(step: Step, sinks: list[Arrival]) -> float | None:
    ends = [arrival.moments[-1].us for arrival in sinks]
    known = [us for us in ends if us is not None]
    if not step.committed_us or not known or len(known) < len(ends):
        return None
    return round((max(known) - step.committed_us) / 1000, 3)


def recorded(settings: Settings, entity: Entity) -> Recorded:
    """The timestamps of the trail's views in their sink topics, as far as these still hold them."""
    if not entity.trail:
        return {}
    kafka, partition = need(settings.kafka, "CONCORD_KAFKA"), _partition(settings, entity)
    sinks = {settings.topic(f"sink.{s}.{entity.kind}"): s for step in entity.steps() for s in step.sinks}
    oldest = min(step.decided_us for step in entity.steps()) // 1000 - WINDOW_MS
    places: dict[Place, int] = {(topic, partition): oldest for topic in sinks}
    key, found = entity.id.encode(), {}
    for message in reading.read(kafka, reading.since(kafka, places)):
        if message.key() == key:
            revision = int(dict(message.headers() or []).get("concord-revision", b"0"))
            found[sinks[str(message.topic())], revision] = message.timestamp()[1] * 1000
    return found


def _partition(settings: Settings, entity: Entity) -> int:
    return partition_of(entity.id.encode(), settings.partitions)
