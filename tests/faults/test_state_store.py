"""The worker's own disk and clock: the store is a cache of its topic, and no order rests on what time it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.faults.conftest import StartLoad
from tests.faults.oracle import Oracle
from tests.faults.platform import Platform
from tests.faults.process import Worker
from tests.faults.scene import AFTER, WARM, Scene
from tests.fixtures.disk import seen_from, small_disk

SKEWED = Path(__file__).parent / "skewed"


# ---- corrupt ----


def manifests_gone(stores: Path) -> None:
    for file in stores.glob("*/MANIFEST-*"):
        file.unlink()


def first_blocks_flipped(stores: Path) -> None:
    """Files that open as if nothing were wrong; only who reads the block finds out."""
    for file in stores.glob("*/*.sst"):
        raw = file.read_bytes()
        file.write_bytes(raw[:8] + bytes(byte ^ 0xFF for byte in raw[8:40]) + raw[40:])


HARMS = (manifests_gone, first_blocks_flipped)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__.replace("_", " "))
def test_a_corrupt_store_is_made_anew_from_its_topic_with(
    harm: Callable[[Path], None], platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load() as writing:
        scene = Scene(platform, oracle, writing)
        scene.transactions(WARM)
        before = platform.worker
        platform.stop_worker(before)
        harm(before.data)
        seen = len(before.said())
        after = platform.start_worker(place=before.name)
        platform.wait(platform.whole, "the worker to open every partition")
        scene.transactions(AFTER)
    oracle.judge()
    assert "store.corrupt" in after.said()[seen:], "nobody noticed"


# ---- full ----


@contextmanager
def filled(worker: Worker) -> Iterator[None]:
    """The disk of this worker is full inside."""
    ballast = seen_from(worker.process.pid, worker.data) / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"\0" * 4096):
            pass
    try:
        yield
    finally:
        ballast.unlink()


def test_a_full_disk_under_the_store_loses_nothing_and_heals_when_it_is_freed(
    platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    """The worker leaves at the first write that fails, and restores what its disk lacks once there is room."""
    disk = small_disk(platform.worker.data)
    with platform.another_worker(disk, {"CONCORD_STORE_BUFFER_MB": "1"}) as worker:
        seen = len(worker.said())
        with load() as writing:
            scene = Scene(platform, oracle, writing)
            scene.transactions(WARM)
            with filled(worker):
                platform.wait(lambda: "worker.store_lost" in worker.said()[seen:], "the worker to notice")
                scene.transactions(AFTER)
            platform.wait(platform.whole, "the worker to open every partition")
            scene.transactions(AFTER)
        oracle.judge()


# ---- another time ----


@pytest.mark.parametrize("days", [3, -3], ids=["ahead", "behind"])
def test_a_worker_whose_clock_is_days_off_decides_the_same(
    days: int, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    """Positions order what happens and the broker's time guards the date; its own stands in headers only."""
    path = os.pathsep.join(filter(None, (str(SKEWED), os.environ.get("PYTHONPATH"))))
    with platform.another_worker(environ={"PYTHONPATH": path, "SKEW_SECONDS": str(days * 86_400)}) as worker:
        with load() as writing:
            scene = Scene(platform, oracle, writing)
            scene.transactions(WARM + AFTER)
        oracle.judge()
        status = worker.status() or {}
        assert abs(status["started_at"] - datetime.now(UTC).timestamp()) > 2 * 86_400, "the clock was right"
        today = datetime.now(UTC).date().isoformat()
        assert all(partition["ticked"] <= today for partition in worker.partitions())
