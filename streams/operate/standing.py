"""How a hop stands, as values: what lags by how much, what stopped, and what nobody can say.

`caught_up`, `lagging`, `unknown` (with why) and `stopped` (with why) are four different things; a lag that nobody
measured is null, never zero. Pure; `status` gathers what these functions judge, the command line prints it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CAUGHT_UP = "caught_up"
LAGGING = "lagging"
UNKNOWN = "unknown"
STOPPED = "stopped"
_WORST_FIRST = (STOPPED, UNKNOWN, LAGGING, CAUGHT_UP)

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Input:
    """One partition a hop reads. `lag_seconds` is the age of its oldest unprocessed record."""

    topic: str
    partition: int
    state: str
    position: int | None
    end: int | None
    lag_records: int | None
    lag_seconds: float | None
    rate: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of a topic's records; `balanced`: each ended in exactly one outcome (invariant 5)."""

    consumed: int
    outcomes: Mapping[str, int]
    balanced: bool


@dataclass(frozen=True, slots=True)
class Hop:
    """A hop that reads topics: the decide workers, or one adapter."""

    name: str
    state: str
    why: str
    processes: Sequence[str]
    lag_records: int | None
    lag_seconds: float | None
    rate: float | None
    inputs: Sequence[Input]
    outcomes: Mapping[str, Outcomes]
    counters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capture:
    """One system's capture: its connector, snapshot and replication slot."""

    system: str
    connector: str
    state: str
    why: str
    connector_state: str
    epoch: int | None
    snapshot_finished: bool
    slot_active: bool | None
    retained_bytes: int | None
    lag_bytes: int | None
    lag_seconds: float | None


@dataclass(frozen=True, slots=True)
class Watch:
    """`concord guard`: whether somebody watches capture, and how old each system's newest canary is at each hop."""

    state: str
    why: str = ""
    age: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    open: int | None = None
    named: Sequence[str] = ()
    """`system code` of what is open"""


def watch(answers: Sequence[Mapping[str, Any]]) -> Watch:
    """From what a guard answers; without one nobody knows."""
    if not answers:
        return Watch(STOPPED, "nobody watches capture: concord up, or concord guard")
    found = answers[0]
    ages = {system: dict(canary["age"]) for system, canary in found["sources"].items()}
    named = sorted({f"{finding['system']} {finding['code']}" for finding in found["open"]})
    return Watch(CAUGHT_UP, "", ages, len(found["open"]), named)


def judge_input(
    place: Place,
    position: int | None,
    end: int | None,
    waiting_ms: int | None,
    now_ms: float,
    rate: float | None,
    stopped: str = "",
) -> Input:
    """One input from its position and end, and the timestamp of the first record that waits (None = none does).

    Between position and end may stand nothing but transaction markers: then nothing waits and nothing lags.
    """
    topic, partition = place
    if position is None or end is None:
        state = STOPPED if stopped else UNKNOWN
        return Input(
            topic, partition, state, position, end, None, None, rate, stopped or "position not known"
        )
    records = max(end - position, 0) if waiting_ms is not None else 0
    seconds = round(max(now_ms - waiting_ms, 0) / 1000, 3) if waiting_ms is not None else 0.0
    state = STOPPED if stopped else LAGGING if records else CAUGHT_UP
    return Input(topic, partition, state, position, end, records, seconds, rate, stopped)


def worst(states: Iterable[str]) -> str:
    """The state of a whole from its parts; of nothing it is unknown."""
    found = set(states)
    return next((state for state in _WORST_FIRST if state in found), UNKNOWN)


def total(values: Iterable[int | None]) -> int | None:
    """The sum, or None when a part is not known."""
    found = list(values)
    return None if None in found or not found else sum(v for v in found if v is not None)


def longest(values: Iterable[float | None]) -> float | None:
    """The longest, or None when a part is not known."""
    found = list(values)
    return None if None in found or not found else max(v for v in found if v is not None)


def rate(before: int | None, after: int | None, seconds: float) -> float | None:
    """Records a second between two samples of a counter; None when it restarted or was not sampled twice."""
    if before is None or after is None or seconds <= 0 or after < before:
        return None
    return round((after - before) / seconds, 1)


def balance(partitions: Iterable[Mapping[str, Any]]) -> dict[str, Outcomes]:
    """Outcome counts by topic over all partitions; balanced only where every partition is."""
    consumed: dict[str, int] = {}
    outcomes: dict[str, dict[str, int]] = {}
    balanced: dict[str, bool] = {}
    for partition in partitions:
        for topic, count in partition["consumed"].items():
            found = partition["outcomes"].get(topic, {})
            consumed[topic] = consumed.get(topic, 0) + count
            balanced[topic] = balanced.get(topic, True) and sum(found.values()) == count
            sums = outcomes.setdefault(topic, {})
            for outcome, times in found.items():
                sums[outcome] = sums.get(outcome, 0) + times
    return {topic: Outcomes(consumed[topic], outcomes[topic], balanced[topic]) for topic in sorted(consumed)}


def hop(
    name: str,
    inputs: Sequence[Input],
    processes: Sequence[str] = (),
    outcomes: Mapping[str, Outcomes] | None = None,
    why: str = "",
    counters: Mapping[str, Any] | None = None,
) -> Hop:
    """A hop from its inputs: as bad as the worst of them."""
    rates = [i.rate for i in inputs if i.rate is not None]
    state = worst(i.state for i in inputs)
    reason = why or next((i.why for i in inputs if i.state == state and i.why), "")
    return Hop(
        name,
        state,
        reason,
        list(processes),
        total(i.lag_records for i in inputs),
        longest(i.lag_seconds for i in inputs),
        round(sum(rates), 1) if rates else None,
        list(inputs),
        outcomes or {},
        counters or {},
    )
