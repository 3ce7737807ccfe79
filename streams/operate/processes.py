"""The whole platform as background processes of this machine: `concord up` and `concord down`.

    stack -> systems, schemas, topics -> worker, adapters -> sources -> ready

Each process is a session of its own, known by pid *and* start time in the stack's state folder, with its log beside
it. Idempotent: what runs is left alone. An external stack (every CONCORD_* address set) is neither started nor stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from stack import environment, layout, lifecycle, process
from streams import settings as configuration
from streams.errors import ConcordError, EnvironmentFault, Unavailable
from streams.operate import announced, preparing
from streams.operate.preparing import Say
from streams.settings import Settings
from streams.systems import ADAPTERS

READY_WITHIN = 300.0
STOP_WITHIN = 20.0
POLL = 0.2


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the platform: its name, and `concord <arguments>`."""

    name: str
    arguments: tuple[str, ...]

    @property
    def record(self) -> Path:
        """Its pid and start time."""
        return state() / "run" / f"concord-{self.name}.json"

    @property
    def log(self) -> Path:
        """What it wrote."""
        return state() / "log" / f"concord-{self.name}.log"

    def alive(self) -> bool:
        """Whether the recorded process, and no other with its pid, runs."""
        return process.recall(self.record) is not None


@dataclass(frozen=True, slots=True)
class Standing:
    """One process for people: does it run, under which pid, and where its log is."""

    name: str
    running: bool
    pid: int | None
    log: str


def state() -> Path:
    """The folder of pids, logs and stores: the stack's own."""
    return layout.current().state


def parts() -> list[Part]:
    """The worker, the adapters, who tells what the witnesses say, who verifies, who guards capture, and who
    tells the metrics. On a stack of its own the worker is the only one, so nothing can alternate, and files edited
    while developing are simply taken."""
    data = state() / "data" / "concord-worker"
    alone = ["--accept"] if environment.from_variables() is None else []
    adapters = [Part(f"adapter-{system}", ("adapter", system)) for system in running(configuration.load())]
    worker = Part("worker", ("worker", "--data-dir", str(data), *alone))
    return [
        worker,
        *adapters,
        Part("reference", ("reference", "follow")),
        Part("verify", ("verify", "follow")),
        Part("guard", ("guard",)),
        Part("metrics", ("metrics",)),
    ]


def running(known: Settings) -> list[str]:
    """The systems with an adapter: those that take files have none."""
    return [system for system in ADAPTERS if system not in known.files]


def up(say: Say) -> Settings:
    """Everything, ready when it returns; the settings of what runs."""
    start_stack(say)
    known = configuration.load()
    preparing.prepare_targets(known, say)
    start_processes(say)
    preparing.prepare_sources(known, say)
    await_ready(known, say)
    return known


def down(say: Say, *, volumes: bool = False) -> None:
    """Stop the processes, then the stack."""
    stop_processes(say)
    stop_stack(volumes=volumes)


def standings() -> list[Standing]:
    """How the background processes stand."""
    found = [(part, process.recall(part.record)) for part in parts()]
    return [
        Standing(part.name, alive is not None, alive.pid if alive else None, str(part.log))
        for part, alive in found
    ]


# ---- the stack ----


def start_stack(say: Say) -> None:
    """The native stack, unless an external one is given."""
    if environment.from_variables() is not None:
        say("stack     external: every CONCORD_* address is set")
        return
    _stack("up")
    configuration.load.cache_clear()


def stop_stack(*, volumes: bool = False) -> None:
    """The native stack, if it is the one in use."""
    if environment.from_variables() is None and environment.load() is not None:
        _stack("down", *(["--volumes"] if volumes else []))


def _stack(*arguments: str) -> None:
    """A process of its own: it tells its progress and cleans up after Ctrl-C by itself."""
    ended = subprocess.run(
        [sys.executable, "-m", "stack", *arguments], cwd=layout.PROJECT, check=False, stdout=sys.stderr
    )
    if ended.returncode:
        raise Stopped(
            "stack.failed",
            f"`python -m stack {arguments[0]}` ended with {ended.returncode}",
            ended.returncode,
        )


class Stopped(ConcordError):
    """The stack did not come up; it has said why, and its exit code is ours."""

    def __init__(self, code: str, message: str, exit_code: int) -> None:
        super().__init__(code, message, "read what it printed above")
        self.exit_code = exit_code if exit_code in (1, 2, 3) else 1


# ---- processes ----


def start_processes(say: Say) -> None:
    """Start what does not run."""
    for part in parts():
        if part.alive():
            say(f"{part.name:20} runs already")
        else:
            started = _start(part)
            say(f"{part.name:20} started, pid {started.pid}")


def _start(part: Part) -> process.Process:
    for folder in (part.record.parent, part.log.parent):
        folder.mkdir(parents=True, exist_ok=True)
    # The folder that the commands of this shell use: the process runs in another one.
    own = {"CONCORD_REFERENCE_DIR": str(configuration.load().reference_dir.resolve())}
    command = process.Command([sys.executable, "-m", "streams.cli", *part.arguments], {**os.environ, **own})
    started = process.start(command, part.log, layout.PROJECT)
    process.remember(started, part.record)
    return started


def stop_processes(say: Say) -> None:
    """SIGTERM to all at once; what has not ended in time is killed, with its children."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(lambda part: _stop(part, say), parts()))


def _stop(part: Part, say: Say) -> None:
    found = process.recall(part.record)
    if found is not None:
        gently = process.stop(found, signal.SIGTERM, STOP_WITHIN)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(found.pid, signal.SIGKILL)  # a supervisor that was killed leaves its worker behind
        say(f"{part.name:20} {'stopped' if gently else f'killed: did not end within {STOP_WITHIN:.0f} s'}")
    part.record.unlink(missing_ok=True)


def check_alive() -> None:
    """Unavailable, with the end of its log, when a process has died."""
    for part in parts():
        if not part.alive():
            ending = lifecycle.tail(part.log)
            raise Unavailable("process.died", f"{part.name} has ended:\n{ending}", f"read {part.log}")


# ---- ready ----


def await_ready(known: Settings, say: Say, within: float = READY_WITHIN) -> None:
    """Capture runs past its snapshot, the worker has every partition open, each adapter its partitions."""
    conditions: Sequence[tuple[str, Callable[[Settings], bool]]] = (
        ("worker    every partition is open", worker_ready),
        ("adapters  placed", adapters_ready),
        ("reference follows", reference_ready),
        ("capture   runs, the snapshot is finished", capture_ready),
        ("guard     watches", guard_ready),
        ("metrics   are served", metrics_ready),
    )
    for what, condition in conditions:
        _until(lambda condition=condition: condition(known), what, within)  # type: ignore[misc]
        say(what)


def worker_ready(known: Settings) -> bool:
    """One worker or several have all partitions between them."""
    answers = announced.answering(known, "worker")
    opened = {entry["partition"] for answer in answers for entry in answer.status["partitions"]}
    return len(opened) == known.partitions


def adapters_ready(known: Settings) -> bool:
    """Each adapter answers, reaches its target and has partitions to read."""
    ready = {
        answer.status["system"]
        for answer in announced.answering(known, "adapter/")
        if answer.status["partitions"] and answer.status["circuit"]["state"] == "closed"
    }
    return ready >= set(running(known))


def reference_ready(known: Settings) -> bool:
    """Who tells what the witnesses say has its partitions."""
    answers = announced.answering(known, "witness")
    return any(a.status["partitions"] and a.status["circuit"]["state"] == "closed" for a in answers)


def guard_ready(known: Settings) -> bool:
    """Who watches capture answers."""
    return bool(announced.answering(known, "guard"))


def metrics_ready(known: Settings) -> bool:
    """What Prometheus reads is there."""
    return bool(announced.answering(known, "metrics"))


def capture_ready(known: Settings) -> bool:
    """Every connector runs and is past its snapshot; EnvironmentFault when a task failed."""
    found = preparing.status_sources(known)
    for source in found:
        for task in source.tasks:
            if task.state == "FAILED":
                first = task.trace.strip().splitlines()[:1]
                raise EnvironmentFault(
                    "capture.failed",
                    f"{source.connector}: {' '.join(first)}",
                    "concord sources status --json",
                )
    return all(s.state == "RUNNING" and s.snapshot_finished for s in found)


def _until(condition: Callable[[], bool], what: str, within: float) -> None:
    deadline = time.monotonic() + within
    while not condition():
        check_alive()
        if time.monotonic() > deadline:
            raise Unavailable("up.late", f"not within {within:.0f} s: {what}", "concord status")
        time.sleep(POLL)
