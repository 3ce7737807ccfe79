"""One partition's work: load -> aggregate -> decide -> produce -> commit -> store -> acknowledge, under one lock.

Sits between the transport's chunks and the topics. All agents of a partition number share one Partition: its
store, its producer, its lock. What a record means is the Handler's business; this module never looks inside one.
A unit takes the chunks of all topics that wait: five systems' changes cost one Kafka transaction, not five in a row.
A unit that fails is aborted and retried whole, without limit and with backoff, before the partition goes on, so
that order holds; other partitions are not held up (invariants 1, 2, 7).

While nothing is behind, a unit stays open until the transactions it began with are over, and takes what arrives
meanwhile: aggregating and deciding then cost one Kafka transaction instead of two. What will be over before a commit
would be is waited for, too, so that units grow larger as the broker grows slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from streams.engine.producer import Fenced, Output, TransactionalProducer
from streams.engine.store import Batch, Checkpoint, Lost, Store

log = structlog.get_logger(__name__)

SLICE = 256
"""Records worked between two looks at the event loop: about 20 ms of CPU at most."""
DECISIONS = 512
"""Decisions in one transaction."""
ROOM = 2000
"""Records in a unit beyond which no further chunk joins it."""
JOIN_MS = 40.0
"""How long a unit stays open for a decision that is due soon, or for company where nothing in it is urgent."""
GRACE_MS = 8.0
"""How long a decision that is due waits for the next chunk after the last one: it then rides along. A transaction of
its own would keep that chunk waiting for 10 to 30 ms, and cost the broker as much as a full one."""
SMOOTHING = 0.2
"""What the newest commit weighs in how long one takes now."""
BACKOFF_SECONDS = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)


@dataclass(slots=True)
class Unit:
    """One unit of work: what a chunk or a tick reads, changes and says. Thrown away whole when it fails."""

    store: Store
    entities: dict[bytes, Any] = field(default_factory=dict)
    touched: dict[bytes, None] = field(default_factory=dict)
    outputs: list[Output] = field(default_factory=list)
    batch: Batch = field(default_factory=Batch)
    patient: int = 0
    """how many of the outputs nobody waits for"""

    @property
    def urgent(self) -> bool:
        """Whether somebody waits for what it says."""
        return len(self.outputs) > self.patient


@dataclass(slots=True, eq=False)
class Waiting:
    """A chunk until it is committed (True) or dead (False)."""

    chunk: Any
    done: asyncio.Future[bool]


class Handler(Protocol):
    """What the engine asks of the platform's logic. Called under the partition's lock, on the event loop."""

    def load(self, store: Store) -> None:
        """Rebuild everything held in memory from the store: after opening, and after a failed unit."""

    def reading(self, topic: str, behind: bool) -> None:
        """A chunk of this topic is about to be worked; `behind`: more of it can be read at once."""

    def decode(self, record: Any) -> tuple[bytes | None, Any]:
        """(entity key, what the record says); the key is None when no entity is concerned. Never raises."""

    def prepare(self, unit: Unit, keys: Sequence[bytes]) -> None:
        """Load these entities into the unit at once."""

    def take(self, unit: Unit, record: Any, key: bytes | None, said: Any, now_ms: float) -> None:
        """Aggregate one record; its outcome is counted. Never raises for bad data."""

    def due(self, unit: Unit, now_ms: float, limit: int) -> Sequence[Any]:
        """Decisions to make now, with their entities loaded into the unit."""

    def decide(self, unit: Unit, item: Any, now_ms: float) -> None:
        """Make one decision; its outputs go into the unit."""

    def close_unit(self, unit: Unit) -> bool:
        """Add entity records, store changes and the partition's own state last; False when nothing changed."""

    def next_ms(self, now_ms: float) -> float | None:
        """When something may be due, in monotonic milliseconds; None when only a record can change that."""

    def later_ms(self, now_ms: float) -> float | None:
        """When the next transaction that goes on now will be over, as far as is known; None when there is none, or
        when more than a unit's work is due."""


def monotonic_ms() -> float:
    """The clock pending work is measured with."""
    return time.monotonic() * 1000.0


class Partition:
    """The single writer of one partition number."""

    def __init__(
        self,
        number: int,
        store: Store,
        producer: TransactionalProducer,
        handler: Handler,
        topic_id: str,
        die: Callable[[Fenced | Lost], Awaitable[None]],
    ) -> None:
        self.number = number
        self.store = store
        self.handler = handler
        self.retries = 0
        self.last_error = ""
        self._producer = producer
        self._topic_id = topic_id
        self._die = die
        self._lock = asyncio.Lock()
        self._waiting: deque[Waiting] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"commit-{number}")
        self._wake = asyncio.Event()
        self._closed = False
        self._commit_ms = 0.0
        """how long a commit takes now"""
        self._fed = False
        """the last unit was a chunk's: another chunk may be on its way"""
        self._timer: asyncio.Task[None] | None = None
        handler.load(store)

    def start(self) -> None:
        """Begin to decide what time makes due."""
        self._timer = asyncio.create_task(self._tick(), name=f"tick-{self.number}")

    def wake(self) -> None:
        """Something outside changed (a reference): look whether decisions are due."""
        self._wake.set()

    async def work(self, chunk: Any) -> bool:
        """Work a chunk until it is committed. False when the chunk is dead: do not acknowledge it.

        Faust cancels actors while they work; a unit half done, with its write thread still running, must then end
        under the lock all the same, so it runs as a task of its own.
        """
        return await asyncio.shield(asyncio.ensure_future(self._chunk(chunk)))

    async def _chunk(self, chunk: Any) -> bool:
        mine = Waiting(chunk, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._wake.set()  # an open unit takes it
        async with self._lock:
            while not mine.done.done():
                await self._until_done(self._arrived(0))
        self._wake.set()
        return await mine.done

    def _arrived(self, size: int) -> list[Waiting]:
        """What waits and has room in a unit of so many records, first come first."""
        taken = []
        while self._waiting and size < ROOM:
            taken.append(self._waiting.popleft())
            taken[-1].chunk.arrived = self._wake.set
            size += len(taken[-1].chunk.records)
        return taken

    async def close(self) -> None:
        """Stop deciding, let the unit in work end, release producer and store."""
        self._closed = True
        self._wake.set()
        if self._timer is not None:
            await self._timer
        async with self._lock:
            self._thread.shutdown(wait=True)
            self._producer.close()
            self.store.close()

    async def _until_done(self, group: list[Waiting]) -> None:
        """Work these chunks, and what joins them, as one unit, until it is committed or none of them lives."""
        attempt, asked = 0, bool(group)
        while not self._closed:
            group[:] = [waiting for waiting in group if _lives(waiting)]
            if asked and not group:
                return
            try:
                await self._attempt(group)
                self.last_error = ""
                _end(group, True)
                return
            except (Fenced, Lost) as error:
                # A store that failed after the commit is behind its topic: worked on, it would give a revision twice.
                await self._die(error)
                break
            except Exception as error:
                # A system fault (broker, disk): never dead-lettered, retried whole (invariant 2).
                self.retries += 1
                self.last_error = f"{type(error).__name__}: {error}"
                log.warning("unit.retry", partition=self.number, attempt=attempt, error=self.last_error)
                await asyncio.sleep(BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)])
                attempt += 1
        _end(group, False)

    async def _attempt(self, group: list[Waiting]) -> None:
        """One unit; of one that failed nothing is left in memory."""
        try:
            await self._unit(group)
        except (Fenced, Lost):
            raise
        except Exception:
            self.handler.load(self.store)
            raise

    async def _unit(self, group: list[Waiting]) -> None:
        unit = Unit(self.store)
        self._fed = bool(group)
        if group:
            for waiting in group:
                await self._take(unit, waiting.chunk, waiting.chunk.records)
            await self._join(unit, group)
        await self._decide(unit)
        if self.handler.close_unit(unit):
            await self._commit(unit)

    async def _take(self, unit: Unit, chunk: Any, records: Sequence[Any]) -> None:
        self.handler.reading(chunk.tp.topic, chunk.behind > 0)
        for start in range(0, len(records), SLICE):
            self._aggregate(unit, records[start : start + SLICE])
            await asyncio.sleep(0)

    async def _join(self, unit: Unit, group: list[Waiting]) -> None:
        """Keep the unit open for what is due soon. A dead chunk is worked to its end: replay is a no-op."""
        closing, deciding = monotonic_ms() + JOIN_MS, 0.0
        while not self._closed and all(each.chunk.live and not each.chunk.behind for each in group):
            self._wake.clear()
            if await self._grow(unit, group):
                continue
            now = monotonic_ms()
            due = self.handler.next_ms(now) or math.inf
            if not deciding and due <= now + JOIN_MS:
                # Counted from the first decision, not from the answers it came among.
                deciding = now + JOIN_MS
            if due <= now:
                later = self.handler.later_ms(now) or math.inf
                if later > min(deciding, now + self._commit_ms):
                    return
                # Committed now, this unit would keep that decision waiting for longer than it waits for it.
                due = later
            elif due > deciding if deciding else unit.urgent or now >= closing:
                return
            await self._woken(min(due, deciding or closing))

    async def _grow(self, unit: Unit, group: list[Waiting]) -> bool:
        """Take in what has arrived since, of the unit's chunks and of others; False when nothing has."""
        more = [(each.chunk, records) for each in group if (records := each.chunk.more())]
        joined = self._arrived(sum(len(each.chunk.records) for each in group))
        group += joined
        more += [(each.chunk, each.chunk.records) for each in joined]
        for chunk, records in more:
            await self._take(unit, chunk, records)
        return bool(more)

    def _aggregate(self, unit: Unit, records: Sequence[Any]) -> None:
        handler, now = self.handler, monotonic_ms()
        said = [handler.decode(record) for record in records]
        handler.prepare(unit, [key for key, _ in said if key is not None])
        for record, (key, what) in zip(records, said, strict=True):
            handler.take(unit, record, key, what, now)

    async def _decide(self, unit: Unit) -> None:
        now = monotonic_ms()
        items = self.handler.due(unit, now, DECISIONS)
        for index, item in enumerate(items, 1):
            self.handler.decide(unit, item, now)
            if index % SLICE == 0:
                await asyncio.sleep(0)

    async def _commit(self, unit: Unit) -> None:
        loop, began = asyncio.get_running_loop(), monotonic_ms()
        offset = await loop.run_in_executor(self._thread, self._producer.write, unit.outputs)
        self._commit_ms += SMOOTHING * (monotonic_ms() - began - self._commit_ms)
        if offset is not None:
            # The state record is the unit's last output, so its offset closes the unit in topic `entity`.
            checkpoint = Checkpoint(self._topic_id, offset + 1, time.time_ns() // 1_000_000)
            unit.batch.put_checkpoint(checkpoint)
        self.store.apply(unit.batch)

    async def _tick(self) -> None:
        while not self._closed:
            await self._sleep()
            if self._fed and self._is_due():
                self._wake.clear()
                await self._woken(monotonic_ms() + GRACE_MS)
            if self._is_due():
                async with self._lock:
                    await self._decide_due()

    async def _decide_due(self) -> None:
        """Under the lock: what is due still, and the chunks that wait."""
        group = self._arrived(0)
        if group or self._is_due():
            await self._until_done(group)

    def _is_due(self) -> bool:
        now = monotonic_ms()
        due = self.handler.next_ms(now)
        return not self._closed and due is not None and due <= now

    async def _sleep(self) -> None:
        self._wake.clear()
        now = monotonic_ms()
        due = self.handler.next_ms(now)
        if due is not None and due <= now:
            await asyncio.sleep(0)
            return
        await self._woken(due)

    async def _woken(self, until: float | None) -> None:
        """Something happened, or it is time (monotonic milliseconds; None: never)."""
        timeout = None if until is None else (until - monotonic_ms()) / 1000.0
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), timeout)


def _lives(waiting: Waiting) -> bool:
    """A dead chunk's records are read again by whom they belong to now."""
    if not waiting.chunk.live:
        _end([waiting], False)
    return bool(waiting.chunk.live)


def _end(group: Sequence[Waiting], committed: bool) -> None:
    for waiting in group:
        if not waiting.done.done():
            waiting.done.set_result(committed)
