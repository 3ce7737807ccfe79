"""The worker's metrics: names in one place, Prometheus base units, counts of records (never of chunks).

Read from the partitions' own state when somebody asks, so the hot path pays nothing. Labels are topics, partitions
and outcomes only: never an entity, never a value (invariant 11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

COUNTERS = {
    "decided": ("concord_decide_decisions", "Entities decided."),
    "emitted": ("concord_decide_views", "Views sent to sinks."),
    "late": ("concord_decide_late", "Entities decided on half a transaction."),
    "retries": ("concord_decide_retries", "Units of work aborted and done again."),
}


class _Partitions(Collector):
    """Metrics of the partitions' status (the `partitions` of a worker's /status)."""

    def __init__(self, partitions: list[Mapping[str, Any]]) -> None:
        self._partitions = partitions

    def collect(self) -> Iterator[Metric]:
        records = CounterMetricFamily(
            "concord_decide_records", "Input records by outcome.", labels=["topic", "partition", "outcome"]
        )
        dirty = GaugeMetricFamily(
            "concord_decide_dirty", "Entities waiting for a decision.", labels=["partition"]
        )
        due = GaugeMetricFamily(
            "concord_clock_due", "Entities due by time alone, not decided since.", labels=["partition"]
        )
        ticked = GaugeMetricFamily(
            "concord_clock_tick_timestamp_seconds",
            "Midnight (UTC) of the newest date a tick has named.",
            labels=["partition"],
        )
        stopped = GaugeMetricFamily(
            "concord_clock_stopped", "1: a tick would withdraw too much, and asks.", labels=["partition"]
        )
        largest = GaugeMetricFamily(
            "concord_decide_entity_bytes_max",
            "The largest entity record written since the worker started.",
            labels=["partition"],
        )
        again = GaugeMetricFamily(
            "concord_rollout_left",
            "Entities still to be decided again under other rules, authority or mapping.",
            labels=["partition"],
        )
        for status in self._partitions:
            number = str(status["partition"])
            due.add_metric([number], status["due"])
            stopped.add_metric([number], int(bool(status["asked"] and status["asked"]["stopped"])))
            if status["ticked"]:
                day = datetime.fromisoformat(status["ticked"]).replace(tzinfo=UTC)
                ticked.add_metric([number], day.timestamp())
            largest.add_metric([number], status["largest"])
            again.add_metric([number], _left(status["again"]))
            dirty.add_metric([number], status["dirty"])
            for topic, outcomes in status["outcomes"].items():
                for outcome, count in outcomes.items():
                    records.add_metric([topic, number, outcome], count)
        yield records
        yield dirty
        yield due
        yield ticked
        yield stopped
        yield largest
        yield again
        yield from _parity(self._partitions)
        for key, (name, text) in COUNTERS.items():
            counter = CounterMetricFamily(name, text, labels=["partition"])
            for status in self._partitions:
                counter.add_metric([str(status["partition"])], status[key])
            yield counter


def _parity(partitions: list[Mapping[str, Any]]) -> Iterator[Metric]:
    labels = ["system", "partition"]
    entities = GaugeMetricFamily(
        "concord_parity_entities", "Entities by how a system stands to them.", labels=[*labels, "state"]
    )
    fields = GaugeMetricFamily(
        "concord_parity_field_differences",
        "Entities of which a system holds another value in the field.",
        labels=[*labels, "field"],
    )
    since = GaugeMetricFamily(
        "concord_parity_since_timestamp_seconds",
        "Since when the oldest entity in this state has been in disagreement.",
        labels=[*labels, "state"],
    )
    for status in partitions:
        number, found = str(status["partition"]), status["parity"]
        for family, counted in ((entities, found["systems"]), (fields, found["fields"])):
            for system, counts in counted.items():
                for name, count in counts.items():
                    family.add_metric([system, number, name], count)
        for system, states in found["longest"].items():
            for state, named in states.items():
                since.add_metric([system, number, state], named[0][0] / 1e6)
    yield from (entities, fields, since)


def _left(again: Mapping[str, int] | None) -> int:
    return max(again["total"] - again["done"], 0) if again else 0


def render(partitions: list[Mapping[str, Any]]) -> str:
    """The Prometheus text of a worker's partitions."""
    registry = CollectorRegistry()
    registry.register(_Partitions(partitions))
    return generate_latest(registry).decode()
