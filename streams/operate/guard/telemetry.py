"""The guard's metrics: canary ages by hop, transactions counted, slots, what is open. Names in one place.

Read when somebody asks. Labels are systems, hops, codes: never a table's row, never a value (Invariant 11).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streams.operate.guard.facts import Facts


class _Guard(Collector):
    def __init__(self, status: Mapping[str, Any], facts: Mapping[str, Facts]) -> None:
        self._status = status
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        yield from self._canaries()
        yield from self._transactions()
        yield from self._slots()
        opened = GaugeMetricFamily(
            "concord_guard_open", "Open findings of sources.", labels=["system", "code"]
        )
        for (system, code), count in Counter((f["system"], f["code"]) for f in self._status["open"]).items():
            opened.add_metric([system, code], count)
        acts = CounterMetricFamily("concord_guard_acts", "What the guard did by itself.", labels=["act"])
        for act, count in self._status["acts"].items():
            acts.add_metric([act], count)
        yield from (opened, acts)

    def _canaries(self) -> Iterator[Metric]:
        age = GaugeMetricFamily(
            "concord_canary_age_seconds",
            "Since the newest canary that has reached the hop was committed.",
            labels=["system", "hop"],
        )
        late = GaugeMetricFamily(
            "concord_canary_late_seconds",
            "Since the oldest canary that has not reached the hop was committed.",
            labels=["system", "hop"],
        )
        for system, found in self._status["sources"].items():
            for family, seconds in ((age, found["age"]), (late, found["late"])):
                for hop, value in seconds.items():
                    family.add_metric([system, hop], value)
        yield from (age, late)

    def _transactions(self) -> Iterator[Metric]:
        settled = CounterMetricFamily(
            "concord_transactions",
            "Transactions of a source by what END's counts say.",
            labels=["system", "outcome"],
        )
        still = GaugeMetricFamily("concord_transactions_open", "Not settled yet.", labels=["system"])
        for system, found in self._status["sources"].items():
            counts = found["transactions"]
            for outcome in ("proven", "incomplete", "unproven"):
                settled.add_metric([system, outcome], counts[outcome])
            still.add_metric([system], counts["open"])
        yield from (settled, still)

    def _slots(self) -> Iterator[Metric]:
        kept = GaugeMetricFamily("concord_slot_retained_bytes", "WAL kept for the slot.", labels=["system"])
        safe = GaugeMetricFamily(
            "concord_slot_safe_bytes", "WAL until the slot may be lost.", labels=["system"]
        )
        for system, facts in self._facts.items():
            slot = facts.server.slot if facts.server else None
            if slot is not None and slot.retained is not None:
                kept.add_metric([system], slot.retained)
            if slot is not None and slot.safe is not None:
                safe.add_metric([system], slot.safe)
        yield from (kept, safe)


def render(status: Mapping[str, Any], facts: Mapping[str, Facts]) -> bytes:
    """The Prometheus text of a guard."""
    registry = CollectorRegistry()
    registry.register(_Guard(status, facts))
    return generate_latest(registry)
