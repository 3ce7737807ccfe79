"""The hops that read topics, as `status` tells them: the decide workers, and the adapters of one system.

Living processes are asked first; without any, the partitions' own state and the targets say how far they were.
Positions come from there, ends and the age of what waits from the broker; `standing` judges.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from msgspec import to_builtins

from connectors import canary
from connectors.rest.offsets import CONFIRMED, KafkaOffsets
from connectors.sink import KINDS
from streams.agents.proposal import asked
from streams.core import parity
from streams.operate import reading, rollout
from streams.operate.announced import Answer
from streams.operate.applied import deferred, target
from streams.operate.find import last_state
from streams.operate.reading import Place
from streams.operate.standing import Hop, Input, balance, hop, judge_input, rate
from streams.settings import Settings, need
from streams.systems import ADAPTED, WORK

CANARY_KEY = f"{canary.NAME}/".encode()
CANARY_FRESH_MS = 10_000
"""As old as a canary may become before nobody seems to read any more: running, but dead"""

NO_WORKER = "no worker answers: concord up, or concord worker"
NO_FOLLOWER = "no follower answers: concord up, or concord reference follow"
NO_ADAPTER = "no adapter answers: concord up, or concord adapter "


@dataclass(frozen=True, slots=True)
class Sample:
    """Who answered at one moment."""

    at: float
    answers: list[Answer]


# ---- decide ----


def decide_hop(settings: Settings, before: list[Answer], after: list[Answer], seconds: float) -> Hop:
    """The workers; without any, what the partitions' own state says, as stopped."""
    partitions = [p for answer in after for p in answer.status["partitions"]]
    missing = set(range(settings.partitions)) - {p["partition"] for p in partitions}
    stored = [_stored(settings, number) for number in sorted(missing)]
    positions = _worker_positions(after) | {place: at for s in stored for place, at in s["positions"].items()}
    why = NO_WORKER if not after else f"partitions {sorted(missing)} are not open yet" if missing else ""
    inputs = _inputs(
        settings, positions, _rates(before, after, seconds), dict.fromkeys(missing, why) if missing else {}
    )
    rows = [*partitions, *stored]
    return hop(
        "decide",
        inputs,
        [f"{a.party.key} pid {a.party.pid} {a.party.url}" for a in after],
        balance(rows),
        why,
        _counters(rows, after),
    )


def _counters(rows: list[Any], answers: list[Answer]) -> dict[str, Any]:
    summed = {name: sum(row[name] for row in rows) for name in ("decided", "emitted", "late")}
    dirty = sum(row["dirty"] for row in rows) if all(row["dirty"] is not None for row in rows) else None
    errors = sorted({row["last_error"] for row in rows if row.get("last_error")})
    gaps = [gap for answer in answers for gap in answer.status["gaps"]]
    return {
        "dirty": dirty,
        "due": _due(rows),
        "ticked": min((row["ticked"] for row in rows), default=""),
        "asked": next((row["asked"] for row in rows if row.get("asked")), None),
        **summed,
        "retries": sum(row.get("retries", 0) for row in rows),
        "opened": sum(answer.status.get("opened", 0) for answer in answers),
        "errors": errors,
        "gaps": gaps,
        "unconfirmed": {system: unconfirmed(rows, system) for system in ADAPTED},
        "read_again": {system: epoch for row in rows for system, epoch in row["read_again"].items()},
        "rollout": rollout.progress(rows),
    }


def unconfirmed(rows: Iterable[Mapping[str, Any]], system: str) -> int:
    """Entities of which a view was sent that the system has not confirmed yet."""
    return sum(row["parity"]["systems"].get(system, {}).get(parity.IN_FLIGHT, 0) for row in rows)


def _due(rows: list[Any]) -> int | None:
    """Entities due by time alone that wait for their decision; nobody counts those of a partition that isn't open."""
    counts = [row["due"] for row in rows]
    return None if None in counts else sum(counts)


def _worker_positions(answers: Iterable[Answer]) -> dict[Place, int]:
    """The offset up to which each input is acknowledged."""
    found: dict[Place, int] = {}
    for answer in answers:
        opened = {p["partition"] for p in answer.status["partitions"]}
        for entry in answer.status["inputs"]:
            if entry["partition"] in opened:
                at = entry["committed"] if entry["committed"] is not None else entry["end"] - entry["lag"]
                found[entry["topic"], entry["partition"]] = at
    return found


def _stored(settings: Settings, number: int) -> dict[str, Any]:
    """A partition that nobody has open, as its last transaction left it."""
    state = last_state(settings, number)
    inputs = [
        *(f"cdc.{system}" for system in settings.sources),
        "claims.npi",
        "claims.witness",
        "clock",
        "receipt",
    ]
    topics = [settings.topic(name) for name in inputs]
    return {
        "partition": number,
        "dirty": None,
        "due": None,
        "ticked": state.ticked,
        "read_again": state.read_again,
        "asked": to_builtins(asked(state)),
        "parity": {"systems": state.parity, "fields": state.apart, "longest": {}},
        "rules": state.rules,
        "toward": state.toward,
        "again": None,
        "decided": state.decided,
        "emitted": state.emitted,
        "late": state.late,
        "consumed": state.consumed,
        "outcomes": state.outcomes,
        "positions": {(topic, number): state.inputs.get(topic, 0) for topic in topics},
    }


def _rates(before: list[Answer], after: list[Answer], seconds: float) -> dict[Place, float | None]:
    """Records consumed a second, by input."""
    earlier, later = _consumed(before), _consumed(after)
    return {place: rate(earlier.get(place), count, seconds) for place, count in later.items()}


def _consumed(answers: Iterable[Answer]) -> dict[Place, int]:
    return {
        (topic, partition["partition"]): count
        for answer in answers
        for partition in answer.status["partitions"]
        for topic, count in partition["consumed"].items()
    }


# ---- adapters ----


def adapter_hop(settings: Settings, system: str, before: Sample, after: Sample, seconds: float) -> Hop:
    """The adapters of one system; without any, what its target says it has applied, as stopped."""
    name = f"adapter/{system}"
    earlier = [a for a in before.answers if a.party.role == name]
    answers = [a for a in after.answers if a.party.role == name]
    places = sink_places(settings, system)
    positions, rates = _adapter_positions(answers), {}
    faults = [
        f"{a.status['circuit']['fault']['message']}" for a in answers if a.status["circuit"].get("fault")
    ]
    for place, at in positions.items():
        rates[place] = rate(_adapter_positions(earlier).get(place), at, seconds)
    why = faults[0] if faults else "" if answers else NO_ADAPTER + system
    resting = not positions and any(a.status.get("paused") for a in answers)
    if not answers or resting:  # one that was paused when it started has not asked its target where it stands
        positions = stored_offsets(settings, system)
        positions = {place: positions.get(place, 0) for place in places}
    stopped = {} if answers else dict.fromkeys({number for _, number in places}, why)
    inputs = _inputs(settings, positions, rates, stopped, places)
    processes = [f"{a.party.key} pid {a.party.pid} {a.party.url}" for a in answers]
    return hop(system, inputs, processes, why=why, counters=_adapter_counters(settings, system, answers))


def sink_places(settings: Settings, system: str) -> list[Place]:
    """Every partition of a system's sink topics."""
    topics = [settings.topic(f"sink.{system}.{kind}") for kind in {**KINDS, **WORK}[system]]
    return [(topic, number) for topic in topics for number in range(settings.partitions)]


def _adapter_positions(answers: Iterable[Answer]) -> dict[Place, int]:
    return {
        (entry["topic"], entry["partition"]): entry["next_offset"]
        for answer in answers
        for entry in answer.status["partitions"]
    }


def stored_offsets(settings: Settings, system: str) -> dict[Place, int]:
    """What a target says it has applied; a system behind an API has its offsets kept in Kafka."""
    if system in settings.apis:
        return _confirmed_offsets(settings, system)
    need(settings.adapters.get(system) or settings.databases.get(system), f"CONCORD_ADAPTER_{system.upper()}")
    with target(settings, system) as connection:
        rows = connection.execute("select topic, partition, next_offset from concord_offset").fetchall()
    return {(topic, partition): offset for topic, partition, offset in rows}


def _confirmed_offsets(settings: Settings, system: str) -> dict[Place, int]:
    with closing(KafkaOffsets(settings.kafka, settings.topic(f"concord-{system}{CONFIRMED}"))) as offsets:
        kept = offsets.kept(list(sink_places(settings, system)))
    return {place: offset for place, (_, offset) in kept.items()}


def _adapter_counters(settings: Settings, system: str, answers: Iterable[Answer]) -> dict[str, Any]:
    outcomes: Counter[str] = Counter()
    released: Counter[str] = Counter()
    circuits = set()
    for answer in answers:
        outcomes.update(answer.status["outcomes"])
        released.update(answer.status.get("released", {}))
        circuits.add(answer.status["circuit"]["state"])
    return {
        "outcomes": dict(outcomes),
        "released": dict(released),
        "deferred": deferred(settings, system),
        "circuit": sorted(circuits),
    }


# ---- reference ----


def reference_hop(settings: Settings, after: Sample) -> Hop:
    """Who tells what the witnesses say to new holders of an NPI; without one, nobody is told before the next load."""
    answers = [a for a in after.answers if a.party.role == "witness"]
    faults = [a.status["circuit"]["fault"]["message"] for a in answers if a.status["circuit"].get("fault")]
    topic = settings.topic("claims.npi")
    places = [(topic, number) for number in range(settings.partitions)]
    why = faults[0] if faults else "" if answers else NO_FOLLOWER
    stopped = {} if answers else dict.fromkeys(range(settings.partitions), why)
    inputs = _inputs(settings, _adapter_positions(answers), {}, stopped, places)
    told: Counter[str] = Counter()
    for answer in answers:
        told.update(answer.status["told"])
    processes = [f"{a.party.key} pid {a.party.pid} {a.party.url}" for a in answers]
    return hop("reference", inputs, processes, why=why, counters=dict(told))


# ---- inputs ----


def fresh_canary(key: bytes | None, at_ms: float, now_ms: float) -> bool:
    """A canary comes every second: that it has not been read yet is no lag, or nothing would ever be quiet. One that
    has waited long is."""
    return (key or b"").startswith(CANARY_KEY) and now_ms - at_ms < CANARY_FRESH_MS


def _inputs(
    settings: Settings,
    positions: Mapping[Place, int],
    rates: Mapping[Place, float | None],
    stopped: Mapping[int, str],
    expected: Iterable[Place] = (),
) -> list[Input]:
    """Each input judged: ends and the first waiting record come from the broker."""
    ends = {place: high for place, (_, high) in reading.ends(settings.kafka, positions).items()}
    behind = {place: at for place, at in positions.items() if ends[place] > at}
    now_ms = time.time() * 1000
    first = reading.first_after(
        settings.kafka, behind, lambda m: not fresh_canary(m.key(), m.timestamp()[1], now_ms)
    )
    waiting = {place: m.timestamp()[1] for place, m in first.items() if m is not None}
    return [
        judge_input(
            place,
            positions.get(place),
            ends.get(place),
            waiting.get(place),
            now_ms,
            rates.get(place),
            stopped.get(place[1], ""),
        )
        for place in sorted({*positions, *expected})
    ]
