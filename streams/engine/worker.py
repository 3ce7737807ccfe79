"""The partitions of one worker process: opened when they are assigned, closed when they are taken away.

Implements the transport's Gate. Opening fences the predecessor first, then restores, then lets records in
(invariants 2, 7); it runs beside the event loop, so heartbeats and other partitions go on meanwhile.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import structlog

from streams.engine.partition import BACKOFF_SECONDS, Handler, Partition
from streams.engine.producer import Fenced, TransactionalProducer
from streams.engine.references import References
from streams.engine.restore import Restored, Restorer
from streams.engine.store import WRITE_BUFFER_BYTES, Lost, Shared, Store, destroy
from streams.engine.topic import topic_id
from streams.engine.transport import Gap
from streams.errors import InvalidInput

log = structlog.get_logger(__name__)

EXIT_FENCED = 70
EXIT_STORE_LOST = 72
KEEP_MS = 7 * 24 * 3600 * 1000
"""delete.retention.ms of topic `entity`: a store that slept longer may have missed a tombstone."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a worker's partitions live."""

    bootstrap: str
    entity_topic: str
    data_dir: Path
    transactional_id: str
    """prefix; the partition number follows"""
    buffer_bytes: int = WRITE_BUFFER_BYTES


class Partitions:
    """Every partition of this worker, by number."""

    def __init__(self, places: Places, references: References, handler: Callable[[int], Handler]) -> None:
        self._places = places
        self._references = references
        self._handler = handler
        self._shared = Shared(buffer_bytes=places.buffer_bytes)
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._wanted: frozenset[int] = frozenset()
        self._topic_id = ""
        self.open: dict[int, Partition] = {}
        self.restored: dict[int, Restored] = {}
        self.restoring: dict[int, Restorer] = {}
        self.opened = 0
        """partitions, ever: how often a rebalance gave this worker one"""
        self.gaps: list[Gap] = []
        references.listen(self.wake)

    # ---- the transport's gate ----

    def ready(self, partition: int) -> bool:
        """Whether records may be delivered."""
        return partition in self.open

    async def assigned(self, partitions: frozenset[int]) -> None:
        """Begin to open what is new; returns at once."""
        self._wanted = partitions
        for number in partitions - self.open.keys() - self._opening.keys():
            self._opening[number] = asyncio.create_task(self._open(number), name=f"open-{number}")

    async def revoked(self, partitions: frozenset[int]) -> None:
        """Close what is given up, so that another worker can open it."""
        self._wanted -= partitions
        # An opening runs in a thread that can't be cancelled: it sees that it isn't wanted, and closes its store.
        await asyncio.gather(*(self._opening[n] for n in partitions if n in self._opening))
        await asyncio.gather(*(self.open.pop(n).close() for n in partitions if n in self.open))

    async def gap(self, gap: Gap) -> None:
        """Records left the log before they were read: never silently passed over."""
        self.gaps.append(gap)
        log.error("input.gap", gap=str(gap), next_step="run a full verification of the source")

    # ---- opening ----

    async def _open(self, number: int) -> None:
        try:
            await self._opened(number)
        finally:
            self._opening.pop(number, None)

    async def _opened(self, number: int) -> None:
        while number in self._wanted and not self._references.ready.is_set():
            await asyncio.sleep(0.02)
        attempt = 0
        while number in self._wanted:
            try:
                partition = await asyncio.to_thread(self._build, number)
            except Fenced as error:
                await die(error)
            except InvalidInput as error:
                refuse(error)
            except Exception as error:
                log.warning(
                    "partition.open_failed", partition=number, error=f"{type(error).__name__}: {error}"
                )
                await asyncio.sleep(BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)])
                attempt += 1
            else:
                await self._admit(number, partition)
                return

    async def _admit(self, number: int, partition: Partition) -> None:
        if number not in self._wanted:
            await partition.close()
            return
        self.open[number] = partition
        self.opened += 1
        partition.start()
        log.info("partition.open", partition=number, restored=self.restored[number].records)

    def _build(self, number: int) -> Partition:
        places = self._places
        # The order matters: fence, restore, read. Nothing can be written behind the restore's back.
        producer = TransactionalProducer(places.bootstrap, f"{places.transactional_id}-{number}")
        stores: list[Store] = []
        try:
            producer.init()
            known = self._topic_id = self._topic_id or topic_id(places.bootstrap, places.entity_topic)
            store = self._restore(number, known, stores)
            return Partition(number, store, producer, self._handler(number), known, die)
        except BaseException:
            # Whatever is left open here would keep the next attempt from opening it.
            for store in stores[-1:]:
                store.close()
            producer.close()
            raise

    def _restore(self, number: int, known: str, stores: list[Store]) -> Store:
        """The restored store, the last of `stores`: the one that is open."""
        places, path = self._places, self._places.data_dir / str(number)
        stores.append(Store(path, self._shared))

        def empty() -> Store:
            stores.pop().close()
            destroy(path)
            stores.append(Store(path, self._shared))
            return stores[-1]

        restorer = Restorer(places.bootstrap, places.entity_topic, known, number, KEEP_MS)
        self.restoring[number] = restorer
        try:
            store, self.restored[number] = restorer.run(stores[-1], empty)
        finally:
            del self.restoring[number]
        return store

    def wake(self) -> None:
        """Something all partitions look at changed: a reference, or a newer transaction was heard."""
        for partition in self.open.values():
            partition.wake()

    def get(self, number: int) -> Partition | None:
        """An open partition."""
        return self.open.get(number)


async def die(cause: Fenced | Lost) -> None:
    """Leave without committing anything; the supervisor starts the process again."""
    if isinstance(cause, Fenced):
        log.critical("worker.fenced", reason=str(cause))
        os._exit(EXIT_FENCED)
    log.error(
        "worker.store_lost", reason=str(cause), next_step="free the disk, if it is full; the rest is ours"
    )
    os._exit(EXIT_STORE_LOST)


def refuse(error: InvalidInput) -> NoReturn:
    """Leave without committing anything, and for good: trying again cannot help, so the supervisor doesn't. The
    partitions go to the workers that are left."""
    log.error("worker.refused", code=error.code, reason=error.message, next_step=error.next_step)
    os._exit(error.exit_code)
