"""Reading the sink topics: what to read next is the target's word, not the consumer group's.

    sink.<system>.* --Intake.read--> Chunk(views, undecodable, next offset per partition) --> deliver

Kafka gives this process its partitions; the offset to start from is the one the target stored in the
transaction that applied the record before it. Offsets are committed to Kafka afterwards, for lag tools only.
Never reads a partition it has not placed: a hole in a batch would be a loss. After placing, the references
are read to their end before the providers that name them; else a first load would defer nearly all of these.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from connectors.sink import Partition, Target, View, is_reference
from connectors.wire import Decoder, Undecodable
from streams.errors import ConcordError, Unavailable
from streams.kafka import broker

BATCH = 1000
GATHER = 0.005  # seconds to wait for more once there is something
COMMIT_EVERY = 1.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive records per partition, decoded; `offsets` is where to go on after them."""

    views: Sequence[View] = ()
    undecodable: Sequence[Undecodable] = ()
    tombstones: int = 0
    offsets: Mapping[Partition, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.views) + len(self.undecodable) + self.tombstones


class Intake:
    """The consumer of one adapter process. One thread; rebalances happen inside `read` and `idle`."""

    def __init__(
        self, kafka: str, group: str, topics: Sequence[str], decoder: Decoder, batch: int = BATCH
    ) -> None:
        self._batch = batch
        self._consumer = Consumer(_settings(kafka, group))
        self._admin = AdminClient(broker(kafka))
        self._decoder = decoder
        self._topics = list(topics)
        self._generation = 0
        self._assigned: list[TopicPartition] = []
        self._next: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._ids: dict[str, str] = {}
        self._ahead: set[tuple[str, int]] = set()
        self._committed_at = 0.0
        self.placed = False
        self._consumer.subscribe(self._topics, on_assign=self._assign, on_revoke=self._revoke)

    def read(self, wait: float) -> Chunk:
        """The next records, at most a batch; waits for the first, hardly for more. Empty when none came."""
        generation = self._generation
        first = self._consumer.poll(wait)
        if first is None:
            return Chunk()
        messages = [first, *self._consumer.consume(self._batch - 1, GATHER)]
        if generation != self._generation or not self.placed:
            self.placed = False  # a rebalance in between: what was read may have holes
            return Chunk()
        return self._chunk([message for message in messages if self._usable(message)])

    def idle(self, wait: float) -> None:
        """Stay a member of the group without reading: while the target is down, or before placing."""
        self.unplace()
        message = self._consumer.poll(wait)
        if message is not None and message.error() is not None:
            _raise_if_fatal(message.error())

    def unplace(self) -> None:
        """Whatever was read and not stored is to be read again, from where the target says."""
        self.placed = False
        self._consumer.pause(self._assigned)

    def place(self, target: Target) -> None:
        """Start every assigned partition at the target's stored offset, else at the earliest record."""
        if not self._assigned:
            return
        generation, partitions = self._generation, self._identified()
        stored = target.offsets(partitions)
        if generation == self._generation:
            starts = [
                TopicPartition(p.topic, p.partition, stored.get(p, OFFSET_BEGINNING)) for p in partitions
            ]
            self._consumer.assign(starts)
            self._ahead = {(p.topic, p.partition) for p in starts if is_reference(p.topic)}
            self._consumer.resume([p for p in starts if is_reference(p.topic) or not self._ahead])
            self._next = {partition: stored.get(partition, 0) for partition in partitions}
            self.placed = True

    def moved(self) -> bool:
        """A topic was deleted and made again: its offsets mean nothing any more."""
        return self.placed and self._topic_ids() != self._ids

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """For ordinary lag tools, a second apart; nothing here depends on it."""
        self._next |= offsets
        if time.monotonic() - self._committed_at >= COMMIT_EVERY:
            self._committed_at = time.monotonic()
            positions = self._positions()
            _ignoring_kafka(lambda: self._consumer.commit(offsets=positions, asynchronous=True))

    def lag(self) -> dict[Partition, int]:
        """Records not applied yet, by what the broker last said."""
        return {partition: self._behind(partition, offset) for partition, offset in self._next.items()}

    def positions(self) -> dict[Partition, int]:
        """The next offset of each partition."""
        return dict(self._next)

    def close(self) -> None:
        positions = self._positions()
        if self.placed and positions:
            _ignoring_kafka(lambda: self._consumer.commit(offsets=positions, asynchronous=False))
        self._consumer.close()

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._assigned, self._next, self.placed = list(partitions), {}, False
        consumer.assign(partitions)
        consumer.pause(partitions)

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._generation += 1
        self._assigned, self._next, self.placed = [], {}, False
        consumer.unassign()

    def _identified(self) -> list[Partition]:
        self._ids = self._topic_ids()
        return [Partition(p.topic, p.partition, self._ids[p.topic]) for p in self._assigned]

    def _topic_ids(self) -> dict[str, str]:
        try:
            names = sorted({partition.topic for partition in self._assigned})
            described = self._admin.describe_topics(TopicCollection(names), request_timeout=5)
            return {name: str(future.result().topic_id) for name, future in described.items()}
        except KafkaException as fault:
            raise _broker(fault) from fault

    def _chunk(self, messages: Sequence[Message]) -> Chunk:
        decoded = [self._decoder.decode(message) for message in messages]
        offsets: dict[Partition, int] = {}
        for message in messages:
            partition = Partition(message.topic(), message.partition(), self._ids[message.topic()])
            offsets[partition] = message.offset() + 1
        views = [record for record in decoded if isinstance(record, View)]
        undecodable = [record for record in decoded if isinstance(record, Undecodable)]
        return Chunk(views, undecodable, decoded.count(None), offsets)

    def _usable(self, message: Message) -> bool:
        fault = message.error()
        if fault is None:
            return True
        if fault.code() == KafkaError._PARTITION_EOF:
            self._end_reached(message)
        else:
            _raise_if_fatal(fault)
        return False

    def _end_reached(self, message: Message) -> None:
        """Only the broker knows an end: transaction markers take offsets, too."""
        partition = Partition(message.topic(), message.partition(), self._ids[message.topic()])
        self._ends[partition] = message.offset()
        if self._ahead:
            self._ahead.discard((partition.topic, partition.partition))
            if not self._ahead:
                self._consumer.resume(self._assigned)

    def _positions(self) -> list[TopicPartition]:
        return [TopicPartition(p.topic, p.partition, offset) for p, offset in self._next.items()]

    def _behind(self, partition: Partition, offset: int) -> int:
        """Up to the last end seen nothing is left; beyond it, what the broker last said."""
        _, high = self._consumer.get_watermark_offsets(
            TopicPartition(partition.topic, partition.partition), cached=True
        )
        return max(0, int(high) - max(offset, self._ends.get(partition, 0)))


def _settings(kafka: str, group: str) -> dict[str, Any]:
    return {
        **broker(kafka),
        "group.id": group,
        "isolation.level": "read_committed",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "session.timeout.ms": 10_000,
        "heartbeat.interval.ms": 1_000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 32_768,
        "on_commit": _on_commit,
    }


def _on_commit(fault: KafkaError | None, partitions: list[TopicPartition]) -> None:
    """A commit that failed changes nothing: the target holds the truth."""


def _raise_if_fatal(fault: KafkaError) -> None:
    if fault.fatal():
        raise _broker(KafkaException(fault))


def _broker(fault: KafkaException) -> ConcordError:
    """A fatal error ends the process (the supervisor starts a new one); any other passes."""
    error = fault.args[0]
    name = error.name() if isinstance(error, KafkaError) else type(fault).__name__
    if isinstance(error, KafkaError) and error.fatal():
        return ConcordError("kafka.fatal", f"the consumer cannot go on: {name}", "restart the adapter")
    return Unavailable("kafka.unavailable", f"Kafka does not answer: {name}", "check that the broker runs")


def _ignoring_kafka(action: Any) -> None:
    try:
        action()
    except KafkaException:
        return
