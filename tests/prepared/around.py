"""Faults of what the flow stands on: the registry, reference data, a clock; and what mends each."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from stack.layout import PROJECT
from tests.faults.process import Process
from tests.prepared.scene import Scene
from tests.published import EXCLUDED, LEIE, text, write
from tests.runbooks import Runbook

SKEWED = Path(__file__).parents[1] / "faults" / "skewed"


# ---- registry down ----


def cut_registry(scene: Scene) -> None:
    scene.undo.callback(scene.registry.open)
    scene.registry.cut()


def start_registry(scene: Scene, page: Runbook) -> None:
    """`python -m stack up` on a stack of our own; here it runs, and the way to it is open again."""
    assert "python -m stack up" in page.text
    scene.registry.open()
    scene.run(page.command("concord doctor --only registry --only schemas"))


# ---- stale witness file ----


def load_old_file(scene: Scene) -> None:
    load_leie(scene, ["reference", "load", "leie", "--yes"], 200)


def load_leie(scene: Scene, arguments: list[str], days: int) -> None:
    row = {**EXCLUDED, "NPI": "0000000000", "EXCLDATE": "20200120"}
    file = write(scene.folder / "UPDATED.csv", text(LEIE, row))
    as_of = (datetime.now(UTC).date() - timedelta(days=days)).isoformat()
    named = [str(file) if word == "FILE" else word for word in arguments]
    scene.run([*named, *([] if str(file) in named else [str(file)]), "--as-of", as_of])


def load_newest(scene: Scene, page: Runbook) -> None:
    scene.run(page.command("concord reference status"))
    load_leie(scene, page.command("concord reference load", SOURCE="leie"), 1)


# ---- clock skew ----


def set_clock_wrong(scene: Scene) -> None:
    """Of the guard: as if the clock of its machine were."""
    scene.platform.stop("guard")
    scene.undo.callback(lambda: scene.run(["up"]))
    environ = {**scene.platform.environ, **skewed(scene)}
    guard = Process("guard", ("guard",), environ, scene.folder / "guard.log")
    scene.undo.callback(guard.stop)
    scene.wait(lambda: scene.status().footing.skew, "the guard to compare clocks")


def skewed(scene: Scene) -> dict[str, str]:
    path = os.pathsep.join([str(SKEWED), str(PROJECT)])
    return {"PYTHONPATH": path, "SKEW_SECONDS": "30"}


def set_clock_right(scene: Scene, page: Runbook) -> None:
    """`timedatectl` would; a process whose clock is right takes the place of the one whose clock is wrong."""
    assert "timedatectl set-ntp true" in page.text
    scene.undo.close()
    scene.run(page.command("concord doctor --only clock"))
