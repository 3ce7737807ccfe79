"""The chunk transport on a real Kafka: order, commits, stuck partitions, rebalances, stops, kills, gaps."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka.consumer.fetcher import FetchResult
from faust.types import TP

from streams.engine.fetch import FETCH_BYTES
from streams.engine.transport import Gap, Settings
from tests.fixtures.faust_apps import (
    RecordingGate,
    Topics,
    Worker,
    WorkerProcess,
    make_worker,
    running,
    until,
)

MakeTopics = Callable[..., Topics]
SMALL = Settings(chunk=10, drain=2.0)


def start(topics: Topics, **kwargs: Any) -> Any:
    return running(topics.bootstrap, topics.group, topics.names, **kwargs)


def test_every_record_comes_once_and_in_order(make_topics: MakeTopics) -> None:
    topics = make_topics(3, 3)
    topics.fill({(t, p): 700 for t in (0, 1) for p in (0, 1, 2)})

    async def scenario() -> None:
        async with start(topics, settings=Settings(chunk=64)) as worker:
            await until(lambda: len(worker.seen) >= 4200)
        for name in topics.names:
            for partition in range(3):
                assert worker.offsets(name, partition) == list(range(700))
        assert all(0 < len(chunk) <= 64 for chunk in worker.chunks)
        assert topics.committed(3) == {(t, p): 700 for t in (0, 1) for p in (0, 1, 2)}

    asyncio.run(scenario())


def test_only_the_acknowledged_prefix_is_committed_and_the_rest_comes_again(make_topics: MakeTopics) -> None:
    """Invariant 2: the third chunk is acknowledged, the second never is."""
    topics = make_topics(1)
    topics.fill({(0, 0): 40})

    async def forgets_the_second(worker: Worker, event: Any) -> None:
        worker.note(event.value)
        if event.value.records[0].offset != 10:
            event.ack()

    async def scenario() -> None:
        async with start(topics, settings=SMALL, work=forgets_the_second) as worker:
            await until(lambda: len(worker.seen) == 30)
            await until(lambda: topics.committed(1) == {(0, 0): 10})
        assert topics.committed(1) == {(0, 0): 10}
        async with start(topics, settings=SMALL) as successor:
            await until(lambda: len(successor.seen) == 30)
        assert successor.offsets(topics.names[0], 0) == list(range(10, 40))

    asyncio.run(scenario())


def test_an_agent_that_raises_moves_no_offset(make_topics: MakeTopics) -> None:
    """Stock Faust acknowledges and skips what its agent raised on."""
    topics = make_topics(1)
    topics.fill({(0, 0): 30})

    async def breaks(worker: Worker, event: Any) -> None:
        worker.note(event.value)
        raise RuntimeError("broken on purpose")

    async def scenario() -> None:
        async with start(topics, settings=SMALL, work=breaks) as worker:
            await until(lambda: len(worker.seen) == 20)
        assert topics.committed(1).get((0, 0), 0) == 0
        async with start(topics, settings=SMALL) as successor:
            await until(lambda: len(successor.seen) == 30)

    asyncio.run(scenario())


def test_a_stuck_partition_holds_up_no_other_and_costs_no_rebalance(make_topics: MakeTopics) -> None:
    """For longer than the session timeout: heartbeats go on; then its backlog comes in order, once."""
    topics = make_topics(2, 2)
    stuck = TP(topics.names[0], 0)
    topics.fill({(0, 0): 500, (0, 1): 500})

    async def scenario() -> None:
        async with start(topics, settings=SMALL) as worker:
            worker.stuck.add(stuck)
            await until(lambda: len(worker.offsets(topics.names[0], 1)) == 500)
            rebalances = worker.app.rebalancing_count
            await tick_past_the_session_timeout(topics, worker)
            assert worker.app.rebalancing_count == rebalances
            assert worker.started.count(stuck) == 1
            worker.stuck.clear()
            await until(lambda: len(worker.offsets(*stuck)) >= 500)
        assert worker.offsets(*stuck) == list(range(500))
        assert topics.committed(2)[0, 0] == 500

    asyncio.run(scenario())


async def tick_past_the_session_timeout(topics: Topics, worker: Worker) -> None:
    """Records for two partitions, again and again, each seen before the next."""
    loop, ticks = asyncio.get_running_loop(), 0
    end = loop.time() + worker.app.conf.broker_session_timeout + 1

    def caught_up() -> bool:
        clock, other = worker.offsets(topics.names[1], 0), worker.offsets(topics.names[0], 1)
        return (len(clock), len(other)) == (ticks, 500 + ticks)

    while loop.time() < end:
        ticks += 1
        topics.fill({(1, 0): 1, (0, 1): 1})
        await until(caught_up)


def test_little_lies_in_memory_unread_however_much_waits(make_topics: MakeTopics) -> None:
    """What is fetched and not read is paid for twice: it lies there, and a pause throws it away."""
    topics = make_topics(2)
    producer = topics.producer(**{"batch.size": 16_384})
    for number in range(8000):
        producer.produce(topics.names[0], os.urandom(1000), partition=number % 2)
    assert producer.flush(60) == 0
    unread = []

    async def look(worker: Worker, event: Any) -> None:
        unread.append(bytes_unread(worker))
        await worker.work(event)

    async def scenario() -> None:
        async with start(topics, settings=Settings(chunk=50), work=look) as worker:
            await until(lambda: len(worker.seen) == 8000)

    asyncio.run(scenario())
    assert 0 < max(unread) <= 2 * FETCH_BYTES


def bytes_unread(worker: Worker) -> int:
    """What aiokafka holds of all partitions; its thread changes it meanwhile."""
    held = list(worker.app.consumer._thread._consumer._fetcher._records.values())
    batches = [result._partition_records for result in held if isinstance(result, FetchResult)]
    return sum(found._records.size_in_bytes() for found in batches if found is not None)


def test_a_partition_whose_gate_is_shut_waits_while_the_others_flow(make_topics: MakeTopics) -> None:
    topics = make_topics(2)
    topics.fill({(0, 0): 25, (0, 1): 25})
    gate = RecordingGate(shut={0})

    async def scenario() -> None:
        async with start(topics, gate=gate) as worker:
            await until(lambda: len(worker.offsets(topics.names[0], 1)) == 25)
            assert gate.told == [("assigned", frozenset({0, 1}))]
            assert worker.offsets(topics.names[0], 0) == []
            gate.shut.clear()
            await until(lambda: len(worker.offsets(topics.names[0], 0)) == 25)
        assert gate.told[1:] == [("revoked", frozenset({0, 1}))]

    asyncio.run(scenario())


def test_a_second_worker_joins_and_leaves_without_loss(make_topics: MakeTopics) -> None:
    """Invariant 7. In peace nothing is done twice either: the prefix is committed before it is forgotten."""
    topics = make_topics(4, 4)

    async def scenario() -> Counter[Any]:
        with producing(topics, 4) as produced:
            async with start(topics, settings=SMALL) as first:
                await until(lambda: len(first.seen) > 200)
                async with start(topics, settings=SMALL) as second:
                    await until(lambda: len(second.seen) > 200)
                    assert (
                        first.assignment()[topics.names[0]]
                        == {0, 1, 2, 3} - second.assignment()[topics.names[1]]
                    )
                await until(lambda: len(first.assignment()[topics.names[0]]) == 4)
                produced.stop()
                await until(lambda: set(first.seen) | set(second.seen) >= set(produced.sent))
        assert first.gate.told[1][0] == "revoked"
        return Counter(first.seen) + Counter(second.seen)

    seen = asyncio.run(scenario())
    assert max(seen.values()) == 1


def test_a_rebalance_with_a_stuck_chunk_is_bounded_and_its_chunk_comes_again(make_topics: MakeTopics) -> None:
    topics = make_topics(2)
    topics.fill({(0, 0): 30, (0, 1): 30})

    async def scenario() -> None:
        async with start(topics, settings=Settings(chunk=10, drain=0.5)) as first:
            first.stuck |= {TP(topics.names[0], 0), TP(topics.names[0], 1)}
            await until(lambda: len(first.started) == 2)
            async with start(topics, settings=SMALL) as second:
                await until(lambda: len(second.seen) == 30)
                first.stuck.clear()
                await until(lambda: len(first.seen) == 30)
        assert Counter(first.seen) + Counter(second.seen) == Counter(
            (topics.names[0], p, o) for p in (0, 1) for o in range(30)
        )

    asyncio.run(scenario())


def test_a_stop_with_a_stuck_chunk_does_not_hang_and_commits_what_was_done(make_topics: MakeTopics) -> None:
    topics = make_topics(2)
    topics.fill({(0, 0): 30, (0, 1): 30})

    async def scenario() -> None:
        worker = make_worker(topics.bootstrap, topics.group, topics.names, settings=Settings(drain=0.5))
        worker.stuck.add(TP(topics.names[0], 0))
        await worker.app.start()
        await until(lambda: len(worker.seen) == 30 and len(worker.started) == 2)
        async with asyncio.timeout(20):
            await worker.app.stop()
        committed = topics.committed(2)
        assert (committed.get((0, 0), 0), committed[0, 1]) == (0, 30)

    asyncio.run(scenario())


def test_a_terminated_worker_commits_what_it_did(make_topics: MakeTopics, tmp_path: Path) -> None:
    topics = make_topics(2)
    topics.fill({(0, 0): 4000, (0, 1): 4000})
    worker = WorkerProcess(topics, tmp_path)
    asyncio.run(until(lambda: worker.done().total() > 500))
    assert worker.stop(signal.SIGTERM) == 0
    done, committed = worker.done(), topics.committed(2)
    assert max(done.values()) == 1
    for partition in (0, 1):
        assert committed[0, partition] == sum(p == partition for _, p, _ in done)


def test_workers_terminated_together_both_commit_what_they_did(
    make_topics: MakeTopics, tmp_path: Path
) -> None:
    """The first to leave makes the other rebalance in the middle of its own stop."""
    topics = make_topics(2)
    workers = [WorkerProcess(topics, tmp_path) for _ in range(2)]
    with producing(topics, 2):
        asyncio.run(until(lambda: all(worker.done().total() > 50 for worker in workers)))
        for worker in workers:
            worker.process.send_signal(signal.SIGTERM)
        assert [worker.end()[0] for worker in workers] == [0, 0]
    done = sum((worker.done() for worker in workers), Counter())
    assert max(done.values()) == 1
    assert sum(topics.committed(2).values()) == done.total()


def test_a_killed_worker_loses_nothing(make_topics: MakeTopics, tmp_path: Path) -> None:
    """Invariant 7: the successor begins at the last commit, so what was done since is done again."""
    topics = make_topics(2)
    topics.fill({(0, 0): 3000, (0, 1): 3000})
    killed = WorkerProcess(topics, tmp_path)
    asyncio.run(until(lambda: killed.done().total() > 500))
    killed.stop(signal.SIGKILL)
    committed = topics.committed(2)
    heir = WorkerProcess(topics, tmp_path)
    everything = {(topics.names[0], p, o) for p in (0, 1) for o in range(3000)}
    asyncio.run(until(lambda: set(killed.done() + heir.done()) == everything))
    assert heir.stop(signal.SIGTERM) == 0
    again = sum((killed.done() & heir.done()).values())
    assert again == killed.done().total() - sum(committed.values())


def test_aborted_records_never_come_and_a_closing_marker_is_no_lag(make_topics: MakeTopics) -> None:
    topics = make_topics(1)
    producer = topics.producer(**{"transactional.id": topics.group})
    producer.init_transactions()
    for value, end in (("kept", producer.commit_transaction), ("aborted", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce(topics.names[0], value.encode(), partition=0)
        producer.flush()
        end()

    async def scenario() -> None:
        async with start(topics) as worker:
            await until(lambda: topics.committed(1).get((0, 0)) == topics.end() == 4)
            progress = (await worker.app.transport.progress())[TP(topics.names[0], 0)]
            assert (progress.position, progress.behind) == (4, 0)
            topics.fill({(0, 0): 1})
            await until(lambda: len(worker.values) == 2)
        assert worker.values == [b"kept", b"0"]

    asyncio.run(scenario())


def test_records_of_an_open_transaction_wait_for_its_end(make_topics: MakeTopics) -> None:
    topics = make_topics(2)
    producer = topics.producer(**{"transactional.id": topics.group})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topics.names[0], b"open", partition=0)
    producer.flush()

    async def scenario() -> None:
        async with start(topics) as worker:
            topics.fill({(0, 1): 5})
            await until(lambda: len(worker.seen) == 5)
            producer.commit_transaction()
            await until(lambda: len(worker.seen) == 6)
        assert worker.values[-1] == b"open"

    asyncio.run(scenario())


@pytest.mark.parametrize(("committed", "first"), [(5, 10), (1000, 10), (12, 12)])
def test_a_commit_outside_the_log_is_told_as_a_gap(
    make_topics: MakeTopics, committed: int, first: int
) -> None:
    topics = make_topics(1)
    topics.fill({(0, 0): 20})
    topics.truncate(0, before=10)
    topics.commit(0, committed)

    async def scenario() -> None:
        async with start(topics) as worker:
            await until(lambda: len(worker.seen) == 20 - first)
            await until(lambda: topics.committed(1).get((0, 0)) == 20)
        assert worker.offsets(topics.names[0], 0) == list(range(first, 20))
        expected = [] if first == committed else [Gap(TP(topics.names[0], 0), committed, first)]
        assert worker.gate.gaps() == expected

    asyncio.run(scenario())


def test_records_removed_while_we_are_reading_are_told_as_a_gap(make_topics: MakeTopics) -> None:
    topics = make_topics(1)
    gate = RecordingGate(shut={0})

    async def scenario() -> None:
        async with start(topics, gate=gate) as worker:
            await until(lambda: worker.app.consumer._wanted == frozenset())
            topics.fill({(0, 0): 20})
            topics.truncate(0, before=10)
            gate.shut.clear()
            await until(lambda: worker.offsets(topics.names[0], 0) == list(range(10, 20)))
            assert gate.gaps() == [Gap(TP(topics.names[0], 0), 0, 10)]
            await until(lambda: topics.committed(1).get((0, 0)) == 20)

    asyncio.run(scenario())


def test_topics_with_different_partition_counts_end_the_worker(
    make_topics: MakeTopics, tmp_path: Path
) -> None:
    worker = WorkerProcess(make_topics(2, 1), tmp_path)
    code, said = worker.end()
    assert code == 1
    assert "partition 1 came without" in said


def test_a_gate_that_fails_crashes_the_app_instead_of_stalling_it(
    make_topics: MakeTopics, tmp_path: Path
) -> None:
    """The worker must watch `app.crashed`: Faust itself goes on standing there."""
    worker = WorkerProcess(make_topics(1), tmp_path, broken_gate=True)
    code, said = worker.end()
    assert code == 1
    assert "no idea" in said


class Production:
    """A thread that produces round-robin until it is told to stop."""

    def __init__(self, topics: Topics, partitions: int) -> None:
        self.sent: list[tuple[str, int, int]] = []
        self._topics, self._partitions = topics, partitions
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._produce)
        self._thread.start()

    def _produce(self) -> None:
        producer = self._topics.producer()
        while not self._end.wait(0.01):
            for name in self._topics.names:
                for partition in range(self._partitions):
                    producer.produce(name, b"x", partition=partition, on_delivery=self._note)
            producer.flush()

    def _note(self, error: Any, message: Any) -> None:
        assert error is None
        self.sent.append((message.topic(), message.partition(), message.offset()))

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


@contextmanager
def producing(topics: Topics, partitions: int) -> Iterator[Production]:
    production = Production(topics, partitions)
    try:
        yield production
    finally:
        production.stop()
