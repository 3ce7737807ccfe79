"""A topic as it stands: every committed record of it, read once, without a group."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import Consumer, Message, TopicPartition

from tests.faults.platform import PARTITIONS, PREFIX


def committed(kafka: str, topic: str) -> Iterator[Message]:
    """Up to the ends of its partitions; each partition's in order."""
    settings = {"bootstrap.servers": kafka, "group.id": "nobody", "enable.auto.commit": False, "log_level": 0}
    consumer = Consumer({**settings, "isolation.level": "read_committed", "enable.partition.eof": True})
    with closing(consumer):
        consumer.assign([TopicPartition(f"{PREFIX}{topic}", p, 0) for p in range(PARTITIONS)])
        ends = 0
        while ends < PARTITIONS:
            message = consumer.poll(30)
            assert message is not None, "the broker stopped answering"
            if message.error() is not None:
                ends += 1
            else:
                yield message
