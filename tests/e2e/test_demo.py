"""`concord demo` as a newcomer runs it: the story reaches every system, and Ctrl-C leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stack import process
from stack.layout import PROJECT
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import take_ctrl_c

pytestmark = pytest.mark.timeout(600)
LOAD = ("--providers", "30", "--seed", "11")


@pytest.fixture(scope="module")
def result(platform: Platform) -> Any:
    return platform.ask("demo", *LOAD)


def test_the_story_is_told_by_every_system_it_concerns(result: Any) -> None:
    told = {scene["event"]["title"]: {d["system"] for d in scene["deliveries"]} for scene in result["scenes"]}
    assert told == {
        "moves to another practice": {"directory", "enrollment", "billing"},
        "renews a licence": {"enrollment"},
        "is hired": {"directory", "enrollment", "billing"},
        "leaves": {"directory", "enrollment", "billing"},
        "moves across town": {"directory", "billing"},
    }
    assert all(d["applied_ms"] > 0 for scene in result["scenes"] for d in scene["deliveries"])
    assert {"commit -> sink", "sink -> applied", "commit -> applied"} == {
        f["hop"] for f in result["latencies"]
    }
    assert result["status"]["balanced"]


def test_who_leaves_is_withdrawn_from_every_system(result: Any) -> None:
    (leaves,) = [scene for scene in result["scenes"] if scene["event"]["title"] == "leaves"]
    assert {d["status"] for d in leaves["deliveries"]} == {"withdrawn"}


def test_ctrl_c_in_the_middle_of_the_story_leaves_nothing_running(platform: Platform) -> None:
    command = [sys.executable, "-m", "streams.cli", "demo", *LOAD]
    with subprocess.Popen(
        command,
        env=dict(platform.environ),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=take_ctrl_c,
    ) as demo:
        assert demo.stdout is not None
        seen = []
        for line in demo.stdout:
            seen.append(line)
            if line.startswith("1. "):
                os.killpg(demo.pid, signal.SIGINT)
        text = "".join(seen)
        assert demo.wait(60) == 130, text
    records = list((Path(platform.environ["CONCORD_STATE"]) / "run").glob("concord-*.json"))
    assert not [record for record in records if process.recall(record)], text
    assert "2. " not in text
    platform.ask("up")  # other modules share it
