"""Parity: does every system hold what it is to hold? The answer to `concord parity`.

    workers' /status, summed --> per system: equal, in flight, differing ...      else topic `entity`, scanned

The counts are kept by the workers in the partition's state, in the transaction that changes an entity: asking costs no
scan. Partitions that no worker has open are read from topic `entity`, and the answer says so. What the systems' own
tables say is `presence`'s to compare (`--deep`).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import to_builtins

from streams.core.parity import APART, DIFFERING, EQUAL, HELD, IN_FLIGHT, LET_BE, UNEXPLAINED, WITHDRAWN
from streams.engine.store import decode_index
from streams.operate import announced, pausing, reading
from streams.operate.presence import Presence, presence
from streams.settings import Settings, need
from streams.systems import ADAPTED

NAMED = 5
PARTITION = b"partition/"


@dataclass(frozen=True, slots=True)
class Waiting:
    """An entity that isn't what a system is to hold, and for how long."""

    entity: str
    state: str
    since_us: int
    seconds: float


@dataclass(frozen=True, slots=True)
class System:
    """How one system stands. `unexplained` must be 0: its entities stand in `named`."""

    system: str
    equal: int
    in_flight: int
    differing: int
    let_be: int
    unexplained: int
    held: int
    withdrawn: int
    fields: Mapping[str, int] = field(default_factory=dict)
    """record.field -> entities of which it holds another value"""
    oldest_in_flight: Waiting | None = None
    oldest: Waiting | None = None
    """the oldest disagreement that is not on its way"""
    named: list[str] = field(default_factory=list)
    paused: Mapping[str, str] | None = None
    """an operator's `concord pause`: since, by, reason"""


@dataclass(frozen=True, slots=True)
class Parity:
    """All systems. `scanned`: partitions that no worker has open, read from topic `entity`."""

    systems: list[System]
    workers: int
    scanned: list[int]
    deep: Presence | None = None

    @property
    def explained(self) -> bool:
        """Nobody differs without an open finding."""
        return not any(system.unexplained for system in self.systems)


def parity(settings: Settings, system: str = "", *, deep: bool = False) -> Parity:
    """Ask the workers; scan what none of them has open."""
    answers = announced.answering(settings, "worker")
    parts = {p["partition"]: p["parity"] for answer in answers for p in answer.status["partitions"]}
    missing = sorted(set(range(settings.partitions)) - parts.keys())
    told = [*parts.values(), *([scan(settings, missing)] if missing else [])]
    now_us = time.time_ns() // 1000
    found = [summed(name, told, now_us) for name in ([system] if system else ADAPTED)]
    marks = pausing.marks(settings)
    found = [replace(s, paused=to_builtins(marks.get(s.system))) for s in found]
    return Parity(found, len(answers), missing, presence(settings) if deep else None)


def summed(system: str, parts: Iterable[Mapping[str, Any]], now_us: int) -> System:
    """One system over all partitions."""
    states: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    longest: dict[str, list[Any]] = {state: [] for state in APART}
    for part in parts:
        states.update(part["systems"].get(system, {}))
        fields.update(part["fields"].get(system, {}))
        for state, named in part["longest"].get(system, {}).items():
            longest[state] += named
    waits = {
        state: [_waiting(state, each, now_us) for each in sorted(found)] for state, found in longest.items()
    }
    apart = sorted((w for s in APART if s != IN_FLIGHT for w in waits[s]), key=lambda w: w.since_us)
    return System(
        system,
        states[EQUAL],
        states[IN_FLIGHT],
        states[DIFFERING],
        states[LET_BE],
        states[UNEXPLAINED],
        states[HELD],
        states[WITHDRAWN],
        dict(fields.most_common()),
        next(iter(waits[IN_FLIGHT]), None),
        next(iter(apart), None),
        [w.entity for w in waits[UNEXPLAINED]],
    )


def _waiting(state: str, named: Iterable[Any], now_us: int) -> Waiting:
    since, entity = named
    return Waiting(entity, state, since, round(max(now_us - since, 0) / 1e6, 3))


def scan(settings: Settings, partitions: Iterable[int]) -> dict[str, Any]:
    """The same counts from topic `entity`: each entity as its last transaction left it."""
    newest: dict[bytes, Mapping[str, Any]] = {}
    starts = reading.beginnings(settings.topic("entity"), partitions)
    for message in reading.read(need(settings.kafka, "CONCORD_KAFKA"), starts):
        key, value = message.key() or b"", message.value()
        if value is None:
            newest.pop(key, None)
        elif not key.startswith(PARTITION):
            newest[key] = decode_index(value).parity
    return counted(newest)


def counted(entities: Mapping[bytes, Mapping[str, Any]]) -> dict[str, Any]:
    """What a worker would tell of these entities."""
    systems: dict[str, Counter[str]] = defaultdict(Counter)
    fields: dict[str, Counter[str]] = defaultdict(Counter)
    longest: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for key, standing in entities.items():
        for system, found in standing.items():
            systems[system][found.state] += 1
            fields[system].update(found.fields)
            if found.since_us:
                longest[system][found.state].append([found.since_us, key.decode()])
    for states in longest.values():
        for state, named in states.items():
            states[state] = sorted(named)[:NAMED]
    return {"systems": systems, "fields": fields, "longest": longest}
