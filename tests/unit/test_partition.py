"""The engine's own Partition around the decide handler: retried whole, fenced, dead chunks, its checkpoint."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from connectors.envelope import Change as Row
from connectors.envelope import Source
from streams.agents.decide import Decide
from streams.agents.state import PartitionState
from streams.agents.state import decode as decode_state
from streams.engine.memory import MemoryProducer, MemoryReferences, Record
from streams.engine.partition import ROOM, Partition
from streams.engine.producer import Fenced, Output, Refused
from streams.engine.store import Store
from streams.operate.sandbox import context
from tests.fixtures.decider import SHARED, TOPIC, Chunk, person, views
from tests.fixtures.waiting import wait_until
from tests.world import belongings, row

pytestmark = pytest.mark.usefixtures("logs")


# ---- the real partition around the handler ----


def with_partition(folder: Path, story: Callable[[Partition, MemoryProducer, Source, list[str]], Any]) -> Any:
    """Run a story against the engine's own Partition, with a producer in memory."""

    async def play() -> Any:
        producer, deaths = MemoryProducer(), []

        async def die(cause: Exception) -> None:
            deaths.append(str(cause))

        handler = Decide(0, context(MemoryReferences()))
        store = Store(folder / "store", SHARED)
        partition = Partition(0, store, producer, handler, "topic", die)  # type: ignore[arg-type]
        partition.start()
        try:
            return await story(partition, producer, Source("credentialing"), deaths)
        finally:
            await partition.close()

    return asyncio.run(play())


def chunk_of(source: Source, *rows: Row) -> Chunk:
    messages = source.transaction(rows)
    return Chunk([Record(TOPIC, 0, n, k, v, [*h]) for n, (k, v, h) in enumerate(messages)])


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition, 10)


def test_a_refused_chunk_is_worked_again_whole_and_decided_by_time(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        producer.failures.extend([Refused("away"), OSError("disk")])
        assert await partition.work(chunk_of(source, person(), belongings()[0]))
        assert partition.retries == 2
        assert partition.last_error == ""
        await until(lambda: any(views(tx) for tx in producer.transactions))
        state = decode_state(partition.store.state() or b"")
        assert state.consumed == {TOPIC: 2}
        assert state.outcomes == {TOPIC: {"applied": 2}}
        assert deaths == []

    with_partition(tmp_path, story)


def test_a_fenced_partition_leaves_without_having_worked_the_chunk(tmp_path: Path) -> None:
    """The paused worker that wakes after its successor took over: nothing is acknowledged, the process goes."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        producer.failures.append(Fenced("concord-0: fenced"))
        assert not await partition.work(chunk_of(source, person()))
        assert deaths == ["concord-0: fenced"]
        assert partition.store.state() is None
        assert producer.transactions == []

    with_partition(tmp_path, story)


def test_a_store_that_fails_behind_the_commit_is_worked_no_further(tmp_path: Path) -> None:
    """It lacks what its topic has: the same chunk worked on it again would give a revision another content."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        commit = producer.write

        def commit_and_fail(outputs: Sequence[Output]) -> int | None:
            offset = commit(outputs)
            partition.store.close()
            return offset

        producer.write = commit_and_fail  # type: ignore[method-assign]
        assert not await partition.work(chunk_of(source, person()))
        assert len(producer.transactions) == 1
        assert deaths[0].startswith("store ")

    with_partition(tmp_path, story)


def test_a_dead_chunk_is_not_worked(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        chunk = chunk_of(source, person())
        chunk.live = False
        assert not await partition.work(chunk)
        assert producer.transactions == []

    with_partition(tmp_path, story)


def test_the_checkpoint_stands_behind_the_units_last_output(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        await partition.work(chunk_of(source, person()))
        checkpoint = partition.store.checkpoint()
        assert checkpoint is not None
        assert (checkpoint.topic_id, checkpoint.offset) == ("topic", sum(map(len, producer.transactions)))

    with_partition(tmp_path, story)


def test_what_follows_of_a_transaction_joins_the_unit_it_began(tmp_path: Path) -> None:
    """Aggregating and deciding cost one Kafka transaction while nothing is behind."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        whole = chunk_of(source, person(), *belongings())
        begun = Chunk(whole.records[:2])
        working = asyncio.ensure_future(partition.work(begun))
        await asyncio.sleep(0)
        begun.waiting = whole.records[2:]
        begun.arrived()
        assert await working
        assert len(begun.records) == len(whole.records)
        assert len(producer.transactions) == 1
        assert any(output.topic == "finding" for output in producer.transactions[0]), "decided in it"
        assert partition.store.dirty() == []

    with_partition(tmp_path, story)


def slow(producer: MemoryProducer, seconds: float) -> None:
    """As a broker that has much to do."""
    commit = producer.write

    def commit_late(outputs: Sequence[Output]) -> int | None:
        time.sleep(seconds)
        return commit(outputs)

    producer.write = commit_late  # type: ignore[method-assign]


@pytest.mark.parametrize(("commit_s", "transactions"), [(0.0, 2), (0.3, 1)])
def test_what_is_over_before_a_commit_would_be_is_decided_in_one_with_what_is_over_now(
    tmp_path: Path, commit_s: float, transactions: int
) -> None:
    """A newer transaction ends the one before; it lingers for a moment, while a busy broker commits for longer."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        slow(producer, commit_s)
        await partition.work(chunk_of(source, row("organization", org_id="organization-0")))
        before = len(producer.transactions)
        older = chunk_of(source, row("organization", org_id="organization-1"))
        newer = chunk_of(source, row("organization", org_id="organization-2"))
        assert await partition.work(Chunk(older.records + newer.records))
        await until(lambda: partition.store.dirty() == [])
        assert len(producer.transactions) - before == transactions

    with_partition(tmp_path, story)


def test_a_unit_that_fails_is_worked_again_with_what_had_joined_it(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        producer.failures.append(Refused("away"))
        whole = chunk_of(source, person(), *belongings())
        begun = Chunk(whole.records[:1], waiting=whole.records[1:])
        assert await partition.work(begun)
        state = decode_state(partition.store.state() or b"")
        assert state.outcomes == {TOPIC: {"applied": len(whole.records)}}

    with_partition(tmp_path, story)


def test_a_chunk_with_more_behind_it_waits_for_nothing(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        assert await partition.work(Chunk(chunk_of(source, person()).records, behind=5))
        assert len(producer.transactions) == 1
        assert partition.store.dirty() != []

    with_partition(tmp_path, story)


def test_chunks_that_wait_together_are_one_transaction_and_each_is_acknowledged(tmp_path: Path) -> None:
    """Five systems answer at once: five transactions in a row would make each wait for the others."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        records = chunk_of(source, person(), *belongings()).records
        chunks = [Chunk([record], behind=1) for record in records]
        assert all(await asyncio.gather(*map(partition.work, chunks)))
        assert len(producer.transactions) == 2, "the first one's, and that of all that waited for it"
        assert state_of(partition).outcomes == {TOPIC: {"applied": len(records)}}

    with_partition(tmp_path, story)


def test_a_chunk_that_dies_among_others_is_not_acknowledged_and_holds_up_none(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        first, second = (Chunk([record], behind=1) for record in chunk_of(source, person(), person()).records)
        first.live = False
        assert list(await asyncio.gather(partition.work(first), partition.work(second))) == [False, True]
        assert state_of(partition).outcomes == {TOPIC: {"applied": 1}}

    with_partition(tmp_path, story)


def test_a_full_unit_takes_no_further_chunk(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        full, other = (Chunk(chunk_of(source, person()).records * ROOM, behind=1) for _ in "ab")
        assert all(await asyncio.gather(partition.work(full), partition.work(other)))
        assert len(producer.transactions) == 2

    with_partition(tmp_path, story)


def test_what_nobody_waits_for_waits_for_company(tmp_path: Path) -> None:
    """Answers of three systems come one after the other: each in a transaction of its own would hold up the changes."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        whole = chunk_of(source, person(), *belongings())
        assert await partition.work(whole)
        done = len(producer.transactions)
        replayed = asyncio.ensure_future(partition.work(Chunk(whole.records)))
        for _ in range(50):  # longer than a unit takes that closes at once
            await asyncio.sleep(0)
        assert len(producer.transactions) == done
        assert await partition.work(chunk_of(source, person()))
        assert await replayed
        assert len(producer.transactions) == done + 1

    with_partition(tmp_path, story)


def test_a_chunk_that_waits_rides_along_with_what_time_made_due(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        async with partition._lock:
            working = asyncio.ensure_future(partition.work(chunk_of(source, person())))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await partition._decide_due()
            assert len(producer.transactions) == 1
        assert await working, "acknowledged by who took it along"
        assert len(producer.transactions) == 1

    with_partition(tmp_path, story)


def state_of(partition: Partition) -> PartitionState:
    """What it has counted."""
    return decode_state(partition.store.state() or b"")
