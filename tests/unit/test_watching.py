"""`concord status --watch`: refreshed in place until q, plain lines where there is no terminal, and an outage ends nothing."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

from rich.console import Console

from streams.cli import show, watching
from streams.errors import Unavailable
from streams.operate.findings import OpenFindings
from streams.operate.rollout import Rollout
from streams.operate.standing import CAUGHT_UP, STOPPED, Capture, Hop, watch
from streams.operate.status import Status

HOP = Hop("decide", CAUGHT_UP, "", [], 0, 0.0, 1.0, [], {})
CAPTURE = Capture("directory", "directory", STOPPED, "the task failed", "FAILED", 1, True, False, 9, 9, 1.0)
FOUND = Status(
    1.0, True, [CAPTURE], HOP, [replace(HOP, name="billing")], OpenFindings(0, {}, ""), 0, True, HOP
)


def screen(width: int = 160) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=40, color_system="standard")


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_hop_is_shown_with_its_state_and_why() -> None:
    console = screen()
    console.print(watching.view(FOUND))
    shown = written(console)
    assert all(text in shown for text in ("capture directory", "adapter billing", "the task failed", "quiet"))


def test_what_the_guard_has_open_is_named() -> None:
    found = watch([{"sources": {}, "open": [{"system": "directory", "code": "slot.grown"}]}])
    assert "1 open (directory slot.grown)" in show.status_text(replace(FOUND, guard=found))


def test_the_workers_that_answer_are_named() -> None:
    """Who comes and goes is missing now and then (docs/runbooks/partitions-moving.md)."""
    counters = {
        "dirty": 0, "due": 0, "ticked": "", "asked": None, "decided": 0, "emitted": 0, "late": 0, "opened": 12,
        "rollout": Rollout("", False, None, None, [], ""), "unconfirmed": {},
    }  # fmt: skip
    both = ["worker/east-7 pid 7 http://127.0.0.1:1", "worker/a-host-12 pid 12 http://127.0.0.1:2"]
    for answering, told in (
        (both, "2 answer (a-host-12, east-7), given a partition 12 times"),
        (both[:1], "1 answer (east-7), given"),
        ([], "0 answer, given"),
    ):
        decide = replace(HOP, processes=answering, counters=counters)
        assert f"workers   {told}" in show.status_text(replace(FOUND, decide=decide))


def test_it_is_redrawn_until_q() -> None:
    console, looks = screen(), threading.Semaphore(0)

    def take() -> Status:
        looks.release()
        return FOUND

    def key(wait: float) -> str:
        looks.acquire(timeout=wait)
        return "q" if "adapter billing" in written(console) else ""

    watching.live(take, console, key)
    assert "adapter billing" in written(console)


def test_a_look_that_fails_is_shown_and_the_next_is_tried() -> None:
    answers: Iterator[Status | Unavailable] = iter(
        [Unavailable("kafka.unavailable", "no broker", "wait"), FOUND]
    )

    def take() -> Status:
        found = next(answers)
        if isinstance(found, Unavailable):
            raise found
        return found

    console = Console(file=io.StringIO(), width=160)
    watching.lines(take, console, rounds=2)
    shown = written(console)
    assert shown.index("no broker") < shown.index("adapter billing")


def test_without_a_terminal_nothing_is_redrawn() -> None:
    console = Console(file=io.StringIO(), width=160)
    watching.lines(lambda: FOUND, console, rounds=1)
    assert "\x1b" not in written(console)


def test_a_key_is_read_as_it_is_pressed_and_the_terminal_is_left_as_it_was() -> None:
    import termios

    master, slave = os.openpty()
    with os.fdopen(slave, "r") as terminal:
        before = termios.tcgetattr(terminal)
        with watching.keys(terminal) as key:
            os.write(master, b"q")
            assert key(5.0) == "q"
            assert key(0.0) == ""
        assert termios.tcgetattr(terminal) == before
    os.close(master)


def test_input_that_is_no_terminal_never_gives_a_key() -> None:
    with watching.keys(io.StringIO("q")) as key:
        before = time.monotonic()
        assert key(0.01) == ""
        assert time.monotonic() >= before
