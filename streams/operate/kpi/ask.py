"""Where the KPIs come from: asked of whoever knows, each by itself; what could not be asked is named, never zero.

    adapters' /metrics (since they run) · topic finding, read whole · proposals and rulings · handoffs

Reads only, and joins no group.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from streams.errors import ConcordError, Unavailable
from streams.operate import announced, handoffs, proposals, reading
from streams.operate.exporter.forward import forwarded
from streams.operate.findings import decode
from streams.operate.handoffs import Overview
from streams.operate.kpi.figures import Cause, Measured, Spread, Stood, measured
from streams.operate.moments import moment
from streams.settings import Settings, need

DELIVERY = "concord_end_to_end_seconds"
PATIENCE = 60.0
"""Seconds: a topic too long to read meanwhile gives no figure rather than a wrong one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Approval:
    """What was ruled at one level, one way: from the proposal's arrival to the ruling."""

    level: str
    decision: str
    count: int
    mean: float | None
    p50: float | None
    p95: float | None
    longest: float | None


@dataclass(frozen=True, slots=True)
class Kpis:
    """All figures; None, with a line in `unknown`, where nobody could be asked."""

    since: str
    delivery: Mapping[str, Measured] | None
    """system -> source commit to confirmed there, of all that its adapters applied since they were started"""
    persisted: Spread | None
    persisted_older: int | None
    causes: list[Cause] | None
    handoffs: Overview | None
    approvals: list[Approval] | None
    unknown: list[str] = field(default_factory=list)


def kpis(settings: Settings, since: str = "24h") -> Kpis:
    """What happened since then, and what is open now."""
    begun = moment(since, "kpi.since")
    unknown: list[str] = []
    stood = _tried("findings", unknown, lambda: _findings(settings, _seconds(begun)))
    persisted, older = stood.persisted() if stood else (None, None)
    return Kpis(
        begun,
        _tried("delivery", unknown, lambda: _delivery(settings)),
        persisted,
        older,
        stood.causes(time.time()) if stood else None,
        _tried("handoffs", unknown, lambda: handoffs.overview(settings)),
        _tried("approvals", unknown, lambda: _approvals(settings, begun)),
        unknown,
    )


def _tried(what: str, unknown: list[str], ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except ConcordError as fault:
        unknown.append(f"{what}: {fault.message}")
        return None


def _seconds(begun: str) -> float:
    return datetime.fromisoformat(begun).astimezone(UTC).timestamp()


def _delivery(settings: Settings) -> dict[str, Measured]:
    answers = announced.answering(settings, "adapter")
    samples = (s for family in forwarded(a.party for a in answers) for s in family.samples)
    return of_samples(samples)


def of_samples(samples: Any) -> dict[str, Measured]:
    """The histogram of each system, those of its processes added up; pure."""
    buckets: dict[str, dict[float, float]] = defaultdict(lambda: defaultdict(float))
    totals: dict[str, float] = defaultdict(float)
    for name, labels, value, *_ in samples:
        if name == f"{DELIVERY}_bucket":
            buckets[labels["system"]][float(labels["le"])] += value
        elif name == f"{DELIVERY}_sum":
            totals[labels["system"]] += value
    return {system: measured(found, totals[system]) for system, found in sorted(buckets.items())}


def _findings(settings: Settings, since: float) -> Stood:
    starts = reading.beginnings(settings.topic("finding"), range(settings.partitions))
    stood, deadline = Stood(since), time.monotonic() + PATIENCE
    for message in reading.read(need(settings.kafka, "CONCORD_KAFKA"), starts):
        key, value = hash(message.key()), message.value()
        if value is None:
            stood.gone(key)
        else:
            found = decode(value)
            stood.take(key, found["code"], found["state"], message.timestamp()[1] / 1e3)
        if time.monotonic() > deadline:
            raise Unavailable("kpi.findings", f"topic finding takes longer than {PATIENCE:.0f} s to read")
    return stood


def _approvals(settings: Settings, begun: str) -> list[Approval]:
    return [Approval(**row) for row in proposals.ruled_since(settings, begun)]
