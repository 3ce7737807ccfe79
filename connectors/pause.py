"""An operator's word that a system is to be left alone: one compacted record a system on topic `control`.

    concord pause  --control[pause/<system>]--> Pauses --> run.Adapter holds
    concord resume --tombstone----------------> Pauses --> it goes on

The adapter keeps its place in the target and its membership of the group; nothing is lost and nothing is found wrong.
Until the topic was read to its end nobody knows, and nothing is delivered.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.errors import Unavailable
from streams.kafka import broker

TOPIC = "control"
FIRST_READ = 5.0
"""Seconds for the topic's few records, once."""
LOOK_EVERY = 10.0
"""Seconds until a topic that is not there is looked for again."""
BATCH = 100


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants a system left alone, since when (UTC), and why."""

    since: str
    by: str
    reason: str

    def __str__(self) -> str:
        return f"paused since {self.since} by {self.by}: {self.reason}"


def key(system: str) -> bytes:
    """The record's key."""
    return f"pause/{system}".encode()


def decode(value: bytes | None) -> Pause | None:
    """The record's word; what is no such record pauses nothing."""
    try:
        return msgspec.json.decode(value, type=Pause) if value else None
    except msgspec.DecodeError:
        return None


class Pauses(Protocol):
    """Whether this system is paused now.

    pause  The operator's last word, None while it is not paused. Quick: called with each turn of an adapter. Raises
           Unavailable while nobody can know.
    close  Gives up connections.
    """

    def pause(self) -> Pause | None: ...

    def close(self) -> None: ...


class MemoryPauses:
    """The port without Kafka."""

    def __init__(self) -> None:
        self.word: Pause | None = None

    def pause(self) -> Pause | None:
        return self.word

    def close(self) -> None:
        """Nothing to give up."""


class KafkaPauses:
    """Follows topic `control`; joins no group and commits nothing."""

    def __init__(self, kafka: str, topic: str, system: str) -> None:
        self._key = key(system)
        self._topic = topic
        self._word: Pause | None = None
        self._assigned = self._whole = False
        self._looked = float("-inf")
        self._consumer = Consumer(_settings(kafka))

    def pause(self) -> Pause | None:
        try:
            if self._assigned or self._found():
                self._follow()
        except KafkaException as fault:
            raise _unread(fault.args[0].str()) from None
        return self._word

    def close(self) -> None:
        self._consumer.close()

    def _found(self) -> bool:
        """A topic that was never made says that nobody has paused anything."""
        if time.monotonic() - self._looked < LOOK_EVERY:
            return False
        known = self._consumer.list_topics(self._topic, timeout=FIRST_READ).topics[self._topic]
        self._looked = time.monotonic()
        if known.error is not None and known.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return False
        if known.error is not None:
            raise KafkaException(known.error)
        self._consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
        self._assigned = True
        return True

    def _follow(self) -> None:
        deadline = time.monotonic() + FIRST_READ
        self._take(self._consumer.consume(BATCH, 0))
        while not self._whole:
            if time.monotonic() > deadline:
                raise _unread(f"topic {self._topic} could not be read to its end")
            self._take(self._consumer.consume(BATCH, 0.1))

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            fault = message.error()
            if fault is None and message.key() == self._key:
                self._word = decode(message.value())
            elif fault is not None and fault.code() == KafkaError._PARTITION_EOF:
                self._whole = True


def _settings(kafka: str) -> dict[str, Any]:
    return {
        **broker(kafka),
        "group.id": "concord-control",  # required by the client; never joined, never committed
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "log_level": 0,
    }


def _unread(why: str) -> Unavailable:
    step = "the adapter retries by itself; check that the broker runs"
    return Unavailable(
        "control.unread", f"nobody knows whether an operator has paused this system: {why}", step
    )
