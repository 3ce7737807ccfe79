"""Claims of witnesses on their way to topic `claims.witness`, and who is told them.

    load:    everyone who holds an NPI    }
    follow:  who came to hold one, or not } --tell--> claims, confirmed --> remembered as told (Invariant 2)

The same function does both. Keyed by the entity's id with Connect's partitioner, so that claims stand in the entity's
partition. Telling again is harmless: the position is the same (Invariant 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from connectors.reference.holder import Holder
from connectors.reference.ledger import Ledger
from connectors.reference.source import Source
from connectors.reference.store import Folder
from connectors.reference.witness import Claim, Witness, claims, entities, open_all
from streams.errors import Unavailable
from streams.kafka import broker

TOPIC = "claims.witness"
BATCH = 5_000
CONFIRM = 15.0
"""Seconds until an unconfirmed claim is a system fault."""

encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Told:
    """How many entities that hold an NPI were told, by how many claims."""

    holders: int
    claims: int


class Publisher:
    """Sends claims; `send` returns how many, once all are confirmed, or raises Unavailable."""

    def __init__(self, kafka: str, prefix: str = "") -> None:
        self._producer = Producer(_settings(kafka))
        self._topic = prefix + TOPIC
        self._failures: list[str] = []

    def send(self, told: Iterable[Claim]) -> int:
        count = 0
        rest = iter(told)
        while batch := list(islice(rest, BATCH)):
            for claim in batch:
                self._produce(claim)
            self._confirm()
            count += len(batch)
        return count

    def _produce(self, claim: Claim) -> None:
        try:
            self._producer.produce(
                self._topic, key=claim.id.encode(), value=encode(claim), on_delivery=self._delivered
            )
        except (BufferError, KafkaException) as fault:
            self._failures.append(type(fault).__name__)
        self._producer.poll(0)

    def _delivered(self, fault: KafkaError | None, message: Message) -> None:
        if fault is not None:
            self._failures.append(fault.name())

    def _confirm(self) -> None:
        missing = self._producer.flush(CONFIRM)
        failures, self._failures = self._failures, []
        if failures or missing:
            self._producer.purge()
            self._producer.flush(1.0)
            self._failures = []
            why = f"{len(failures) + missing} claims not confirmed: {' '.join(sorted(set(failures)))}"
            raise Unavailable(
                "kafka.unavailable", why.rstrip(": "), "check the broker and `concord topics plan`"
            )


def tell(folder: Folder, sources: Sequence[Source], holders: Iterable[Holder], publisher: Publisher) -> Told:
    """What the sources say, to these holders."""
    count, today = 0, datetime.now(UTC).date()
    with ExitStack() as stack:
        witnesses = [stack.enter_context(witness) for witness in open_all(folder, sources)]

        def every() -> Iterator[Claim]:
            nonlocal count
            for holder in holders:
                count += 1
                for witness in witnesses:
                    yield from claims(witness, holder, today)

        sent = publisher.send(every())
    return Told(count, sent)


def tell_all(folder: Folder, source: Source, publisher: Publisher) -> Told:
    """What a source says, to everyone who holds an NPI."""
    with Ledger(folder) as ledger:
        return tell(folder, [source], ledger.holding(), publisher)


def tell_entities(folder: Folder, source: Source, publisher: Publisher) -> Told:
    """A source's rows as entities of their own: nobody has to hold anything."""
    with Witness(source, folder) as witness:
        return Told(0, publisher.send(entities(witness)))


def _settings(kafka: str) -> dict[str, Any]:
    return {
        **broker(kafka),
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 20,
        "compression.type": "lz4",
        "message.max.bytes": 16 * 1024 * 1024,
        "topic.metadata.propagation.max.ms": 5_000,  # a topic that is missing is told soon
        "queue.buffering.max.messages": 2 * BATCH,
        "delivery.timeout.ms": int(CONFIRM * 1000),
    }
