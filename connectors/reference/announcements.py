"""Topic `claims.npi`: who holds an NPI. What to read next is the ledger's word, not the consumer group's.

    claims.npi --Announcements.read--> Heard(holders, next offsets) --learn--> ledger
    entity     --missed--> holders whose announcement the topic no longer has

The topic keeps a week, holders stay: where its log begins after what was read, the partition's own record of NPIs
(entity `npi/<npi>`) is read first. Offsets are committed for lag tools only, after what was read is remembered.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import structlog
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

from connectors.reference.holder import Holder, announced, stored
from streams.errors import ConcordError, Unavailable
from streams.kafka import broker

TOPIC = "claims.npi"
STATE = "entity"
BATCH = 1_000
GATHER = 0.005
TIMEOUT = 10.0

log = structlog.get_logger("concord.reference")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was read: who holds, or no longer does, and where each partition goes on."""

    holders: Sequence[Holder]
    read: Mapping[int, int]


class Announcements:
    """A consumer of `claims.npi`: of every partition, or with a group of those it is given. One thread."""

    def __init__(self, kafka: str, prefix: str, group: str | None = None) -> None:
        self.topic = prefix + TOPIC
        self._state = prefix + STATE
        self._kafka = kafka
        self._consumer = Consumer(_settings(kafka, group or f"{prefix}concord-reference"))
        self._ended: set[int] = set()
        self.assigned: list[int] = []
        self.placed = False
        self.topic_id = ""
        if group:
            self._consumer.subscribe([self.topic], on_assign=self._assign, on_revoke=self._revoke)

    def all_partitions(self) -> None:
        """Read every partition, in no group."""
        try:
            known = self._consumer.list_topics(self.topic, timeout=TIMEOUT).topics[self.topic]
        except KafkaException as fault:
            raise _broker(fault) from fault
        if known.error is not None or not known.partitions:
            raise _no_topic(self.topic)
        self.assigned = sorted(known.partitions)

    def place(self, known: Mapping[int, int]) -> Iterator[Heard]:
        """Start where `known` says; first tell what the log no longer has, in portions."""
        starts = []
        for partition in self.assigned:
            low = self._begins(partition)
            start = known.get(partition, 0)
            if start < low:
                yield from self._missed(partition, low)
            starts.append(TopicPartition(self.topic, partition, max(start, low)))
        self._ended.clear()
        self._consumer.assign(starts)
        self._consumer.resume(starts)  # paused since they were assigned
        self.placed = bool(starts)

    def identify(self) -> str:
        """The topic's id: a topic that was made anew begins anew."""
        admin = AdminClient({**broker(self._kafka), "log_level": 0})
        try:
            described = admin.describe_topics(TopicCollection([self.topic]), request_timeout=TIMEOUT)
            self.topic_id = str(described[self.topic].result().topic_id)
        except KafkaException as fault:
            raise _broker(fault) from fault
        return self.topic_id

    def read(self, wait: float) -> Heard:
        """The next records, at most a batch; waits for the first, hardly for more."""
        first = self._consumer.poll(wait)
        if first is None:
            return Heard((), {})
        messages = [first, *self._consumer.consume(BATCH - 1, GATHER)]
        return self._heard([message for message in messages if self._usable(message)])

    def finished(self) -> bool:
        """Whether every partition was read to its end."""
        return self.placed and self._ended >= set(self.assigned)

    def idle(self, wait: float) -> None:
        """Stay a member of the group without reading."""
        self.unplace()
        message = self._consumer.poll(wait)
        if message is not None and message.error() is not None and message.error().fatal():
            raise _broker(KafkaException(message.error()))

    def unplace(self) -> None:
        """What was read and not remembered is to be read again."""
        self.placed = False
        self._consumer.pause([TopicPartition(self.topic, partition) for partition in self.assigned])

    def commit(self, read: Mapping[int, int]) -> None:
        """For lag tools; nothing here depends on it."""
        places = [TopicPartition(self.topic, partition, offset) for partition, offset in read.items()]
        try:
            self._consumer.commit(offsets=places, asynchronous=True)
        except KafkaException:
            return

    def close(self) -> None:
        self._consumer.close()

    # ---- partitions ----

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assigned, self.placed = sorted(p.partition for p in partitions), False
        consumer.assign(partitions)
        consumer.pause(partitions)

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.assigned, self.placed = [], False
        consumer.unassign()

    def _begins(self, partition: int) -> int:
        try:
            place = TopicPartition(self.topic, partition)
            low, _ = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT)
        except KafkaException as fault:
            raise _broker(fault) from fault
        return int(low)

    def _missed(self, partition: int, low: int) -> Iterator[Heard]:
        """Holders from the partition's own state; their place is before everything the log still has."""
        log.info("reading who holds an NPI from the state", partition=partition, log_begins=low)
        holders: list[Holder] = []
        for value in states(self._kafka, self._state, partition, b"npi/"):
            holders += stored(value, low - 1)
            if len(holders) >= BATCH:
                yield Heard(holders, {})
                holders = []
        yield Heard(holders, {partition: low})

    # ---- records ----

    def _usable(self, message: Message) -> bool:
        fault = message.error()
        if fault is None:
            self._ended.discard(
                message.partition()
            )  # in the order of the log: an end may follow in this batch
            return True
        if fault.code() == KafkaError._PARTITION_EOF:
            self._ended.add(message.partition())
        elif fault.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            raise _no_topic(self.topic)
        elif fault.fatal():
            raise _broker(KafkaException(fault))
        return False

    def _heard(self, messages: Sequence[Message]) -> Heard:
        read = {message.partition(): message.offset() + 1 for message in messages}
        said = [announced(message.value() or b"", message.offset()) for message in messages]
        return Heard([holder for holder in said if holder is not None], read)


def states(kafka: str, topic: str, partition: int, kind: bytes) -> Iterator[bytes]:
    """The stored entities of a kind (`npi/`), to the end of the partition; an older state of one may come before."""
    settings = _settings(kafka, f"{topic}-reference")
    with closing(Consumer(settings)) as source:
        source.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
        heard = time.monotonic()
        while True:
            messages = source.consume(BATCH, 0.2)
            heard = time.monotonic() if messages else heard
            for message in messages:
                if message.error() is not None:
                    if message.error().code() == KafkaError._PARTITION_EOF:
                        return
                elif (message.key() or b"").startswith(kind) and message.value():
                    yield message.value()
            if time.monotonic() - heard > TIMEOUT:
                raise Unavailable(
                    "kafka.unavailable", f"{topic}[{partition}] gives no answer", "check the broker"
                )


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
        "fetch.queue.backoff.ms": 20,
        "queued.max.messages.kbytes": 32_768,
    }


def _no_topic(topic: str) -> Unavailable:
    return Unavailable("kafka.topic_missing", f"there is no topic {topic}", "concord topics apply")


def _broker(fault: KafkaException) -> ConcordError:
    """A fatal error ends the process; any other passes."""
    error = fault.args[0]
    name = error.name() if isinstance(error, KafkaError) else type(fault).__name__
    if isinstance(error, KafkaError) and error.fatal():
        return ConcordError("kafka.fatal", f"the consumer cannot go on: {name}", "start it again")
    return Unavailable("kafka.unavailable", f"Kafka does not answer: {name}", "check that the broker runs")
