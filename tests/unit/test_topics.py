"""The topic catalogue: what a plan says of an empty, an equal and a differing cluster."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from streams.errors import InvalidInput
from streams.topics import CATALOGUE, Layout, Topic, apply, durable, plan

LAYOUT = Layout(partitions=4, prefix="t1.")


class Cluster:
    """A cluster that holds topics: name -> (partitions, settings). Answers as AdminClient does."""

    def __init__(self) -> None:
        self.topics: dict[str, tuple[int, dict[str, str]]] = {}
        self.replicas = 1

    def list_topics(self, timeout: float) -> Any:
        copies = SimpleNamespace(replicas=range(self.replicas))
        listed = {
            name: SimpleNamespace(partitions=dict.fromkeys(range(count), copies))
            for name, (count, _) in self.topics.items()
        }
        return SimpleNamespace(topics=listed)

    def describe_configs(self, resources: list[Any]) -> Mapping[Any, Future[Any]]:
        return {resource: done(self._entries(resource.name)) for resource in resources}

    def create_topics(self, new: list[Any], operation_timeout: float) -> Mapping[str, Future[Any]]:
        for topic in new:
            self.topics[topic.topic] = (topic.num_partitions, dict(topic.config))
        return {topic.topic: done(None) for topic in new}

    def incremental_alter_configs(self, resources: list[Any]) -> Mapping[Any, Future[Any]]:
        for resource in resources:
            for entry in resource.incremental_configs:
                self.topics[resource.name][1][entry.name] = entry.value
        return {resource: done(None) for resource in resources}

    def _entries(self, name: str) -> dict[str, Any]:
        return {key: SimpleNamespace(value=value) for key, value in self.topics[name][1].items()}


def done(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


@pytest.fixture
def cluster() -> Any:
    return Cluster()


def named(name: str) -> Topic:
    return next(topic for topic in CATALOGUE if topic.name == name)


def test_an_empty_cluster_gets_every_topic_and_then_agrees(cluster: Any) -> None:
    created = apply(cluster, LAYOUT)
    assert {change.action for change in created} == {"create"}
    assert len(created) == len(CATALOGUE)
    assert plan(cluster, LAYOUT) == []


def test_a_setting_that_differs_is_shown_and_set(cluster: Any) -> None:
    apply(cluster, LAYOUT)
    cluster.topics["t1.entity"][1]["cleanup.policy"] = "delete"
    [change] = plan(cluster, LAYOUT)
    assert (change.topic, change.settings) == ("t1.entity", {"cleanup.policy": ("delete", "compact")})
    apply(cluster, LAYOUT)
    assert plan(cluster, LAYOUT) == []


def test_another_partition_count_is_refused_before_anything_is_changed(cluster: Any) -> None:
    cluster.topics["t1.cdc.credentialing"] = (8, {})
    with pytest.raises(InvalidInput, match="8 partitions"):
        apply(cluster, LAYOUT)
    assert list(cluster.topics) == ["t1.cdc.credentialing"]


def test_topics_that_are_not_ours_are_left_alone(cluster: Any) -> None:
    cluster.topics["payroll"] = (3, {})
    apply(cluster, LAYOUT)
    assert cluster.topics["payroll"] == (3, {})


def test_everything_an_entity_passes_through_has_the_same_partition_count() -> None:
    together = [t for t in CATALOGUE if t.name.startswith(("cdc.", "claims.", "entity", "clock", "sink."))]
    assert {LAYOUT.count(topic) for topic in together} == {4}


def test_state_and_views_are_compacted_and_input_is_not() -> None:
    assert named("entity").config["cleanup.policy"] == "compact"
    assert named("sink.billing.organization").config["cleanup.policy"] == "compact"
    assert named("cdc.billing").config["cleanup.policy"] == "delete"


def test_a_row_of_sixteen_megabytes_fits_every_topic() -> None:
    limits = {topic.name: int(LAYOUT.config(topic)["max.message.bytes"]) for topic in CATALOGUE}
    quarantine = limits.pop("quarantine")
    assert set(limits.values()) == {16 * 1024 * 1024}
    assert quarantine > 16 * 1024 * 1024, "and there with the headers that say why (invariant 6)"


def test_a_prefix_stands_where_debezium_looks_for_it() -> None:
    assert LAYOUT.name(named("cdc.billing")) == "t1.cdc.billing"
    assert LAYOUT.name(named("__debezium-heartbeat.billing")) == "__debezium-heartbeat.t1.billing"


def test_no_topic_is_named_twice() -> None:
    assert len({topic.name for topic in CATALOGUE}) == len(CATALOGUE)


def test_one_replica_of_three_alone_confirms_nothing(cluster: Any) -> None:
    cluster.replicas = 3
    apply(cluster, LAYOUT)
    assert plan(cluster, LAYOUT) == []
    assert cluster.topics["t1.entity"][1]["min.insync.replicas"] == "2"


@pytest.mark.parametrize(
    ("insync", "replicas", "wanted"),
    [
        (None, 1, None),
        ("1", 2, None),
        ("2", 3, None),
        ("3", 3, None),
        ("2", 1, "1"),
        ("1", 3, "2"),
        ("4", 3, "2"),
    ],
)
def test_replicas_that_must_have_a_record(insync: str | None, replicas: int, wanted: str | None) -> None:
    assert durable(insync, replicas).get("min.insync.replicas") == wanted
