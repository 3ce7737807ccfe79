"""What an adapter tells of itself."""

from __future__ import annotations

from dataclasses import replace

from connectors.deliver import Report
from connectors.metered import Meter
from connectors.retrying import Circuit
from connectors.run import promised
from connectors.sink import KINDS, Applied, Deferred, Failed, Outcome, Partition, Superseded
from schemas.topic_contract import load
from streams.errors import Unavailable
from streams.metrics import SECONDS
from streams.systems import WORK
from tests import views

VIEW = views.location("directory", views.entity(1))
AT = Partition("sink.directory.location", 0, "id")


def test_every_record_is_counted_under_one_outcome() -> None:
    meter = Meter("directory")
    outcomes: list[Outcome] = [Applied(), Superseded(), Deferred("location/x"), Failed("target.value", "bad")]
    meter.count(Report([(VIEW, outcome) for outcome in outcomes], undecodable=2, tombstones=1))
    told = meter.status()["outcomes"]
    assert told == {"applied": 1, "superseded": 1, "deferred": 1, "failed": 3, "tombstone": 1}
    assert sum(told.values()) == len(outcomes) + 3
    assert b'concord_adapter_records_total{outcome="failed",system="directory"} 3.0' in meter.metrics()


def test_a_view_applied_later_is_not_counted_as_a_record_again() -> None:
    meter = Meter("directory")
    meter.count(Report(released=[(VIEW, Applied())]))
    assert (meter.status()["outcomes"], meter.status()["released"]) == ({}, {"applied": 1})


def test_lag_is_told_by_partition_and_in_all() -> None:
    meter = Meter("directory")
    meter.lag({AT: 4}, {AT: 10})
    told = meter.status()
    assert told["lag_records"] == 4
    assert told["partitions"] == [{"topic": AT.topic, "partition": 0, "next_offset": 10, "lag": 4}]


def test_an_open_circuit_tells_why() -> None:
    meter, circuit = Meter("directory"), Circuit()
    circuit.failed(Unavailable("target.unavailable", "directory: down", "check"), now=0, share=1)
    meter.circuit(circuit)
    assert meter.status()["circuit"]["fault"]["code"] == "target.unavailable"
    assert b'concord_adapter_circuit{system="directory"} 2.0' in meter.metrics()


def test_a_pause_is_a_metric_with_its_reason_and_ends_with_it() -> None:
    meter, circuit = Meter("directory"), Circuit()
    circuit.failed(Unavailable("target.credentials", "refused"), 0.0, 0.5)
    meter.circuit(circuit)
    assert b'concord_adapter_paused{code="target.credentials",system="directory"} 1.0' in meter.metrics()
    circuit.succeeded()
    meter.circuit(circuit)
    assert b"target.credentials" not in meter.metrics()


def test_what_a_contract_promises_is_told_beside_what_is_measured() -> None:
    """The alert compares the two series, so the contract is the one place where the figure stands."""
    topic, prefix = "p.sink.directory.location", "p."
    meter = Meter("directory", promised([topic, "p.sink.nobody.provider"], prefix))
    late = replace(VIEW, topic=topic, committed_us=1_000_000, written_ms=1_500)
    meter.count(Report([(late, Superseded())], released=[(replace(late, written_ms=None), Applied())]))
    [said] = [contract.said.freshness for contract in load() if f"{prefix}{contract.topic}" == topic]
    told = meter.metrics().decode()
    assert f'concord_readable_objective_seconds{{share="0.5",topic="{topic}"}} {said.p50_ms / 1_000}' in told
    assert f'concord_readable_objective_seconds{{share="0.99",topic="{topic}"}} {said.p99_ms / 1_000}' in told
    assert f'concord_readable_seconds_sum{{topic="{topic}"}} 0.5' in told
    assert f'concord_readable_seconds_count{{topic="{topic}"}} 1.0' in told


def test_every_promise_of_freshness_can_be_measured() -> None:
    """A quantile is told apart at the histogram's bounds: one between two of them would be guessed."""
    promises = {
        (c.topic, ms / 1_000) for c in load() for ms in (c.said.freshness.p50_ms, c.said.freshness.p99_ms)
    }
    assert {(topic, seconds) for topic, seconds in promises if seconds not in SECONDS} == set()
    read = {f"sink.{system}.{kind}" for system, kinds in (*KINDS.items(), *WORK.items()) for kind in kinds}
    assert {topic for topic, _ in promises if topic.startswith("sink.")} <= read
