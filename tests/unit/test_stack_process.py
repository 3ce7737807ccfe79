"""A process is known by its pid and its start, so a pid that somebody else got is left alone."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import process
from stack.process import Command, Process

PATIENCE = 20.0


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Process]:
    forever = Command([sys.executable, "-c", "import signal; signal.pause()"], os.environ)
    running = process.start(forever, tmp_path / "log", tmp_path)
    yield running
    running.signal(signal.SIGKILL)
    assert process.until(lambda: not running.alive(), PATIENCE)


def test_a_started_process_lives_in_a_session_of_its_own(started: Process) -> None:
    assert started.alive()
    assert os.getsid(started.pid) == started.pid


def test_a_process_that_ended_is_not_alive_though_its_parent_did_not_wait(started: Process) -> None:
    started.signal(signal.SIGKILL)
    assert process.until(lambda: not started.alive(), PATIENCE)


def test_the_same_pid_with_another_start_is_another_process(started: Process) -> None:
    recycled = Process(started.pid, "an earlier start")
    assert not recycled.alive()
    process.stop(recycled, signal.SIGKILL, patience=0)
    assert started.alive()


def test_a_paused_process_is_alive_and_can_be_stopped(started: Process) -> None:
    started.signal(signal.SIGSTOP)
    assert started.alive()
    assert process.stop(started, signal.SIGTERM, PATIENCE)
    assert not started.alive()


def test_a_process_deaf_to_the_signal_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); signal.pause()"
    )
    deaf = process.start(Command([sys.executable, "-c", code], os.environ), tmp_path / "log", tmp_path)
    assert process.until(lambda: (tmp_path / "log").read_text() == "1\n", PATIENCE)
    assert not process.stop(deaf, signal.SIGTERM, patience=0.2)
    assert process.until(lambda: not deaf.alive(), PATIENCE)


def test_a_record_is_recalled_while_its_process_lives(started: Process, tmp_path: Path) -> None:
    record = tmp_path / "run" / "service.json"
    process.remember(started, record)
    assert process.recall(record) == started
    assert process.stop(started, signal.SIGTERM, PATIENCE)
    assert process.recall(record) is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"pid": 1}', "not json"])
def test_a_broken_record_counts_as_nothing_running(content: str, tmp_path: Path) -> None:
    (tmp_path / "record").write_text(content)
    assert process.recall(tmp_path / "record") is None


def test_a_missing_record_counts_as_nothing_running(tmp_path: Path) -> None:
    assert process.recall(tmp_path / "record") is None
