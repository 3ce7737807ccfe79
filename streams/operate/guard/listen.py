"""Listens to what is captured, beside the flow: canaries arrive, transactions are whole.

    cdc.<system>, <system>.transaction --Listener, one thread--> Ledger, Pulse --heard--> conditions

Reads every record once and decodes none but canaries and boundaries. Joins no group; what it notes there is where to
begin again, so that a restart leaves no transaction uncounted. Memory is bounded by what is open.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition
from msgspec import Struct

from connectors.source import CANARY, Names, captured
from schemas.catalog import load_mapping
from streams.kafka import broker
from streams.operate import findings
from streams.operate.guard import completeness
from streams.operate.guard.completeness import Incomplete, Ledger
from streams.operate.guard.facts import Heard, Skipped
from streams.operate.guard.pulse import Pulse

log = structlog.get_logger("concord.guard")

GROUP = "concord-guard"
BATCH = 1_000
WAIT = 0.2
SETTLE_EVERY = 1.0
NOTE_EVERY = 5.0
TIMEOUT = 2.0
_CANARY = f'"table":"{CANARY.name}"'.encode()


class _Source(Struct, frozen=True):
    lsn: int | None = None


class _Row(Struct, frozen=True):
    beat: int


class _Change(Struct, frozen=True):
    op: str
    source: _Source
    after: _Row | None = None


_decode = msgspec.json.Decoder(_Change).decode


@dataclass(slots=True)
class Ear:
    """What is heard of one system."""

    names: Names
    ledger: Ledger
    pulse: Pulse
    last: float
    beat: tuple[int, int] | None = None
    """(count, LSN) of the last canary that arrived"""
    skipped: list[Skipped] = field(default_factory=list)
    incomplete: list[Incomplete] = field(default_factory=list)
    rows: int = 0

    def row(self, message: Message, value: bytes, now: float) -> None:
        """A record of the system's topic."""
        self.rows += 1
        self.last = now
        row = completeness.read(value)
        if row is not None:
            self.ledger.row(int(message.partition() or 0), int(message.offset() or 0), row, now)
        if row.table == CANARY.name if row is not None else _CANARY in value:
            self._canary(value)

    def _canary(self, value: bytes) -> None:
        try:
            change = _decode(value)
        except msgspec.DecodeError:
            return  # a row that mentions the table
        if change.after is None:
            return
        beat, lsn = change.after.beat, change.source.lsn or 0
        if self.beat is not None and change.op == "u" and beat > self.beat[0] + 1:
            self.skipped.append(Skipped(self.beat[0], beat, self.beat[1], lsn))
        if self.beat is None or beat > self.beat[0] or change.op != "u":
            self.beat = (beat, lsn)
        self.pulse.reached("captured", beat)


class Listener:
    """All systems, over one consumer. `heard` may be asked by another thread."""

    def __init__(self, kafka: str, prefix: str, partitions: int, pulses: Mapping[str, Pulse]) -> None:
        self._partitions = partitions
        self._fault = ""
        self._lock = threading.Lock()
        self._consumer = Consumer(
            {
                **broker(kafka),
                "group.id": f"{prefix}{GROUP}",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 100,
                "queued.max.messages.kbytes": 16 * 1024,
                "log_level": 0,
                "error_cb": self._failed,
            }
        )
        now = time.monotonic()
        self._ears = {system: _ear(system, prefix, pulse, now) for system, pulse in pulses.items()}
        self._rows = {ear.names.topic: ear for ear in self._ears.values()}
        self._boundaries = {f"{ear.names.connector}.transaction": ear for ear in self._ears.values()}
        self._findings = f"{prefix}finding"
        self._closed: list[tuple[str, str, str]] = []
        self._positions: dict[tuple[str, int], int] = {}
        self._settled = self._noted = now

    def run(self, stop: threading.Event) -> None:
        """Listen until told to stop."""
        try:
            while not stop.is_set() and not self._placed():
                stop.wait(1.0)
            while not stop.is_set():
                self.turn()
            self._note(time.monotonic())
        finally:
            self._consumer.close()

    def turn(self) -> None:
        """Read what is there, settle what is over."""
        messages = self._consumer.consume(BATCH, WAIT)
        now = time.monotonic()
        with self._lock:
            for message in messages:
                self._take(message, now)
            if now - self._settled >= SETTLE_EVERY:
                self._settled = now
                self._settle(now)
        if now - self._noted >= NOTE_EVERY:
            self._noted = now
            self._note(now)

    def heard(self, system: str, now: float) -> Heard:
        """What was heard of a system since it was asked the last time."""
        with self._lock:
            ear = self._ears[system]
            found = Heard(now - ear.last, tuple(ear.skipped), tuple(ear.incomplete), self._fault)
            ear.skipped, ear.incomplete = [], []
            return found

    def counts(self) -> dict[str, dict[str, int]]:
        """Of each system: transactions proven whole, and what is known of the others."""
        with self._lock:
            return {
                system: {
                    "rows": ear.rows,
                    "proven": ear.ledger.proven,
                    "incomplete": ear.ledger.incomplete,
                    "unproven": ear.ledger.unproven,
                    "open": ear.ledger.open,
                    "sent_again": ear.ledger.twice,
                }
                for system, ear in self._ears.items()
            }

    # ---- reading ----

    def _take(self, message: Message, now: float) -> None:
        if message.error() is not None:
            self._failed(message.error())
            return
        self._fault = ""
        topic, offset = str(message.topic()), int(message.offset() or 0)
        self._positions[topic, int(message.partition() or 0)] = offset + 1
        value = message.value()
        if value is None:
            return
        ear = self._rows.get(topic)
        if ear is not None:
            ear.row(message, value, now)
        elif topic == self._findings:
            self._hear(message.key() or b"", value)
        else:
            self._boundaries[topic].ledger.boundary(value, offset, now)

    def _hear(self, key: bytes, value: bytes) -> None:
        """A finding about a source that somebody has closed."""
        if key.startswith(b"system/") and (record := findings.decode(value))["state"] == "closed":
            self._closed.append((record["entity_id"], record["code"], record["subject"]))

    def closed(self) -> list[tuple[str, str, str]]:
        """What was closed since this was asked the last time, by whomever."""
        with self._lock:
            found, self._closed = self._closed, []
            return found

    def _settle(self, now: float) -> None:
        for ear in self._ears.values():
            since = self._read_since(ear) if ear.ledger.overdue(now) else 0.0
            ear.incomplete += ear.ledger.settle(now, since)

    def _read_since(self, ear: Ear) -> float:
        """A moment whose every record has been read; 0 where none is known. Asked for what is overdue only."""
        since = time.monotonic()
        for place in self._places(ear):
            try:
                _, end = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT)
            except KafkaException:
                return 0.0
            if self._positions.get((place.topic, place.partition), 0) < end:
                return 0.0
        return since

    def _places(self, ear: Ear) -> list[TopicPartition]:
        rows = [TopicPartition(ear.names.topic, number) for number in range(self._partitions)]
        return [*rows, TopicPartition(f"{ear.names.connector}.transaction", 0)]

    # ---- where to begin ----

    def _placed(self) -> bool:
        """Begin where the last run noted; the first one at the end, rows before boundaries."""
        try:
            places = [place for ear in self._ears.values() for place in self._places(ear)]
            noted = {(p.topic, p.partition): p.offset for p in self._consumer.committed(places, TIMEOUT)}
            for place in places:
                at = noted[place.topic, place.partition]
                low, high = self._consumer.get_watermark_offsets(place, timeout=TIMEOUT)
                place.offset = min(max(at, low), high) if at >= 0 else high
                self._positions[place.topic, place.partition] = place.offset
            self._consumer.assign([*places, *self._newest_findings()])
        except KafkaException as fault:
            self._failed(fault.args[0])
            return False
        return True

    def _newest_findings(self) -> list[TopicPartition]:
        return [TopicPartition(self._findings, number, OFFSET_END) for number in range(self._partitions)]

    def _note(self, now: float) -> None:
        try:
            self._consumer.commit(offsets=list(self._resume()), asynchronous=True)
        except KafkaException as fault:
            log.debug("guard.not_noted", fault=str(fault.args[0]))

    def _resume(self) -> Iterable[TopicPartition]:
        for ear in self._ears.values():
            *rows, boundary = self._places(ear)
            positions = {place.partition: self._positions[place.topic, place.partition] for place in rows}
            begun, starts = ear.ledger.resume_at(self._positions[boundary.topic, 0], positions)
            yield TopicPartition(boundary.topic, 0, begun)
            yield from (TopicPartition(ear.names.topic, number, at) for number, at in starts.items())

    def _failed(self, error: Any) -> None:
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            self._fault = f"Kafka does not answer: {error.str()}"


def _ear(system: str, prefix: str, pulse: Pulse, now: float) -> Ear:
    tables = [table.qualified for table in captured(load_mapping(system))]
    return Ear(Names(system, prefix), Ledger(system, tables), pulse, now)
