"""What an adapter did, as metrics and as one JSON object for `concord status`.

    Report --Meter.count--> prometheus counters, lag, ages --> GET /metrics, GET /status

Labels are systems, topics and outcomes; never a key or a value (Invariant 11).
"""

from __future__ import annotations

import time
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from msgspec import to_builtins
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from connectors.deliver import Report, Settled
from connectors.pause import Pause
from connectors.retrying import Circuit
from connectors.sink import Applied, Deferred, Failed, Outcome, Partition, Superseded, View

NAMES: Mapping[type, str] = {
    Applied: "applied",
    Superseded: "superseded",
    Deferred: "deferred",
    Failed: "failed",
}
LATENCY = (0.005, 0.01, 0.02, 0.035, 0.05, 0.08, 0.1, 0.15, 0.2, 0.35, 0.5, 1, 2, 5, 15, 60, 300)
OPERATOR = "operator"
"""The reason of a pause that is a person's wish."""
STATES = ("closed", "half_open", "open")


class Meter:
    """Counts of one adapter process. Written by the delivery's thread, read by the status server's."""

    def __init__(self, system: str) -> None:
        self.registry = CollectorRegistry()
        self._system = system
        self._tally: Tally[str] = Tally()
        self._later: Tally[str] = Tally()
        self._lag: dict[Partition, int] = {}
        self._next: dict[Partition, int] = {}
        self._circuit: dict[str, Any] = {"state": "closed"}
        self._applied_at: float | None = None
        self._committed_us: int | None = None
        self._pause: Pause | None = None
        self._records = self._counter("records", "Sink records by outcome.")
        self._released = self._counter("released", "Deferred views settled later, by outcome.")
        self._latency = Histogram(
            "concord_adapter_latency_seconds",
            "Source commit to applied.",
            ["system"],
            buckets=LATENCY,
            registry=self.registry,
        ).labels(system)
        self._lag_gauge = self._gauge("lag_records", "Records not applied yet.", "topic", "partition")
        self._open = self._gauge("circuit", "0 closed, 1 half open, 2 open (target down).").labels(system)
        self._paused = self._gauge("paused", "1 while the adapter is paused for this reason.", "code")
        age = self._gauge("applied_age_seconds", "Since a view was last applied.").labels(system)
        age.set_function(lambda: time.time() - (self._applied_at or time.time()))

    def count(self, report: Report) -> None:
        """Invariant 5: every record of the chunk under exactly one outcome."""
        outcomes = Tally(_name(outcome) for _, outcome in report.settled)
        outcomes["failed"] += report.undecodable
        outcomes["tombstone"] += report.tombstones
        self._tally += outcomes
        self._add(self._records, outcomes)
        released = Tally(_name(outcome) for _, outcome in report.released)
        self._later += released
        self._add(self._released, released)
        self._applied([*report.settled, *report.released])

    def lag(self, lag: Mapping[Partition, int], offsets: Mapping[Partition, int]) -> None:
        self._lag, self._next = dict(lag), dict(offsets)
        for partition, records in lag.items():
            self._lag_gauge.labels(self._system, partition.topic, partition.partition).set(records)

    def circuit(self, circuit: Circuit) -> None:
        fault = circuit.fault
        told = {"code": fault.code, "message": fault.message, "next_step": fault.next_step} if fault else None
        self._circuit = {"state": circuit.state, "failures": circuit.failures, "fault": told}
        self._open.set(STATES.index(circuit.state))
        self._paused.clear()
        if fault is not None:
            self._paused.labels(self._system, fault.code).set(1)

    def pause(self, word: Pause | None) -> None:
        """An operator's; no fault."""
        if word is not None:
            self._paused.labels(self._system, OPERATOR).set(1)
        elif self._pause is not None:
            with suppress(KeyError):  # a circuit that changed has cleared them all
                self._paused.remove(self._system, OPERATOR)
        self._pause = word

    def metrics(self) -> bytes:
        return generate_latest(self.registry)

    def status(self) -> dict[str, Any]:
        behind = sum(self._lag.values())
        return {
            "system": self._system,
            "circuit": self._circuit,
            "paused": to_builtins(self._pause),
            "outcomes": dict(self._tally),
            "released": dict(self._later),
            "lag_records": behind,
            "lag_seconds": self._behind_seconds() if behind else 0.0,
            "last_applied_at": self._applied_at,
            "last_committed_us": self._committed_us,
            "partitions": [
                {"topic": p.topic, "partition": p.partition, "next_offset": offset, "lag": self._lag.get(p)}
                for p, offset in sorted(self._next.items())
            ],
        }

    def _applied(self, settled: Iterable[Settled]) -> None:
        now = time.time()
        for view, outcome in settled:
            if isinstance(outcome, Applied):
                self._applied_at = now
                self._observe(view, now)

    def _observe(self, view: View, now: float) -> None:
        if view.committed_us is not None:
            self._committed_us = view.committed_us
            self._latency.observe(max(0.0, now - view.committed_us / 1_000_000))

    def _behind_seconds(self) -> float | None:
        return None if self._committed_us is None else time.time() - self._committed_us / 1_000_000

    def _add(self, counter: Counter, outcomes: Mapping[str, int]) -> None:
        for outcome, times in outcomes.items():
            counter.labels(self._system, outcome).inc(times)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"concord_adapter_{name}", text, ["system", "outcome"], registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"concord_adapter_{name}", text, ["system", *labels], registry=self.registry)


def _name(outcome: Outcome) -> str:
    return NAMES[type(outcome)]
