"""Every metric of Concord in one table: name, kind, meaning, labels. Whoever measures something names it here first.

    worker, adapters, witness, verify, guard: GET /metrics --forwarded--> concord metrics <--gathered-- concord status

Prometheus base units (`_seconds`, `_bytes`, `_total`, `_ratio`); counts are of records, never of chunks. Labels are
systems, hops, topics, partitions, outcomes, codes, tables and fields: never an entity, never a value, never free text
(Invariant 11). Alerts and dashboards (ops/) are tested against this table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
HISTOGRAMS = ("concord_end_to_end_seconds", "concord_readable_seconds")
SECONDS = (0.005, 0.01, 0.02, 0.035, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 0.35, 0.5, 1, 2, 5, 15, 60, 300, 1_800)
PROCESS = "process"
"""The label the exporter adds to what a process told of itself: its announcement's key."""

TOLD: Mapping[str, Mapping[str, str]] = {
    "metrics": {
        "concord_hop_state{hop,state}": "1 for the state the hop is in, 0 for the others.",
        "concord_hop_unknown{hop,reason}": "1: nobody can say how the hop stands, for this reason.",
        "concord_hop_lag_velocity{hop}":
            "Records a second by which the worst partition's lag grows (negative: shrinks).",
        "concord_hop_catch_up_seconds{hop}":
            "Until the worst partition has caught up at this pace; +Inf: not at this pace.",
        "concord_input_lag_records{hop,topic,partition}": "Records not worked on yet; absent while unknown.",
        "concord_input_oldest_unprocessed_age_seconds{hop,topic,partition}":
            "Age of the oldest record that waits, 0 when none does; absent while unknown.",
        "concord_input_unknown{hop,topic,partition}": "1: the lag is not known, and therefore absent.",
        "concord_input_stopped{hop,topic,partition}": "1: nobody reads this partition.",
        "concord_input_retention_used_ratio{hop,topic,partition}":
            "Age of the oldest record that waits, over the time the topic keeps records.",
        "concord_capture_state{system,state}": "1 for the state capture is in, 0 for the others.",
        "concord_capture_lag_seconds{system}":
            "As PostgreSQL measured it for the slot; absent while nobody reads it.",
        "concord_capture_lag_bytes{system}": "WAL that the slot has not confirmed.",
        "concord_findings_open{code}": "Open findings; absent while nobody can say.",
        "concord_quarantine_open{code}":
            "Quarantined records neither replayed nor discarded; absent while nobody can say.",
        "concord_outcomes_balanced": "1: each record consumed has exactly one outcome (invariant 5).",
        "concord_witness_state{source,state}":
            "1 for the state a loaded source of reference data is in, 0 for the others.",
        "concord_processes{role}": "Processes of the role that answer.",
        "concord_process_start_time_seconds{role,process}": "When the process that answers announced itself.",
        "concord_exporter_collected_timestamp_seconds": "When the exporter last looked at everything.",
        "concord_exporter_duration_seconds": "How long that took.",
        "concord_exporter_failing{what}":
            "1: this could not be asked at the last look, so its metrics are absent.",
    },
    "worker": {
        "concord_decide_records_total{topic,partition,outcome}": "Input records by outcome.",
        "concord_decide_decisions_total{partition}": "Entities decided.",
        "concord_decide_views_total{partition}": "Views sent to sinks.",
        "concord_decide_late_total{partition}": "Entities decided on half a transaction.",
        "concord_decide_retries_total{partition}": "Units of work aborted and done again.",
        "concord_decide_dirty{partition}": "Entities waiting for a decision.",
        "concord_decide_entity_bytes_max{partition}":
            "The largest entity record written since the worker started.",
        "concord_decide_partitions_opened_total":
            "Partitions opened since the worker started: rises with each rebalance.",
        "concord_store_free_ratio": "Of the disk under the store.",
        "concord_restore_ratio{partition}": "How much of a partition that is being restored has been read.",
        "concord_clock_due{partition}": "Entities due by time alone, not decided since.",
        "concord_clock_tick_timestamp_seconds{partition}":
            "Midnight (UTC) of the newest date a tick has named.",
        "concord_clock_stopped{partition}": "1: a tick would withdraw too much, and asks.",
        "concord_rollout_left{partition}":
            "Entities still to be decided again under other rules, authority or mapping.",
        "concord_parity_entities{system,partition,state}": "Entities by how a system stands to them.",
        "concord_parity_field_differences{system,partition,field}":
            "Entities of which a system holds another value in the field.",
        "concord_parity_since_timestamp_seconds{system,partition,state}":
            "Since when the oldest entity in this state has been in disagreement.",
    },
    "adapter": {
        "concord_end_to_end_seconds{system}":
            "Source commit to applied in the system; of what time alone made due, from the decision.",
        "concord_readable_seconds{topic}": "Source commit to the record in the topic.",
        "concord_readable_objective_seconds{topic,share}":
            "Within which this share of the topic's records is there, by its contract (schemas/contract).",
        "concord_adapter_records_total{system,outcome}": "Sink records by outcome.",
        "concord_adapter_released_total{system,outcome}": "Deferred views settled later, by outcome.",
        "concord_adapter_lag_records{system,topic,partition}": "Records not applied yet.",
        "concord_adapter_circuit{system}": "0 closed, 1 half open, 2 open (target down).",
        "concord_adapter_paused{system,code}": "1 while the adapter is paused for this reason.",
        "concord_adapter_applied_age_seconds{system}": "Since a view was last applied.",
    },
    "witness": {
        "concord_witness_told_total{what}": "Holders and claims told.",
    },
    "verify": {
        "concord_verify_timestamp_seconds{table}": "When the table was last verified to its end.",
        "concord_verify_rows{table}": "Rows of the table in its system.",
        "concord_verify_diverging_rows{table,state}": "Rows that diverge and were not repaired.",
        "concord_verify_repaired_rows_total{table}": "Rows that were repaired.",
        "concord_verify_failing{table}": "1: the system could not be verified at the last try.",
    },
    "guard": {
        "concord_canary_age_seconds{system,hop}":
            "Since the newest canary that has reached the hop was committed.",
        "concord_canary_late_seconds{system,hop}":
            "Since the oldest canary that has not reached the hop was committed.",
        "concord_transactions_total{system,outcome}": "Transactions of a source by what END's counts say.",
        "concord_transactions_open{system}": "Not settled yet.",
        "concord_slot_retained_bytes{system}": "WAL kept for the slot.",
        "concord_slot_safe_bytes{system}": "WAL until the slot may be lost.",
        "concord_clock_skew_seconds{system}":
            "How far the clock of the system's server is ahead of the guard's, beyond what asking took.",
        "concord_guard_open{system,code}": "Open findings of sources.",
        "concord_guard_acts_total{act}": "What the guard did by itself.",
    },
}  # fmt: skip
"""Who measures what (a process's role; `metrics` is the exporter itself), with which labels, and what it means."""


class Name(NamedTuple):
    """One metric of the table."""

    name: str
    kind: str
    text: str
    labels: tuple[str, ...]
    told_by: str


def _named(told_by: str, signature: str, text: str) -> Name:
    name, _, labels = signature.rstrip("}").partition("{")
    kind = COUNTER if name.endswith("_total") else HISTOGRAM if name in HISTOGRAMS else GAUGE
    return Name(name, kind, text, tuple(labels.split(",")) if labels else (), told_by)


NAMES: tuple[Name, ...] = tuple(
    _named(role, signature, text) for role, found in TOLD.items() for signature, text in found.items()
)
BY_NAME: Mapping[str, Name] = {found.name: found for found in NAMES}


class Sample(NamedTuple):
    """One number of a gauge or counter; the label values in the order of the table."""

    name: str
    labels: tuple[str, ...]
    value: float


def families(samples: Iterable[Sample]) -> list[Metric]:
    """Samples put together by name, in the order of the table."""
    found: dict[str, Metric] = {}
    for name, labels, value in samples:
        if name not in found:
            found[name] = _family(BY_NAME[name])
        found[name].add_metric(labels, value)  # type: ignore[attr-defined]
    order = list(BY_NAME)
    return [found[name] for name in sorted(found, key=order.index)]


def _family(of: Name, more: tuple[str, ...] = ()) -> Metric:
    kind = CounterMetricFamily if of.kind == COUNTER else GaugeMetricFamily
    return kind(of.name, of.text, labels=(*of.labels, *more))


class _Given(Collector):
    def __init__(self, given: Iterable[Metric]) -> None:
        self._given = given

    def collect(self) -> Iterable[Metric]:
        return self._given


def exposition(found: Iterable[Metric]) -> bytes:
    """As Prometheus text."""
    registry = CollectorRegistry()
    registry.register(_Given(list(found)))
    return generate_latest(registry)


def render(samples: Iterable[Sample]) -> bytes:
    """Samples as Prometheus text."""
    return exposition(families(samples))


# ---- for a process that counts as it goes ----


def gauge(name: str, registry: CollectorRegistry) -> Gauge:
    """A gauge of the table."""
    of = BY_NAME[name]
    return Gauge(of.name, of.text, of.labels, registry=registry)


def counter(name: str, registry: CollectorRegistry) -> Counter:
    """A counter of the table."""
    of = BY_NAME[name]
    return Counter(of.name, of.text, of.labels, registry=registry)


def histogram(name: str, registry: CollectorRegistry) -> Histogram:
    """A histogram of seconds."""
    of = BY_NAME[name]
    return Histogram(of.name, of.text, of.labels, buckets=SECONDS, registry=registry)
