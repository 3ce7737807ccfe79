"""Reading topics from outside the flow: whole, from a moment on, or just the next record of each partition.

Used by every question an operator asks. Reads committed records only, joins no group and commits nothing, so that
looking never disturbs the flow.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import EnvironmentFault, Unavailable
from streams.kafka import broker

TIMEOUT = 10.0
STALL = 15.0
"""Seconds without a record or an end before we say that the broker does not answer."""

Place = tuple[str, int]
"""(topic, partition)"""


def beginnings(topic: str, partitions: Iterable[int]) -> dict[Place, int]:
    """Every partition from its first record."""
    return {(topic, partition): OFFSET_BEGINNING for partition in partitions}


def read(kafka: str, starts: Mapping[Place, int]) -> Iterator[Message]:
    """Committed records from `starts` up to the end that each partition has when it is reached."""
    left = set(starts)
    if not left:
        return
    with consumer(kafka) as source:
        source.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        heard = time.monotonic()
        while left:
            messages = source.consume(2_000, 0.1)
            heard = time.monotonic() if messages else heard
            for message in messages:
                if message.error() is None:
                    yield message
                else:
                    left.discard(_ended(message))
            if time.monotonic() - heard > STALL:
                raise _stalled(left)


class Onward:
    """Committed records from `starts` on, and then whatever is new each time somebody asks."""

    def __init__(self, kafka: str, starts: Mapping[Place, int]) -> None:
        self._kafka, self._at = kafka, dict(starts)

    def news(self) -> Iterator[Message]:
        """Up to the end; one that isn't read to its end is gone on with where it was left."""
        for message in read(self._kafka, self._at):
            yield message
            self._at[place_of(message)] = (message.offset() or 0) + 1


def newest(kafka: str, starts: Mapping[Place, int]) -> dict[bytes, Message]:
    """The newest record of each key; a tombstone removes it."""
    found: dict[bytes, Message] = {}
    for message in read(kafka, starts):
        key = message.key() or b""
        if message.value() is None:
            found.pop(key, None)
        else:
            found[key] = message
    return found


def first_after(
    kafka: str, positions: Mapping[Place, int], counts: Callable[[Message], bool] = lambda message: True
) -> dict[Place, Message | None]:
    """The next committed record at or after each position that counts; None where none is left.

    Transaction markers take offsets too, so an end offset alone never proves that something waits.
    """
    found: dict[Place, Message | None] = {}
    if not positions:
        return found
    with consumer(kafka) as source:
        source.assign([TopicPartition(*place, offset) for place, offset in positions.items()])
        deadline = time.monotonic() + STALL
        while len(found) < len(positions):
            for message in source.consume(500, 0.1):
                if message.error() is not None:
                    found.setdefault(_ended(message), None)
                elif counts(message):
                    found.setdefault(place_of(message), message)
            if time.monotonic() > deadline:
                raise _stalled(positions.keys() - found.keys())
    return found


def since(kafka: str, moments: Mapping[Place, int]) -> dict[Place, int]:
    """The offset of the first record whose timestamp is at or after the moment (epoch ms)."""
    with consumer(kafka) as source:
        asked = [TopicPartition(*place, at) for place, at in moments.items()]
        try:
            answered = source.offsets_for_times(asked, timeout=TIMEOUT)
        except KafkaException as fault:
            raise _unavailable(fault.args[0]) from None
    return {(p.topic, p.partition): p.offset for p in answered if p.offset >= 0}


def ends(kafka: str, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
    """(first offset, end offset) of each partition."""
    with consumer(kafka) as source:
        try:
            return {
                place: source.get_watermark_offsets(TopicPartition(*place), timeout=TIMEOUT)
                for place in places
            }
        except KafkaException as fault:
            raise _unavailable(fault.args[0]) from None


def place_of(message: Message) -> Place:
    """Where a record stands."""
    return str(message.topic()), int(message.partition() or 0)


@contextmanager
def consumer(kafka: str) -> Iterator[Consumer]:
    """A consumer that belongs to no group."""
    settings: dict[str, Any] = {
        **broker(kafka),
        "group.id": "concord-operate",  # required by the client; never joined, never committed
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 20,
        "fetch.queue.backoff.ms": 10,  # a full queue waits for its reader, not for a second
        "log_level": 0,
    }
    source = Consumer(settings)
    try:
        yield source
    finally:
        source.close()


def _ended(message: Message) -> Place:
    error = message.error()
    assert error is not None
    if error.code() == KafkaError._PARTITION_EOF:
        return place_of(message)
    raise _unavailable(error)


def _unavailable(error: KafkaError) -> EnvironmentFault | Unavailable:
    if error.code() in (
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    ):
        return EnvironmentFault(
            "kafka.topic_missing",
            f"a topic of the catalogue is missing: {error.str()}",
            "concord topics apply",
        )
    return Unavailable(
        "kafka.unavailable",
        f"Kafka does not answer: {error.str()}",
        "check that it runs: python -m stack status",
    )


def _stalled(places: Iterable[Place]) -> Unavailable:
    listed = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(places))
    return Unavailable(
        "kafka.unavailable",
        f"Kafka did not answer for {listed}",
        "check that it runs: python -m stack status",
    )
