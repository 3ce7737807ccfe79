"""Faust's Kafka driver made safe and fast: `cdc://` delivers chunks, and commits what was acknowledged.

    broker -> fetch (thread) -> Intake (a backlog a partition) -> Consumer.getmany -> conductor -> agent
           <- commit         <- Intake (acknowledged prefix)   <- event.ack()

A chunk is up to `Settings.chunk` consecutive records of one partition, delivered as one Faust event, so
Faust's cost an event (100-300 us) is paid once a chunk. Agents look like this, and in no other way:

    @app.agent(app.topic(*names), isolated_partitions=True)
    async def decide(stream):
        async for event in stream.noack().events():
            await work(event.value)     # a Chunk; never raises, retries by itself until not chunk.live
            event.ack()                 # only now may the offset move (Invariant 2)

Guarantees: order within a partition (Invariant 1); what is committed was acknowledged, strictly in order, or
is a transaction marker; a partition whose agent is stuck, or whose state is not open yet (`Gate`), holds up
no other; an offset outside the log is told to the gate. Input is at least once: after a kill the records
since the last commit come again.

What Faust acknowledges by itself (an event it skips while rebalancing, an event whose agent raised) moves
nothing here: without `noack()` and `event.ack()` a partition stops after `in_flight` chunks, and loses none.

It never touches the state stores and never decides what a failure means: that is the engine's worker.
The private members of Faust it relies on are pinned in tests/contract/test_faust_pins.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator
from time import monotonic
from typing import Any, cast

from faust.transport.consumer import CONSUMER_PARTITIONS_REVOKED, CONSUMER_WAIT_EMPTY
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT, ConsumerMessage
from mode import Service

from streams.engine.copartition import check_copartitioned
from streams.engine.fetch import ConsumerThread, Fetched, Start
from streams.engine.gate import Gap, Gate, OpenGate, Settings
from streams.engine.intake import Chunk, Intake, Progress
from streams.errors import InvalidInput

__all__ = ["Chunk", "Gap", "Gate", "OpenGate", "Progress", "Settings", "Transport", "configure", "register"]

SCHEME = "cdc"
GATE_POLL = 0.05
"""Seconds between two questions to a gate that keeps a partition shut."""


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Delivers chunks from the intake, and commits what the intake says is acknowledged."""

    _thread: ConsumerThread
    transport: Transport

    def __init__(self, transport: Transport, *args: Any, **kwargs: Any) -> None:
        self._settings = transport.settings
        _check_queues(transport.app, self._settings)
        super().__init__(transport, *args, **kwargs)
        self._intake = Intake(self._settings.chunk, self._settings.in_flight)
        self._reading: asyncio.Future[Fetched] | None = None
        self._wanted: frozenset[TP] | None = None
        self._room: asyncio.Future[None] | None = None
        self._give_up_at: float | None = None

    def _new_consumer_thread(self) -> ConsumerThread:
        thread = ConsumerThread(self, loop=self.loop, beacon=self.beacon)
        thread.settings = self.transport.settings
        return thread

    # ---- delivering ----

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """One round of Faust's drain loop: read, or notice new room, and deliver what is due."""
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        if self.should_stop:
            return
        await self._read(timeout)
        generation = self.app.consumer_generation_id
        for chunk in self._intake.due(self._open()):
            # Faust's drain loop drops what it takes for old; ours can only be newer (see Intake).
            self._read_offset[chunk.tp] = None
            yield chunk.tp, _message(chunk, generation)
            if self.should_stop or not self.flow_active or generation != self.app.consumer_generation_id:
                return

    async def _read(self, timeout: float) -> None:
        """Wait for records or for room, whichever comes first. A read that goes on serves the next round."""
        opened = self._open()
        self._adjust(opened)
        reading = self._reading = self._reading or self._thread.read()
        room = self._room = self.loop.create_future()
        shut = len(opened) < len(self._get_active_partitions())
        await asyncio.wait(
            {reading, room}, timeout=min(timeout, GATE_POLL) if shut else timeout,
            return_when=asyncio.FIRST_COMPLETED,
        )  # fmt: skip
        if reading.done() and self._reading is reading:  # else a seek came between: these records come again
            self._reading = None
            await self._accept(reading.result())

    async def _accept(self, fetched: Fetched) -> None:
        for gap in fetched.gaps:
            await self._found(gap)
        for tp, read in fetched.reads.items():
            self._intake.accept(tp, read.records, read.position, read.highwater)

    def _open(self) -> frozenset[TP]:
        ready = self.transport.gate.ready
        return frozenset(tp for tp in self._get_active_partitions() if ready(tp.partition))

    def _adjust(self, opened: frozenset[TP]) -> None:
        wanted = frozenset(tp for tp in opened if self._intake.wants(tp))
        if wanted != self._wanted:
            self._wanted = wanted
            self._thread.want(wanted)

    def on_buffer_full(self, tp: TP) -> None:
        """Nothing: the intake bounds what is out; Faust would stop fetching for a second."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing, see `on_buffer_full`."""

    # ---- acknowledging and committing ----

    def ack(self, message: ConsumerMessage) -> bool:
        """The agent is done with a chunk (Invariant 2). On the main loop only."""
        if message.acked:
            return False
        message.acked = True
        self._unacked_messages.discard(message)
        # Faust also acknowledges what it throws away unseen while it rebalances: that isn't tracked yet.
        if message.tracked and self._intake.ack(message.value):
            self._wake()
        return bool(message.tracked)

    def _wake(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        return (tp for tp in list(self._intake) if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._intake.committable(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: an offset that holds no record needs no acknowledgement."""

    @Service.transitions_to(CONSUMER_WAIT_EMPTY)  # type: ignore[untyped-decorator]
    async def wait_empty(self) -> None:
        """Let the chunks in work finish, for a bounded time, and commit the acknowledged prefix."""
        deadline = self._deadline()
        while self._working() and not self.app.crashed and monotonic() < deadline:
            await asyncio.sleep(0.01)
        try:  # aiokafka tries for ever while the broker is away
            async with asyncio.timeout(max(deadline - monotonic(), 1.0)):
                await self.maybe_wait_for_commit_to_finish()  # begun, maybe, before the last acknowledgement
                await self.commit_and_end_transactions()
        except TimeoutError:
            self.log.warning("transport: offsets not committed in time; their records will come again")

    def _working(self) -> bool:
        return any(not m.acked and m.value.live for m in self._unacked_messages)

    def _deadline(self) -> float:
        # A stopping Faust waits twice, before and after its agents are stopped: the bound holds for both.
        deadline = self._give_up_at or monotonic() + self._settings.drain
        if self.app.should_stop:
            self._give_up_at = deadline
        return deadline

    # ---- rebalancing ----

    @Service.transitions_to(CONSUMER_PARTITIONS_REVOKED)  # type: ignore[untyped-decorator]
    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop the flow, finish, commit, and only then forget: stock Faust forgets first and replays more."""
        if self.app.should_stop:  # Faust would close the client under the commit of its own stop
            await self.wait_empty()
            return
        self.stop_flow()  # Faust leaves it on when this worker had no partition
        if self._active_partitions is not None:
            self._active_partitions.difference_update(revoked)
        self._paused_partitions.difference_update(revoked)
        await self._on_partitions_revoked(revoked)
        self._forget()
        await self._tell_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Tell the gate before Faust starts actors and lets records flow."""
        if self.app.should_stop:
            return
        await self._guard(self._check_and_tell(assigned))
        await super().on_partitions_assigned(assigned, generation_id)

    async def _check_and_tell(self, assigned: set[TP]) -> None:
        if self._settings.copartitioned:
            check_copartitioned(self._thread.subscription(), assigned)
        await self.transport.gate.assigned(_numbers(assigned))

    async def _tell_revoked(self, revoked: Iterable[TP]) -> None:
        if revoked:
            await self._guard(self.transport.gate.revoked(_numbers(revoked)))

    async def _guard(self, told: Coroutine[Any, Any, None]) -> None:
        # aiokafka would log the exception and go on with a partition whose store is in doubt.
        try:
            await told
        except Exception as exc:
            await self.app.crash(exc)

    async def perform_seek(self) -> None:
        """Begin where the group's commits end; Faust calls it after each assignment, before records flow."""
        starts = await self._thread.rewind()
        self._forget()
        for tp, start in starts.items():
            await self._begin(tp, start)

    async def _begin(self, tp: TP, start: Start) -> None:
        self._committed_offset[tp] = start.committed
        self._intake.start(tp, start.position)
        if start.gap:
            await self._found(start.gap)

    async def _found(self, gap: Gap) -> None:
        self._committed_offset[gap.tp] = None  # what is committed from here on may be a lower offset
        await self._guard(self.transport.gate.gap(gap))

    def _forget(self) -> None:
        self._intake.clear()
        if self._reading is not None:  # what it brings comes again; nobody waits for it any more
            self._reading.add_done_callback(lambda read: read.cancelled() or read.exception())
        self._reading = self._wanted = None
        for known in (self._read_offset, self._committed_offset):
            known.clear()

    # ---- stopping and reporting ----

    async def on_stop(self) -> None:
        """Agents are stopped already: commit, then let the gate close what is open."""
        held = set(self._intake)
        await super().on_stop()
        self._forget()
        await self._tell_revoked(held)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing, see `ConsumerThread.verify_event_path`."""

    async def progress(self) -> dict[TP, Progress]:
        """How far each partition is, with ends asked of the broker."""
        return self._intake.progress(await self._thread.ends())


class Transport(driver.Transport):  # type: ignore[misc]
    """The driver behind `cdc://`; one object an app."""

    Consumer = Consumer
    settings: Settings = Settings()
    gate: Gate = OpenGate()

    async def progress(self) -> dict[TP, Progress]:
        """How far each partition of this worker is, for its status page."""
        return await cast(Consumer, self.app.consumer).progress()


def register() -> None:
    """Make `cdc://host:port` a broker URL Faust knows."""
    TRANSPORTS.aliases[SCHEME] = f"{Transport.__module__}:{Transport.__qualname__}"


def configure(app: AppT, *, gate: Gate | None = None, settings: Settings | None = None) -> Transport:
    """Give this app's transport its gate and settings. After the app is made, before it starts."""
    transport = app.transport
    if not isinstance(transport, Transport):
        raise InvalidInput("transport.scheme", "the app's broker isn't a cdc:// URL", "use cdc://host:port")
    transport.settings = settings or transport.settings
    transport.gate = gate or transport.gate
    return transport


def _message(chunk: Chunk, generation: int) -> ConsumerMessage:
    last, tp = chunk.records[-1], chunk.tp
    return ConsumerMessage(
        tp.topic, tp.partition, last.offset, last.timestamp / 1000.0, last.timestamp_type,
        (), None, chunk, None, 0, 0, tp, generation_id=generation,
    )  # fmt: skip


def _numbers(tps: Iterable[TP]) -> frozenset[int]:
    return frozenset(tp.partition for tp in tps)


def _check_queues(app: AppT, settings: Settings) -> None:
    """The conductor must find room for every chunk that may be out, or one partition blocks them all."""
    if app.conf.stream_buffer_maxsize <= settings.in_flight:
        raise InvalidInput(
            "transport.buffer",
            f"a buffer of {app.conf.stream_buffer_maxsize} is too small for {settings.in_flight} chunks",
            "set stream_buffer_maxsize=8 on the app",
        )
