"""Receipts: what became of a view where no row captured back can tell it, told to the platform.

    Failed, Undecodable --Receipts.write--> receipt        every target
    Applied             --Receipts.write--> receipt        systems behind an API: their only confirmation
    Standstill          --Receipts.write--> receipt        an adapter as a whole: it waits for a person, it goes on

Keyed by entity and placed by murmur2: decide reads it in the entity's own partition (core/receipt.py). A receipt is
confirmed by the broker before the offset of its record is stored (a lost receipt would be a lost view). It names record
and code, never a value (Invariant 11).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from confluent_kafka import KafkaError, Message, Producer

from connectors.sink import Failed, View
from connectors.wire import Undecodable
from streams.errors import ConcordError, Unavailable
from streams.kafka import broker

CONFIRM = 10.0  # seconds until an unconfirmed receipt is a system fault


@dataclass(frozen=True, slots=True)
class Receipt:
    """One record and its outcome: failed; applied (the system confirmed it); exported (it is in a file). Of an adapter
    (kind `system`): paused or resumed, with the time in microseconds for a revision."""

    system: str
    kind: str
    entity_id: str
    revision: int | None
    code: str
    message: str
    topic: str
    partition: int
    offset: int
    at: str
    outcome: str = "failed"


class Receipts(Protocol):
    """Where receipts go. `write` returns when all are confirmed, or raises Unavailable; again is harmless."""

    def write(self, receipts: Iterable[Receipt]) -> None: ...


class KafkaReceipts:
    """Receipts on their topic, keyed by entity."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def write(self, receipts: Iterable[Receipt]) -> None:
        failures: list[str] = []

        def delivered(fault: KafkaError | None, message: Message) -> None:
            failures.extend([fault.name()] if fault else [])

        for receipt in receipts:
            value = json.dumps(asdict(receipt))
            self._producer.produce(self._topic, key=receipt.entity_id, value=value, on_delivery=delivered)
        self._confirm(failures)

    def _confirm(self, failures: list[str]) -> None:
        unconfirmed = self._producer.flush(CONFIRM)
        if failures or unconfirmed:
            why = f"receipts not confirmed: {len(failures) + unconfirmed} {' '.join(sorted(set(failures)))}"
            raise Unavailable("receipt.unconfirmed", why.rstrip(), "check broker and topic `receipt`")


def refused(system: str, view: View, outcome: Failed) -> Receipt:
    source = (view.topic, view.partition, view.offset)
    subject = (system, view.kind, view.entity_id, view.revision)
    return Receipt(*subject, outcome.code, outcome.message, *source, at=_now())


def confirmed(system: str, view: View, outcome: str = "applied") -> Receipt:
    """The system holds this revision, or has it in a file."""
    source = (view.topic, view.partition, view.offset)
    subject = (system, view.kind, view.entity_id, view.revision)
    return Receipt(*subject, f"target.{outcome}", "", *source, at=_now(), outcome=outcome)


def paused(system: str, fault: ConcordError) -> Receipt:
    """The adapter stands still; what the fault says names codes, tables and columns."""
    return Receipt(*_adapter(system), fault.code, fault.message, *NOWHERE, at=_now(), outcome="paused")


def resumed(system: str) -> Receipt:
    """The adapter works."""
    return Receipt(*_adapter(system), "target.resumed", "", *NOWHERE, at=_now(), outcome="resumed")


def _adapter(system: str) -> tuple[str, str, str, int]:
    return system, "system", system, time.time_ns() // 1000


NOWHERE = ("", -1, -1)
"""Topic, partition and offset of what is about no record."""


def unread(system: str, record: Undecodable) -> Receipt:
    source = (record.topic, record.partition, record.offset)
    subject = (system, record.kind, record.entity_id, record.revision)
    return Receipt(*subject, record.code, record.message, *source, at=_now())


def producer(kafka: str) -> Producer:
    """Connect's partitioner: an entity's receipts stand in the partition of its changes."""
    settings: dict[str, Any] = {
        **broker(kafka),
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": 1,
        "delivery.timeout.ms": int(CONFIRM * 1000),
    }
    return Producer(settings)


def _now() -> str:
    return datetime.now(UTC).isoformat()
