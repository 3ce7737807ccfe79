"""Records to partitions that are known, acknowledged before anything else happens.

For `concord quarantine`: a record goes back to exactly the partition it came from, a mark beside the record it is
about. Idempotent, so that a retry neither doubles nor reorders; never in a transaction (see handle).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.envelope import Message as Captured
from streams.engine.producer import MAX_MESSAGE_BYTES
from streams.errors import Unavailable
from streams.kafka import broker
from streams.operate.quarantine.record import Headers
from streams.placing import partition_of

SECONDS = 30


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record and its place."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def captured(topic: str, partitions: int, message: Captured, mark: tuple[str, bytes]) -> Outgoing:
    """A record of a source's log where Debezium would put it, in the partition of its key; `mark`: who wrote it."""
    key, value, headers = message
    return Outgoing(topic, partition_of(key, partitions), key, value, [*headers, mark])


class Unsent(Unavailable):
    """The broker did not take every record (exit code 1)."""


class Sender:
    """Writes records and waits until the broker has them all."""

    def __init__(self, kafka: str) -> None:
        self._failed: list[str] = []
        self._producer = Producer(
            {
                **broker(kafka),
                "acks": "all",
                "enable.idempotence": True,
                "delivery.timeout.ms": SECONDS * 1000,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "compression.type": "lz4",
                "log_level": 0,
            }
        )

    def send(self, records: Iterable[Outgoing]) -> None:
        """Returns when all are acknowledged, in the order given; else Unsent, and some may have been written."""
        for out in records:
            self._produce(out)
        left = self._producer.flush(2 * SECONDS)
        if self._failed or left:
            why = self._failed[0] if self._failed else f"{left} records were not acknowledged"
            raise Unsent(
                "quarantine.unsent",
                f"Kafka refused: {why}",
                "run it again: what is sent twice changes nothing",
            )

    def _produce(self, out: Outgoing) -> None:
        try:
            self._producer.produce(
                out.topic, out.value, out.key, out.partition, headers=out.headers, on_delivery=self._delivered
            )
        except KafkaException as fault:
            self._failed.append(fault.args[0].str())

    def _delivered(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._failed.append(error.str())

    def close(self) -> None:
        """Drop what was not sent."""
        self._producer.purge()
        self._producer.flush(1)
