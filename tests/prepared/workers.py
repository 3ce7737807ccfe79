"""Faults of the workers: one that comes and goes, one whose disk is nearly full; and what mends each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka.admin import AdminClient

from streams.operate import announced
from streams.operate.announced import Answer
from tests.fixtures.disk import seen_from, small_disk
from tests.prepared.scene import Scene
from tests.runbooks import Runbook

# ---- rebalance loop ----


def freeze_the_worker(scene: Scene) -> None:
    """Again and again, as where there is no core for it: longer than its group waits, and then it is back."""
    scene.undo.callback(lambda: scene.run(["up"]))
    freeze_for_a_while(scene)


def freeze_for_a_while(scene: Scene) -> None:
    """Nobody else took its partitions meanwhile, so the same process joins again."""
    [worker] = workers(scene)
    before = worker.status["opened"]
    admin = AdminClient({"bootstrap.servers": scene.platform.settings.kafka, "log_level": 0})
    with frozen(worker):
        scene.wait(lambda: not members(admin, scene), "the group to give it up")
    scene.wait(lambda: [w.party.key for w in workers(scene) if w.status["opened"] > before], "it to be back")
    scene.wait(scene.whole, "every partition to be open")
    scene.wait(scene.quiet, "the flow to go on")
    assert [w.party.key for w in workers(scene)] == [worker.party.key]


@contextmanager
def frozen(worker: Answer) -> Iterator[None]:
    os.kill(worker.party.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker.party.pid, signal.SIGCONT)


def workers(scene: Scene) -> list[Answer]:
    """Those that answer."""
    return announced.answering(scene.platform.settings, "worker")


def members(admin: AdminClient, scene: Scene) -> int:
    """Of the workers' group, as the broker counts them."""
    group = scene.platform.settings.topic(scene.platform.settings.group)
    return len(admin.describe_consumer_groups([group])[group].result(30).members)


def let_another_take_over(scene: Scene, page: Runbook) -> None:
    """Who comes and goes is missing on the workers line now and then; it tells host and pid."""
    [worker] = workers(scene)
    seen = named(scene.run(page.command("concord status")))
    with frozen(worker):
        [gone] = seen - named(scene.run(page.command("concord status")))
    assert page.command("concord worker") == ["worker", "--data-dir", "DIR"]
    scene.join("roomy")
    assert "kill PID" in page.text
    os.kill(int(gone.rpartition("-")[2]), signal.SIGTERM)
    scene.wait(lambda: len(workers(scene)) == 1 and scene.whole(), "the other one to have everything")


def named(status: str) -> set[str]:
    """The workers that answer."""
    [line] = [line for line in status.splitlines() if line.startswith("workers ")]
    return {name for name in line.partition("(")[2].partition(")")[0].split(", ") if name}


# ---- disk nearly full ----

DISK_MB = 1_200
"""Doctor wants a GiB to be free on any disk, so this one is in order as long as nobody fills it."""
FILLED = 0.96


def fill_the_disk(scene: Scene) -> None:
    """Under the store of a worker that has one of its own."""
    disk = small_disk(scene.folder / "small", DISK_MB)
    scene.join("small", disk, CONCORD_STORE_BUFFER_MB="1")
    room = shutil.disk_usage(data(scene))
    dumps = data(scene) / "dumps"
    dumps.mkdir()
    with (dumps / "core").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, int(room.total * FILLED) - room.used)


def data(scene: Scene) -> Path:
    """The other worker's folder, as it is for everybody else."""
    assert scene.other is not None
    return seen_from(scene.other.process.pid, scene.other.data)


def on_its_machine(scene: Scene) -> dict[str, str]:
    return {"CONCORD_DATA_DIR": str(data(scene))}


def free_the_disk(scene: Scene, page: Runbook) -> None:
    """What takes the room is listed by the fix that doctor gives."""
    [wrong] = scene.diagnosis(["disk"], on_its_machine(scene))
    listed = subprocess.run(["sh", "-c", wrong["fix"]], capture_output=True, text=True, check=True)
    found = [Path(line.split(maxsplit=1)[1]) for line in listed.stdout.splitlines()]
    largest = next(each for each in reversed(found) if each.is_file())
    largest.unlink()
    scene.run(page.command("concord doctor --only disk"), **on_its_machine(scene))
    scene.wait(scene.whole, "every partition to be open")
