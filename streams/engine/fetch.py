"""Reading from Kafka: the thread with the aiokafka consumer, its own event loop and heartbeats.

Below the transport, which asks it for records. It decides where reading starts, and never lets aiokafka
choose: an offset that the log does not hold any more comes back as a `Gap`, never as a silent reset.
What a partition must not bring now is paused in aiokafka, so nothing unread lies in its prefetch buffer:
aiokafka holds back the fetches of a whole node while a buffered partition waits to be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from mode.threads import QueueServiceThread

from streams.engine.gate import Gap, Settings

BELOW_LONG_POLL = 0.2
"""Seconds a read waits for records: what a rebalance at most waits for the read before it may seek."""
FETCH_BYTES = 128 * 1024
"""What one answer brings of one partition, some hundred records: it lies in memory until all of it is worked, and what
is left of it when the partition is paused is thrown away and fetched again, its buffer freed by a full collection only.
With 4 MiB two thirds of what a worker fetched while it caught up came twice, and 100 to 200 MB of it lay about."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one read brought from one partition."""

    records: Sequence[ConsumerRecord]
    position: int
    """Where the next read begins: behind the records and the transaction markers that followed them."""
    highwater: int


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one read brought."""

    reads: Mapping[TP, Read] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Where reading of a partition begins."""

    position: int
    committed: int | None
    gap: Gap | None = None


def start_at(tp: TP, committed: int | None, earliest: int, latest: int) -> Start:
    """The committed offset; without one, or with one outside the log, the earliest record there is."""
    if committed is None:
        return Start(earliest, None)
    if earliest <= committed <= latest:
        return Start(committed, committed)
    return Start(earliest, None, Gap(tp, committed, earliest))


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's consumer thread with a read of its own: paused partitions, positions, gaps."""

    settings: Settings
    _seek_lock: asyncio.Lock
    _told: dict[TopicPartition, tuple[int, int]]
    """where each partition stood when that was told last: most of a read's partitions have brought nothing"""

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        # Faust's own hard-codes three things we can't live with: read_uncommitted; a long poll of 1.5 s,
        # which a partition that was full has to sit out before it is fetched again; and aiokafka's
        # round-robin assignor whenever there are no tables, which spreads partition p of two topics over
        # two workers as soon as partitions and workers don't divide evenly.
        conf = self.app.conf
        self._assignor = self.app.assignor
        self._seek_lock = asyncio.Lock()
        self._told = {}
        auth = driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context)
        return AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=_ms(self.settings.long_poll),
            max_partition_fetch_bytes=FETCH_BYTES,
            max_poll_interval_ms=_ms(conf.broker_max_poll_interval),
            request_timeout_ms=_ms(conf.broker_request_timeout),
            session_timeout_ms=_ms(conf.broker_session_timeout),
            rebalance_timeout_ms=_ms(conf.broker_rebalance_timeout),
            heartbeat_interval_ms=_ms(conf.broker_heartbeat_interval),
            check_crcs=conf.broker_check_crcs,
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **auth,
        )

    async def on_thread_stop(self) -> None:
        """Leave the group, but not at any price: a broker that is away must not keep us."""
        await QueueServiceThread.on_thread_stop(self)
        if self._consumer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._consumer.stop(), self.settings.drain)

    # ---- called from the main loop ----

    def read(self) -> asyncio.Future[Fetched]:
        """Start a read; it goes on in the thread whatever the caller does meanwhile."""
        return asyncio.wrap_future(self._submit(self._read()))

    async def rewind(self) -> dict[TP, Start]:
        """Seek every assigned partition to where it has to go on."""
        return await asyncio.wrap_future(self._submit(self._rewind()))

    async def ends(self) -> dict[TP, int]:
        """The last stable offset of each assigned partition, asked of the broker."""
        return await asyncio.wrap_future(self._submit(self._ends()))

    def subscription(self) -> frozenset[str]:
        """The topics of this worker."""
        return frozenset(self._ensure_consumer().subscription())

    def want(self, wanted: frozenset[TP]) -> None:
        """From now on fetch these partitions only."""
        self.thread_loop.call_soon_threadsafe(self._pause_all_but, wanted)

    def _submit(self, coroutine: Any) -> Future[Any]:
        # Not Faust's method queue: it has two workers, and a commit must not wait for a read.
        return asyncio.run_coroutine_threadsafe(coroutine, self.thread_loop)

    # ---- in the thread ----

    async def _read(self) -> Fetched:
        async with self._seek_lock:
            consumer = self._ensure_consumer()
            try:
                records = await consumer.getmany(
                    timeout_ms=_ms(BELOW_LONG_POLL), max_records=self.settings.chunk
                )
            except OffsetOutOfRangeError as exc:
                return Fetched(gaps=[await self._resume_after(tp, at) for tp, at in exc.args[0].items()])
            except NoOffsetForPartitionError:
                return Fetched()  # asked for by aiokafka before `_rewind` had placed it
            return Fetched(dict(self._news(records)))

    def _news(self, records: Mapping[TopicPartition, Sequence[ConsumerRecord]]) -> Iterator[tuple[TP, Read]]:
        # Nothing is awaited between the drain and this: position and records belong together.
        for tp in self._ensure_consumer().assignment():
            state = self._state(tp)
            if not state.has_valid_position:
                continue
            where = (state.position, state.lso or 0)
            if tp in records or self._told.get(tp) != where:
                self._told[tp] = where
                yield ensure_TP(tp), Read(records.get(tp, ()), *where)

    def _state(self, tp: TopicPartition) -> Any:
        return self._ensure_consumer()._subscription.subscription.assignment.state_value(tp)

    async def _resume_after(self, tp: TopicPartition, wanted: int) -> Gap:
        consumer = self._ensure_consumer()
        earliest = (await consumer.beginning_offsets([tp]))[tp]
        consumer.seek(tp, earliest)
        return Gap(ensure_TP(tp), wanted, earliest)

    async def _rewind(self) -> dict[TP, Start]:
        # The lock: records drained while the seeks run would be delivered again, or out of order.
        async with self._seek_lock:
            consumer = self._ensure_consumer()
            self._told.clear()  # whoever seeks has forgotten what it was told
            tps = list(consumer.assignment())
            earliest, latest, *committed = await asyncio.gather(
                consumer.beginning_offsets(tps),
                consumer.end_offsets(tps),
                *(consumer.committed(tp) for tp in tps),
            )
            starts = {
                tp: start_at(ensure_TP(tp), at, earliest[tp], latest[tp])
                for tp, at in zip(tps, committed, strict=True)
            }
            for tp, start in starts.items():
                consumer.seek(tp, start.position)
            return {ensure_TP(tp): start for tp, start in starts.items()}

    async def _ends(self) -> dict[TP, int]:
        consumer = self._ensure_consumer()
        if not (assigned := list(consumer.assignment())) or consumer._fetcher is None:
            return {}  # not in the group yet: nothing is known, which is not the same as no lag
        ends = await consumer.end_offsets(assigned)
        return {ensure_TP(tp): end for tp, end in ends.items()}

    def _pause_all_but(self, wanted: frozenset[TP]) -> None:
        consumer = self._ensure_consumer()
        paused = consumer.paused()
        for tp in consumer.assignment():
            if ensure_TP(tp) not in wanted and tp not in paused:
                consumer.pause(tp)
            elif ensure_TP(tp) in wanted and tp in paused:
                consumer.resume(tp)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust's own check takes a partition that waits for its state, or for work, for a fault.

        Progress and lag are ours to report (`Transport.progress`).
        """


def _ms(seconds: float) -> int:
    return int((seconds or 0) * 1000)
