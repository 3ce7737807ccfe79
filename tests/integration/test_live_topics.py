"""`concord topics apply` on a real broker."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient

from streams.errors import InvalidInput
from streams.topics import CATALOGUE, Layout, apply, plan


@pytest.fixture
def layout(topic_prefix: str) -> Layout:
    return Layout(partitions=2, prefix=topic_prefix)


def test_applying_twice_is_applying_once(kafka_admin: AdminClient, layout: Layout) -> None:
    assert len(apply(kafka_admin, layout)) == len(CATALOGUE)
    assert plan(kafka_admin, layout) == []
    assert apply(kafka_admin, layout) == []


def test_another_partition_count_is_refused(kafka_admin: AdminClient, layout: Layout) -> None:
    apply(kafka_admin, layout)
    with pytest.raises(InvalidInput) as caught:
        apply(kafka_admin, Layout(partitions=3, prefix=layout.prefix))
    assert caught.value.code == "topics.partitions"
    assert plan(kafka_admin, layout) == []


def test_a_setting_changed_by_hand_is_set_back(kafka_admin: AdminClient, layout: Layout) -> None:
    entity = tuple(topic for topic in CATALOGUE if topic.name == "entity")
    apply(kafka_admin, layout, entity)
    loose = tuple(type(t)(t.name, {**t.config, "min.compaction.lag.ms": "0"}) for t in entity)
    apply(kafka_admin, layout, loose)
    [change] = apply(kafka_admin, layout, entity)
    assert change.settings == {"min.compaction.lag.ms": ("0", "60000")}
    assert plan(kafka_admin, layout, entity) == []
