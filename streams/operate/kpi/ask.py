"""Where the KPIs come from: asked of whoever knows, each by itself; what could not be asked is named, never zero.

    adapters' /metrics (since they run) · topic finding, whole · proposals and rulings · handoffs · billing's denials

Reads only, and joins no group.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from streams.errors import ConcordError, Unavailable
from streams.operate import announced, handoffs, proposals, reading
from streams.operate.exporter.forward import forwarded
from streams.operate.findings import decode
from streams.operate.handoffs import Overview
from streams.operate.kpi import denied
from streams.operate.kpi.denials import Caught, Denied, Flags
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
    denials: Caught | None
    """claims denied for provider data since then: had a finding said so before?"""
    unknown: list[str] = field(default_factory=list)


def kpis(settings: Settings, since: str = "24h") -> Kpis:
    """What happened since then, and what is open now."""
    begun = moment(since, "kpi.since")
    unknown: list[str] = []
    received = _tried("denials", unknown, lambda: denied.since(settings, begun))
    found = _tried("findings", unknown, lambda: _findings(settings, _seconds(begun), received or ()))
    stood, flags = found or (None, None)
    persisted, older = stood.persisted() if stood else (None, None)
    return Kpis(
        begun,
        _tried("delivery", unknown, lambda: _delivery(settings)),
        persisted,
        older,
        stood.causes(time.time()) if stood else None,
        _tried("handoffs", unknown, lambda: handoffs.overview(settings)),
        _tried("approvals", unknown, lambda: _approvals(settings, begun)),
        flags.caught(time.time()) if flags and received is not None else None,
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


def _findings(settings: Settings, since: float, received: Iterable[Denied]) -> tuple[Stood, Flags]:
    """How long they stood, and which of them stood before a denial: one reading."""
    starts = reading.beginnings(settings.topic("finding"), range(settings.partitions))
    stood, flags, deadline = Stood(since), Flags(received), time.monotonic() + PATIENCE
    for message in reading.read(need(settings.kafka, "CONCORD_KAFKA"), starts):
        key, value = hash(message.key()), message.value()
        if value is None:
            stood.gone(key)
        else:
            found, at = decode(value), message.timestamp()[1] / 1e3
            stood.take(key, found["code"], found["state"], at)
            flags.take((message.key() or b"").decode(), found["state"], at)
        if time.monotonic() > deadline:
            raise Unavailable("kpi.findings", f"topic finding takes longer than {PATIENCE:.0f} s to read")
    return stood, flags


def _approvals(settings: Settings, begun: str) -> list[Approval]:
    return [Approval(**row) for row in proposals.ruled_since(settings, begun)]
