"""Each fault during load: afterwards the systems equal the master without a hand, and the oracle is content."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

import pytest

from tests.faults.conftest import StartLoad
from tests.faults.load import Load, big
from tests.faults.oracle import Oracle
from tests.faults.platform import PARTITIONS, Platform, Process, Worker

WARM, AFTER = 20, 30
"""Transactions before a fault, and after it is over."""
OUTAGE = 10
"""Tries to write while a service is away."""
CLAIMS = 16_000
MIDDLE = 3_000
"""Records of CLAIMS that are captured when Connect dies."""


@dataclass(slots=True)
class Scene:
    """What a fault has at hand: the platform's levers, and the load to measure time by."""

    platform: Platform
    oracle: Oracle
    load: Load

    def transactions(self, count: int) -> None:
        """Let so many more be acknowledged."""
        ledger = self.oracle.ledger
        goal = ledger.acknowledged + count
        self.platform.wait(
            lambda: ledger.acknowledged >= goal or not self.load.alive(), f"{count} transactions"
        )

    def captured(self, count: int) -> None:
        """Let so many more records be captured."""
        goal = self.platform.captured() + count
        self.platform.wait(lambda: self.platform.captured() >= goal, f"{count} captured records")


# ---- processes ----


def worker_killed(scene: Scene) -> None:
    first = scene.platform.worker.pid
    scene.platform.worker.signal(signal.SIGKILL)
    wait_for_another(scene, scene.platform.worker, first)


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
    wait_for_another(scene, scene.platform.worker, first)


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


def sharing(one: Worker, other: Worker) -> bool:
    """Both live, and no partition is open in both."""
    mine, theirs = ({p["partition"] for p in worker.partitions()} for worker in (one, other))
    return bool(mine) and len(mine | theirs) == PARTITIONS and not mine & theirs


def wait_for_another(scene: Scene, process: Process, first: int) -> None:
    scene.platform.wait(
        lambda: process.pid not in (first, process.process.pid), "the supervisor to start another"
    )


def adapter_killed(scene: Scene) -> None:
    for adapter in scene.platform.adapters.values():
        first = adapter.pid
        adapter.signal(signal.SIGKILL)
        scene.transactions(5)
        wait_for_another(scene, adapter, first)


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


Fault = Callable[[Scene], None]

FAULTS: tuple[Fault, ...] = (
    worker_killed,
    worker_killed_while_it_takes_over,
    worker_killed_in_a_large_transaction,
    worker_paused_and_succeeded,
    adapter_killed,
    adapter_paused,
    connect_killed,
    connect_killed_in_a_large_transaction,
    broker_restarted,
    broker_killed,
    database_restarted,
    database_killed,
)
SNAPSHOTS: tuple[Fault, ...] = (snapshot_taken_again, connect_killed_in_a_snapshot)


def name_of(fault: Fault) -> str:
    return fault.__name__.replace("_", " ")


def strike(fault: Fault, scene: Scene) -> None:
    scene.transactions(WARM)
    fault(scene)
    scene.transactions(AFTER)


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


@pytest.mark.parametrize("fault", SNAPSHOTS, ids=name_of)
def test_a_snapshot_under_load_ends_right_when(
    fault: Fault, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load(deletes=False) as writing:
        strike(fault, Scene(platform, oracle, writing))
    oracle.judge()
