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
from prometheus_client import CollectorRegistry, Counter, generate_latest

from connectors.deliver import Report, Settled
from connectors.pause import Pause
from connectors.retrying import Circuit
from connectors.sink import Applied, Deferred, Failed, Outcome, Partition, Superseded, View
from schemas.topic_contract import Freshness
from streams import metrics

NAMES: Mapping[type, str] = {
    Applied: "applied",
    Superseded: "superseded",
    Deferred: "deferred",
    Failed: "failed",
}
OPERATOR = "operator"
"""The reason of a pause that is a person's wish."""
STATES = ("closed", "half_open", "open")


class Meter:
    """Counts of one adapter process. Written by the delivery's thread, read by the status server's."""

    def __init__(self, system: str, promised: Mapping[str, Freshness] | None = None) -> None:
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
        self._records = metrics.counter("concord_adapter_records_total", self.registry)
        self._released = metrics.counter("concord_adapter_released_total", self.registry)
        self._latency = metrics.histogram("concord_end_to_end_seconds", self.registry).labels(system)
        self._readable = metrics.histogram("concord_readable_seconds", self.registry)
        self._promised(promised or {})
        self._lag_gauge = metrics.gauge("concord_adapter_lag_records", self.registry)
        self._open = metrics.gauge("concord_adapter_circuit", self.registry).labels(system)
        self._paused = metrics.gauge("concord_adapter_paused", self.registry)
        age = metrics.gauge("concord_adapter_applied_age_seconds", self.registry).labels(system)
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
        for view, _ in report.settled:
            self._read(view)

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

    def _promised(self, promised: Mapping[str, Freshness]) -> None:
        """Told beside what is measured, so that nobody compares it with anything but the contract."""
        gauge = metrics.gauge("concord_readable_objective_seconds", self.registry)
        for topic, fresh in promised.items():
            gauge.labels(topic, "0.5").set(fresh.p50_ms / 1_000)
            gauge.labels(topic, "0.99").set(fresh.p99_ms / 1_000)

    def _read(self, view: View) -> None:
        if view.committed_us is not None and view.written_ms is not None:
            took = view.written_ms / 1_000 - view.committed_us / 1_000_000
            self._readable.labels(view.topic).observe(max(0.0, took))

    def _behind_seconds(self) -> float | None:
        return None if self._committed_us is None else time.time() - self._committed_us / 1_000_000

    def _add(self, counter: Counter, outcomes: Mapping[str, int]) -> None:
        for outcome, times in outcomes.items():
            counter.labels(self._system, outcome).inc(times)


def _name(outcome: Outcome) -> str:
    return NAMES[type(outcome)]
