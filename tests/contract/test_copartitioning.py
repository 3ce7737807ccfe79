"""Faust's assignor gives partition p of all topics with one partition count to one worker (design, section 5).

The store, the producer and the lock of a partition number rest on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from faust.types import TP

from streams.engine.copartition import check_copartitioned
from streams.errors import EnvironmentFault
from tests.fixtures.faust_apps import Topics, Worker, make_app, running, until

TOPICS = ("cdc.enrollment", "claims.enrollment", "clock")


def cluster(partitions: int) -> Any:
    return SimpleNamespace(partitions_for_topic=lambda topic: set(range(partitions)))


def assign(workers: int, partitions: int) -> list[set[TP]]:
    """What each worker gets from Faust's assignor."""
    assignor = make_app("127.0.0.1:1", "copartition").assignor
    members = {f"worker-{n}": assignor.metadata(set(TOPICS)) for n in range(workers)}
    return held(assignor.assign(cluster(partitions), members))


def held(assignments: Any) -> list[set[TP]]:
    return [{TP(*tp) for tp in assignment.partitions()} for assignment in assignments.values()]


@pytest.mark.parametrize("workers", range(1, 6))
@pytest.mark.parametrize("partitions", [1, 3, 4, 7, 8])
def test_a_worker_gets_a_partition_number_of_all_topics(workers: int, partitions: int) -> None:
    assigned = assign(workers, partitions)
    for worker in assigned:
        check_copartitioned(frozenset(TOPICS), worker)
    assert sum(map(len, assigned)) == partitions * len(TOPICS)


@pytest.mark.parametrize(("workers", "partitions"), [(2, 4), (3, 7), (4, 8)])
def test_partitions_are_spread_evenly(workers: int, partitions: int) -> None:
    sizes = {len({tp.partition for tp in worker}) for worker in assign(workers, partitions)}
    assert max(sizes) - min(sizes) <= 1


def test_the_assignor_faust_falls_back_to_would_not_do() -> None:
    """aiokafka's round-robin, taken by Faust for apps without tables: why the transport chooses itself."""
    members = {f"worker-{n}": ConsumerProtocolMemberMetadata(0, list(TOPICS), b"") for n in range(2)}
    first, _ = held(RoundRobinPartitionAssignor.assign(cluster(3), members))
    with pytest.raises(EnvironmentFault):
        check_copartitioned(frozenset(TOPICS), first)


def numbers(worker: Worker) -> set[int]:
    """The partition numbers it has, equal for all its topics."""
    by_topic = list(worker.assignment().values())
    assert all(of_topic == by_topic[0] for of_topic in by_topic)
    return by_topic[0] if by_topic else set()


def test_two_workers_share_the_partition_numbers_of_three_topics(
    make_topics: Callable[..., Topics],
) -> None:
    topics = make_topics(3, 3, 3)
    where = (topics.bootstrap, topics.group, topics.names)

    async def scenario() -> None:
        async with running(*where) as first:
            assert numbers(first) == {0, 1, 2}
            async with running(*where) as second:
                await until(lambda: len(first.assignment()) == len(second.assignment()) == 3)
                assert numbers(first) | numbers(second) == {0, 1, 2}
                assert not numbers(first) & numbers(second)
            await until(lambda: numbers(first) == {0, 1, 2})

    asyncio.run(scenario())
