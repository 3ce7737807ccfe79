"""Where to go on with a system that keeps no offsets for us: in Kafka, under a group of their own.

    adapter --store--> committed offsets of `<group>.confirmed`, each with its topic's id --load--> intake.place

Invariant 2: stored only after every record before it was confirmed by the API or receipted. The group has no members,
so whoever has a partition may store; a process that was only asleep can at worst store a smaller offset, and
what is read again is then superseded (Invariant 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.sink import Partition
from streams.errors import Unavailable
from streams.kafka import broker

TIMEOUT = 10.0
CONFIRMED = ".confirmed"
"""What the name of an adapter's own group is followed by."""


class Offsets(Protocol):
    """The next offset of each partition.

    store  Never moves one backwards within a topic id. Returns when it is kept, or raises Unavailable.
    load   Those of the partitions whose topic id is the same; others are absent.
    close  Gives up connections.
    """

    def store(self, offsets: Mapping[Partition, int]) -> None: ...

    def load(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...

    def close(self) -> None: ...


class MemoryOffsets:
    """The port without Kafka."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], tuple[str, int]] = {}

    def store(self, offsets: Mapping[Partition, int]) -> None:
        for partition, offset in offsets.items():
            topic_id, kept = self.kept.get(partition[:2], ("", -1))
            if topic_id != partition.topic_id or offset > kept:
                self.kept[partition[:2]] = (partition.topic_id, offset)

    def load(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        kept = {p: self.kept[p[:2]] for p in partitions if p[:2] in self.kept}
        return {p: offset for p, (topic_id, offset) in kept.items() if topic_id == p.topic_id}

    def close(self) -> None:
        """Nothing to give up."""


class KafkaOffsets:
    """Committed offsets; the topic's id stands in the commit's metadata."""

    def __init__(self, kafka: str, group: str) -> None:
        settings = {**broker(kafka), "group.id": group, "enable.auto.commit": False}
        self._consumer = Consumer(settings)
        self._known: dict[Partition, int] = {}

    def store(self, offsets: Mapping[Partition, int]) -> None:
        newer = {p: offset for p, offset in offsets.items() if offset > self._known.get(p, -1)}
        if newer:
            committed = [TopicPartition(p.topic, p.partition, o, p.topic_id) for p, o in newer.items()]
            try:
                self._consumer.commit(offsets=committed, asynchronous=False)
            except KafkaException as fault:
                raise _unavailable(fault) from None
            self._known |= newer

    def load(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        kept = self.kept([p[:2] for p in partitions])
        pairs = ((p, *kept[p[:2]]) for p in partitions if p[:2] in kept)
        found = {p: offset for p, topic_id, offset in pairs if topic_id == p.topic_id}
        self._known = dict(found)
        return found

    def kept(self, places: Sequence[tuple[str, int]]) -> dict[tuple[str, int], tuple[str, int]]:
        """Topic id and offset of each partition that has one."""
        try:
            told = self._consumer.committed([TopicPartition(*place) for place in places], timeout=TIMEOUT)
        except KafkaException as fault:
            raise _unavailable(fault) from None
        return {(t.topic, t.partition): (t.metadata or "", t.offset) for t in told if t.offset >= 0}

    def close(self) -> None:
        self._consumer.close()


def _unavailable(fault: KafkaException) -> Unavailable:
    message = f"offsets are not kept: {fault.args[0].name()}"
    return Unavailable("kafka.unavailable", message, "check that the broker runs")
