"""Each fault during load: afterwards the systems equal the master without a hand, and the oracle is content."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import pytest

from tests.faults.conftest import StartLoad
from tests.faults.load import big
from tests.faults.oracle import Oracle
from tests.faults.platform import MASTER, PARTITIONS, Platform
from tests.faults.process import Worker
from tests.faults.reading import committed
from tests.faults.scene import AFTER, OUTAGE, WARM, Fault, Scene, name_of, strike

LONG = 100
"""Transactions of an outage that outlasts the clients' first tries."""
STORM = 3
"""Workers that come and go."""
CLAIMS = 16_000
MIDDLE = 3_000
"""Records of CLAIMS that are captured when Connect dies."""


# ---- processes ----


def worker_killed(scene: Scene) -> None:
    first = scene.platform.worker.pid
    scene.platform.worker.signal(signal.SIGKILL)
    scene.another(scene.platform.worker, first)


def worker_killed_while_it_takes_over(scene: Scene) -> None:
    """Again, as soon as the new one restores its partitions."""
    worker_killed(scene)
    scene.platform.wait(scene.platform.open_partitions, "a first open partition")
    worker_killed(scene)


def worker_killed_in_a_large_transaction(scene: Scene) -> None:
    """The next one finds entities that half of a transaction has touched, and must wait for the rest."""
    first = scene.platform.worker.pid
    with large_transaction_half_captured(scene):
        scene.platform.worker.signal(signal.SIGKILL)
    scene.another(scene.platform.worker, first)


def worker_paused_and_succeeded(scene: Scene) -> None:
    """It wakes with records in its hands after its successor has taken over: it must not write any more."""
    platform, paused = scene.platform, scene.platform.worker
    first = paused.pid
    paused.signal(signal.SIGSTOP)
    successor = platform.start_worker()
    platform.wait(lambda: len(successor.partitions()) == PARTITIONS, "the successor to open every partition")
    scene.transactions(AFTER)
    paused.signal(signal.SIGCONT)
    # Fenced at its next write, or told by the group before it had anything to write.
    platform.wait(lambda: paused.pid != first or sharing(paused, successor), "the paused worker to find out")
    scene.transactions(AFTER)
    platform.stop_worker(paused)
    platform.wait(
        lambda: len(successor.partitions()) == PARTITIONS, "the successor to have all of them again"
    )


def worker_paused(scene: Scene) -> None:
    """Until the group has given it up; nobody else is there, and it joins again."""
    scene.platform.worker.signal(signal.SIGSTOP)
    scene.platform.wait(lambda: not scene.platform.members(), "the group to give it up")
    scene.transactions(AFTER)
    scene.platform.worker.signal(signal.SIGCONT)


def workers_come_and_go(scene: Scene) -> None:
    """A storm of rebalances: others take over what they can, and are gone without a word."""
    for _ in range(STORM):
        other = scene.platform.start_worker()
        scene.platform.wait(other.partitions, "the other worker to open a partition")
        scene.platform.workers.remove(other)
        other.kill()
    scene.platform.wait(scene.platform.whole, "the worker to have every partition again")


def sharing(one: Worker, other: Worker) -> bool:
    """Both live, and no partition is open in both."""
    mine, theirs = ({p["partition"] for p in worker.partitions()} for worker in (one, other))
    return bool(mine) and len(mine | theirs) == PARTITIONS and not mine & theirs


def adapter_killed(scene: Scene) -> None:
    for adapter in scene.platform.adapters.values():
        first = adapter.pid
        adapter.signal(signal.SIGKILL)
        scene.transactions(5)
        scene.another(adapter, first)


def adapter_paused(scene: Scene) -> None:
    for adapter in scene.platform.adapters.values():
        adapter.signal(signal.SIGSTOP)
    scene.transactions(AFTER)
    for adapter in scene.platform.adapters.values():
        adapter.signal(signal.SIGCONT)


# ---- services ----


def connect_killed(scene: Scene) -> None:
    scene.platform.services.kill("connect")
    scene.transactions(AFTER)
    scene.platform.services.start("connect")


def connect_killed_in_a_large_transaction(scene: Scene) -> None:
    with large_transaction_half_captured(scene):
        scene.platform.services.kill("connect")
    scene.transactions(5)
    scene.platform.services.start("connect")


@contextmanager
def large_transaction_half_captured(scene: Scene) -> Iterator[None]:
    platform, ledger = scene.platform, scene.oracle.ledger
    writing = threading.Thread(target=big, args=(platform.master.dsn, ledger, Random(CLAIMS), CLAIMS))
    before = platform.captured()
    writing.start()
    try:
        platform.wait(lambda: platform.captured() >= before + MIDDLE, "the middle of the transaction")
        yield
    finally:
        writing.join()


def connect_paused(scene: Scene) -> None:
    with paused(scene, "connect"):
        scene.transactions(AFTER)


def broker_paused(scene: Scene) -> None:
    """The network cut between the broker and everybody."""
    with paused(scene, "kafka"):
        scene.transactions(LONG)


def database_paused(scene: Scene) -> None:
    """It is the master's too: nothing can be written, so only what was on its way is held up."""
    with paused(scene, "postgres"):
        scene.platform.wait(lambda: not scene.platform.services.ready("postgres"), "it to be silent")


@contextmanager
def paused(scene: Scene, service: str) -> Iterator[None]:
    scene.platform.services.pause(service)
    try:
        yield
    finally:
        scene.platform.services.resume(service)


def broker_restarted(scene: Scene) -> None:
    scene.platform.services.stop("kafka")
    scene.transactions(OUTAGE)
    scene.platform.services.start("kafka")


def broker_killed(scene: Scene) -> None:
    scene.platform.services.kill("kafka")
    scene.transactions(OUTAGE)
    scene.platform.services.start("kafka")


def database_restarted(scene: Scene) -> None:
    scene.platform.services.stop("postgres")
    scene.platform.services.start("postgres")


def database_killed(scene: Scene) -> None:
    scene.platform.services.kill("postgres")
    scene.platform.services.start("postgres")


# ---- snapshots ----


def snapshot_taken_again(scene: Scene) -> None:
    scene.platform.capture(resnapshot=True)
    scene.platform.wait(scene.platform.snapshot_finished, "the snapshot")


def connect_killed_in_a_snapshot(scene: Scene) -> None:
    """It starts the snapshot over: what changed in between only stands in the second reading."""
    before = scene.platform.captured()
    scene.platform.capture(resnapshot=True)
    scene.platform.wait(lambda: scene.platform.captured() >= before + MIDDLE, "the middle of the snapshot")
    scene.platform.services.kill("connect")
    scene.transactions(AFTER)
    scene.platform.services.start("connect")
    scene.platform.wait(scene.platform.snapshot_finished, "the snapshot")


FAULTS: tuple[Fault, ...] = (
    worker_killed,
    worker_killed_while_it_takes_over,
    worker_killed_in_a_large_transaction,
    worker_paused,
    worker_paused_and_succeeded,
    workers_come_and_go,
    adapter_killed,
    adapter_paused,
    connect_killed,
    connect_paused,
    broker_paused,
    broker_restarted,
    broker_killed,
    database_restarted,
    database_killed,
    database_paused,
)
SNAPSHOTS: tuple[Fault, ...] = (snapshot_taken_again, connect_killed_in_a_snapshot)


def test_without_any_fault_the_systems_follow_the_master(
    platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load() as writing:
        Scene(platform, oracle, writing).transactions(WARM + AFTER)
    oracle.judge()


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_nothing_is_lost_or_turned_round_when(
    fault: Fault, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load() as writing:
        strike(fault, Scene(platform, oracle, writing))
    oracle.judge()


def test_every_row_of_a_copy_is_captured_though_connect_is_killed_in_it(
    platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    """Its rows share log positions: where Debezium has lost some before, in silence."""
    with load() as writing:
        strike(connect_killed_in_a_large_transaction, Scene(platform, oracle, writing))
    oracle.judge()
    with platform.master.connect() as connection:
        there = {row[0] for row in connection.execute("select id::text from malpractice_claim")}
    assert len(there) >= CLAIMS
    assert there <= captured_claims(platform)


def captured_claims(platform: Platform) -> set[str]:
    """The ids of every claim that capture has ever told."""
    found: set[str] = set()
    for message in committed(platform.stack.kafka, f"cdc.{MASTER}"):
        with suppress(ValueError, TypeError, KeyError):  # other tests write what is no change at all
            value = json.loads(message.value() or b"")
            if value["source"]["table"] == "malpractice_claim":
                found.add(value["after"]["id"])
    return found


@pytest.mark.parametrize("fault", SNAPSHOTS, ids=name_of)
def test_a_snapshot_under_load_ends_right_when(
    fault: Fault, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load(deletes=False) as writing:
        strike(fault, Scene(platform, oracle, writing))
    oracle.judge()
