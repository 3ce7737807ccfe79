"""The clock's holder: proposes each day to every partition, and tells where an initial snapshot ends.

Runs where `clock` partition 0 is. Once Connect's committed offsets show a snapshot finished, all its rows are in
Kafka. A snapshot that was interrupted is taken again table by table, each at a moment of its own (Debezium 3.7 has
no exported snapshot for a slot that exists already), and what was committed meanwhile is streamed after it. So the
end of each partition is the bound once a transaction has been streamed that is younger than the reading: the holder
writes one into the source's heartbeat where it knows the capture role, else Connect's own brings one. Duplicates are
harmless; a notice that comes before the rows is kept by its partition.

A date is proposed when the UTC date has changed, and once after every start: the last one may not have been. What it
would withdraw is counted first, and partition 0 tells it or stops and asks (`proposal`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date

import structlog
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from connectors.connect import Connect
from connectors.sources import snapshot
from streams.agents.control import SnapshotComplete, Tick, TickProposed, encode, today
from streams.errors import ConcordError, Unavailable
from streams.kafka import broker

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
ANNOUNCED_EVERY = 10
"""Looks at a source whose snapshot was announced: only another epoch can say more, and Connect reads its topic of
offsets to the end for every question."""


class Daily:
    """Calls `tell` with each date once; again at the next look when it couldn't be told."""

    def __init__(self, tell: Callable[[date], None], now: Callable[[], float] = time.time) -> None:
        self._tell = tell
        self._now = now
        self._told: date | None = None

    def look(self) -> None:
        """Tell the date if it is another one than the last that was told."""
        day = today(self._now())
        if day != self._told:
            self._tell(day)
            self._told = day


def propose(bootstrap: str, topic: str, partitions: int, day: date, who: str) -> None:
    """Ask every partition of `clock` what this day would withdraw."""
    value = encode(TickProposed(day.isoformat(), who))
    tell(bootstrap, topic, [value] * partitions, b"tick-proposed")


def tick(bootstrap: str, topic: str, partitions: int, day: date, who: str) -> None:
    """Tell every partition of `clock` that it is this day, whatever it withdraws."""
    value = encode(Tick(day.isoformat(), who))
    tell(bootstrap, topic, [value] * partitions, b"tick")


def tell(bootstrap: str, topic: str, values: Sequence[bytes], key: bytes) -> None:
    """A record for each partition, in their order; Unavailable when one was not taken."""
    producer = Producer({**broker(bootstrap), "acks": "all", "partitioner": "murmur2_random"})
    delivered: list[int] = []
    for partition, value in enumerate(values):
        producer.produce(
            topic,
            value,
            key,
            partition,
            on_delivery=lambda error, _: delivered.append(0) if error is None else None,
        )
    producer.flush(30)
    if len(delivered) < len(values):
        message = f"{len(values) - len(delivered)} of {len(values)} partitions were not told"
        raise Unavailable("clock.undelivered", message, "the same again: telling twice is harmless")


class ClockHolder:
    """Proposes each day and announces finished snapshots while `holds()` says that partition 0 is here."""

    def __init__(
        self,
        bootstrap: str,
        connect: str,
        prefix: str,
        partitions: int,
        systems: Iterable[str],
        holds: Callable[[], bool],
        beat: Callable[[str], None] = lambda system: None,
    ) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._partitions = partitions
        self._systems = tuple(systems)
        self._holds = holds
        self._beat = beat
        self._client = Connect(connect, timeout=10)
        self._announced: set[tuple[str, int]] = set()
        self._settled: set[str] = set()
        """systems whose newest epoch is announced"""
        self._looks = 0
        self._finished_us: dict[tuple[str, int], int] = {}
        """when a snapshot was first seen finished: nothing of it was read later"""
        self._daily = Daily(self._propose)

    async def run(self) -> None:
        """Poll until cancelled."""
        with self._client:
            while True:
                if self._holds():
                    await asyncio.to_thread(self._look)
                await asyncio.sleep(POLL_SECONDS)

    def _look(self) -> None:
        try:
            self._daily.look()
        except (ConcordError, KafkaException) as error:
            log.debug("clock.unavailable", error=repr(error))
        self._looks += 1
        for system in self._systems:
            if system in self._settled and self._looks % ANNOUNCED_EVERY:
                continue
            try:
                self._look_at(system)
            except (ConcordError, KafkaException) as error:  # passes; looked at again in a moment
                log.debug("clock.unavailable", system=system, error=repr(error))
            except Exception as error:  # an answer nobody expected must not end every other system's days
                log.error("clock.failed", system=system, error=repr(error))

    def _look_at(self, system: str) -> None:
        found = snapshot(self._client, self._prefix + system)
        if found is None:
            return
        name = system, found.epoch
        if name in self._announced:
            self._settled.add(system)
            return
        self._settled.discard(system)
        if not found.finished:
            return
        if name not in self._finished_us:
            self._finished_us[name] = time.time_ns() // 1000
            self._beat(system)
        if found.streamed_us > self._finished_us[name]:
            self._announce(*name)
            self._announced.add(name)

    def _propose(self, day: date) -> None:
        propose(self._bootstrap, f"{self._prefix}clock", self._partitions, day, "holder")
        log.info("clock.proposed", as_of=day.isoformat())

    def _announce(self, system: str, epoch: int) -> None:
        ends = self._ends(f"{self._prefix}cdc.{system}")
        values = [encode(SnapshotComplete(system, epoch, until)) for until in ends]
        tell(self._bootstrap, f"{self._prefix}clock", values, system.encode())
        log.info("snapshot.complete", system=system, epoch=epoch)

    def _ends(self, topic: str) -> list[int]:
        consumer = Consumer({**broker(self._bootstrap), "group.id": "concord-clock"})
        try:
            marks = [
                consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)
                for p in range(self._partitions)
            ]
        finally:
            consumer.close()
        return [0 if low == high else high for low, high in marks]
