"""`concord rewind` on a real broker: refused while somebody reads, said first, then done, and never forward."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from stack.environment import Environment
from streams.errors import ConcordError, InvalidInput
from streams.operate.rewinding import Rewound, rewind
from streams.settings import Settings
from tests.fixtures.kafka import CreateTopic
from tests.fixtures.waiting import wait_until

TOPIC = "sink.billing.provider"
RECORDS = 20


@pytest.fixture
def settings(stack: Environment, topic: CreateTopic, topic_prefix: str) -> Settings:
    """Records of two hours, ten of each."""
    name = topic(TOPIC, partitions=2)
    producer, now = Producer({"bootstrap.servers": stack.kafka}), int(time.time() * 1_000)
    for number in range(RECORDS):
        at = now - (7_200_000 if number < RECORDS // 2 else 3_600_000)
        producer.produce(name, key=str(number), value=b"v", partition=0, timestamp=at)
    assert producer.flush(30) == 0
    return Settings(kafka=stack.kafka, topic_prefix=topic_prefix, partitions=2)


@pytest.fixture
def group(settings: Settings, unique: Callable[[str], str]) -> str:
    """One that has read everything and committed it."""
    name = unique("reader")
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": name})
    consumer.commit(offsets=[TopicPartition(settings.topic(TOPIC), 0, RECORDS)], asynchronous=False)
    consumer.close()
    return name


def place(settings: Settings, group: str) -> int:
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": group})
    [found] = consumer.committed([TopicPartition(settings.topic(TOPIC), 0)], timeout=30)
    consumer.close()
    return int(found.offset)


def ninety_minutes_ago() -> str:
    return datetime.fromtimestamp(time.time() - 5_400, UTC).isoformat()


def test_it_is_said_first_and_done_with_apply(settings: Settings, group: str) -> None:
    said = rewind(settings, group, TOPIC, ninety_minutes_ago(), apply=False)
    assert [(m.partition, m.now, m.to, m.at_most) for m in said.moves] == [(0, 20, 10, 10)]
    assert place(settings, group) == RECORDS
    rewind(settings, group, TOPIC, ninety_minutes_ago(), apply=True)
    assert place(settings, group) == RECORDS // 2
    assert rewind(settings, group, TOPIC, "beginning", apply=True).at_most == RECORDS // 2
    assert place(settings, group) == 0


def test_it_never_goes_forward(settings: Settings, group: str) -> None:
    rewind(settings, group, TOPIC, "beginning", apply=True)
    assert rewind(settings, group, TOPIC, ninety_minutes_ago(), apply=True).moves == []
    assert place(settings, group) == 0


def test_an_active_group_is_refused_until_it_has_left(settings: Settings, group: str) -> None:
    consumer = Consumer({"bootstrap.servers": settings.kafka, "group.id": group, "client.id": "portal"})
    consumer.subscribe([settings.topic(TOPIC)])
    wait_until(lambda: consumer.poll(0.1) is not None or consumer.assignment(), what="the group to be active")
    with pytest.raises(ConcordError, match="portal") as caught:
        rewind(settings, group, TOPIC, "beginning", apply=True)
    assert caught.value.code == "rewind.active"
    consumer.close()
    found: Rewound = rewind(settings, group, TOPIC, "beginning", apply=True)
    assert found.at_most == RECORDS


def test_a_group_nobody_knows_is_refused(settings: Settings, group: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        rewind(settings, f"{group}x", TOPIC, "beginning", apply=False)
    assert (caught.value.code, caught.value.next_step) == ("rewind.unknown", f"did you mean '{group}'?")
