"""The clock's holder: tells every partition where an initial snapshot ends.

Runs where `clock` partition 0 is. Once Connect's committed offsets show a snapshot finished, all its rows are in
Kafka: the end of each partition then bounds them. Duplicates are harmless; a notice that comes before the rows is
kept by its partition. Never decides anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import httpx
import structlog
from confluent_kafka import Consumer, Producer, TopicPartition

from connectors.source import EPOCH
from streams.agents.decide import SnapshotComplete, encode_json

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5


class ClockHolder:
    """Announces finished snapshots while `holds()` says that partition 0 is here."""

    def __init__(
        self,
        bootstrap: str,
        connect: str,
        prefix: str,
        partitions: int,
        systems: Iterable[str],
        holds: Callable[[], bool],
    ) -> None:
        self._bootstrap = bootstrap
        self._connect = connect
        self._prefix = prefix
        self._partitions = partitions
        self._systems = tuple(systems)
        self._holds = holds
        self._announced: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            if self._holds():
                await asyncio.to_thread(self._look)
            await asyncio.sleep(POLL_SECONDS)

    def _look(self) -> None:
        for system in self._systems:
            try:
                epoch = finished_epoch(self._connect, self._prefix + system)
            except httpx.HTTPError as error:
                log.debug("clock.connect_unavailable", system=system, error=repr(error))
                continue
            if epoch is not None and (system, epoch) not in self._announced:
                self._announce(system, epoch)
                self._announced.add((system, epoch))

    def _announce(self, system: str, epoch: int) -> None:
        producer = Producer(
            {"bootstrap.servers": self._bootstrap, "acks": "all", "partitioner": "murmur2_random"}
        )
        for partition, until in enumerate(self._ends(f"{self._prefix}cdc.{system}")):
            value = encode_json(SnapshotComplete(system, epoch, until))
            producer.produce(f"{self._prefix}clock", value, system.encode(), partition)
        producer.flush(30)
        log.info("snapshot.complete", system=system, epoch=epoch)

    def _ends(self, topic: str) -> list[int]:
        consumer = Consumer({"bootstrap.servers": self._bootstrap, "group.id": "concord-clock"})
        try:
            marks = [
                consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)
                for p in range(self._partitions)
            ]
        finally:
            consumer.close()
        return [0 if low == high else high for low, high in marks]


def finished_epoch(connect: str, connector: str) -> int | None:
    """The epoch whose initial snapshot is finished by Connect's *committed* offsets, or None.

    Debezium's offset carries `snapshot` while one runs, and `snapshot_completed` or nothing of the kind afterwards.
    """
    with httpx.Client(base_url=connect, timeout=10) as client:
        config = client.get(f"/connectors/{connector}/config")
        committed = client.get(f"/connectors/{connector}/offsets")
        if config.status_code != 200 or committed.status_code != 200:
            return None
        offsets = [entry["offset"] for entry in committed.json()["offsets"] if entry.get("offset")]
        if not offsets or any(o.get("snapshot") and not o.get("snapshot_completed") for o in offsets):
            return None
        return int(config.json()[EPOCH])
