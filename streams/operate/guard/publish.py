"""Findings about sources, on the topic of all findings: opened, closed, and read back after a restart.

    Event --Publisher--> finding (kind `system`, the source's name as its id)      finding --known--> Book

The one writer of these beside decide, whose entities are never of kind `system`: a guard that spoke through the flow it
guards would be silent when it matters (docs/decisions/20261122-guard-beside-the-flow.md).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaException, Producer

from schemas import registry
from streams import codec
from streams.core import finding
from streams.kafka import broker
from streams.operate.findings import read_open
from streams.operate.guard.book import Event, Finding
from streams.settings import Settings, need

log = structlog.get_logger("concord.guard")

KIND = "system"
ACTOR = "operator"
FLUSH = 2.0


class Publisher:
    """Tells findings in the order they happened; what a broker does not take is told at the next look."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.topic("finding")
        self._encoder = codec.Encoders({"finding": _schema(settings)})
        self._waiting: list[Event] = []
        self._producer = Producer(
            {
                **broker(need(settings.kafka, "CONCORD_KAFKA")),
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "delivery.timeout.ms": 5_000,
                "log_level": 0,
            }
        )

    @property
    def producer(self) -> Producer:
        """Also for the announcement of this process."""
        return self._producer

    def tell(self, events: list[Event]) -> None:
        """Told, or kept for the next time."""
        self._waiting += events
        if not self._waiting:
            return
        told: list[Event] = []
        for event in self._waiting:
            self._send(event, told)
        self._producer.flush(FLUSH)
        self._waiting = [event for event in self._waiting if event not in told]

    def _send(self, event: Event, told: list[Event]) -> None:
        found = event.finding
        key = f"{KIND}/{found.system} {found.code} {found.subject}"
        try:
            self._producer.produce(
                self._topic,
                key=key.encode(),
                value=self._encoder.finding(_record(event)),
                on_delivery=lambda error, _: told.append(event) if error is None else None,
            )
        except (BufferError, KafkaException):
            log.debug("guard.untold", code=found.code, system=found.system)


def _record(event: Event) -> finding.Event:
    found = event.finding
    where = (found.epoch, found.first, found.last)
    return finding.Event(
        KIND,
        found.system,
        found.code,
        found.subject,
        event.state,
        found.severity,
        "warn",
        found.message,
        found.action,
        where,
        where,
        ACTOR,
    )


def _schema(settings: Settings) -> tuple[Any, int]:
    files = [
        f for f in registry.schema_files(prefix=settings.topic_prefix) if f.topic == settings.topic("finding")
    ]
    numbers = registry.ids(registry.connect(need(settings.registry, "CONCORD_REGISTRY")), files)
    return json.loads(files[-1].text), numbers[files[-1].topic]


def known(settings: Settings) -> Iterator[Finding]:
    """What was open when somebody last told."""
    for record in read_open(settings):
        if record["kind"] == KIND:
            yield _finding(record)


def _finding(record: Mapping[str, Any]) -> Finding:
    epoch, first, last = (int(part) for part in record["opened_position"].split("/")[:3])
    return Finding(
        record["entity_id"],
        record["code"],
        record["subject"],
        record["severity"],
        record["message"],
        record["action"],
        epoch,
        first,
        last,
    )
