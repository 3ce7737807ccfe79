"""The supervisor: what it starts again, what it doesn't, and that nothing outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from stack import process
from stack.layout import PROJECT
from tests.fixtures.waiting import wait_until

SUPERVISED = """
import sys
from streams.engine import supervisor
sys.exit(supervisor.run(sys.argv[1:]))
"""


def start(project: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": f"{project}:{PROJECT}"}
    command = [sys.executable, "-c", SUPERVISED, *arguments]
    return subprocess.Popen(command, cwd=project, env=environment, stderr=subprocess.DEVNULL)


def pretender(tmp_path: Path, body: str) -> Path:
    """A project whose `streams.cli` is this program; the supervisor is the real one."""
    for name in ("streams", "streams/engine"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    (tmp_path / "streams/engine/supervisor.py").symlink_to(PROJECT / "streams/engine/supervisor.py")
    (tmp_path / "streams/cli.py").write_text(body)
    return tmp_path


RUNS = """
import os, pathlib, signal
with pathlib.Path("pids").open("a") as file:
    file.write(f"{os.getpid()}\\n")
signal.pause()
"""


def pids(project: Path) -> list[int]:
    file = project / "pids"
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def test_a_killed_child_comes_back_and_a_stop_ends_both(tmp_path: Path) -> None:
    project = pretender(tmp_path, RUNS)
    supervisor = start(project)
    [first] = wait_until(lambda: pids(project), alive=lambda: supervisor.poll() is None)
    os.kill(first, signal.SIGKILL)
    _, second = wait_until(
        lambda: pids(project)[1:] and pids(project), alive=lambda: supervisor.poll() is None
    )
    supervisor.terminate()
    assert supervisor.wait(20) == 0
    assert process.identity(second) is None
    assert len(pids(project)) == 2, "what was told to stop is not started again"


def test_a_killed_supervisor_leaves_nothing_behind(tmp_path: Path) -> None:
    project = pretender(tmp_path, RUNS)
    supervisor = start(project)
    [child] = wait_until(lambda: pids(project), alive=lambda: supervisor.poll() is None)
    supervisor.kill()
    supervisor.wait(20)
    wait_until(lambda: process.identity(child) is None, what="the child to end with its supervisor")


def test_what_a_person_must_correct_first_is_not_started_again(tmp_path: Path) -> None:
    project = pretender(tmp_path, RUNS.replace("signal.pause()", "raise SystemExit(2)"))
    supervisor = start(project)
    assert supervisor.wait(20) == 2
    assert len(pids(project)) == 1
