"""Starts, recognises and stops processes that outlive the one that started them.

A process is its pid *and* its start: a pid that was given to another program since is never signalled.
Knows nothing of services; never touches a process it has no record of.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stack.layout import Account

POLL = 0.05

# Children of this very process: without a poll they stay zombies after their end.
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True, slots=True)
class Process:
    pid: int
    identity: str

    def alive(self) -> bool:
        _reap(self.pid)
        return identity(self.pid) == self.identity

    def signal(self, number: int) -> None:
        if self.alive():
            os.kill(self.pid, number)


@dataclass(frozen=True, slots=True)
class Command:
    argv: Sequence[str]
    environ: Mapping[str, str]
    account: Account | None = None


def start(command: Command, log: Path, folder: Path) -> Process:
    """Detached: a session of its own, so that Ctrl-C on our terminal never reaches it."""
    account = command.account
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command.argv),
            env=dict(command.environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    _children[child.pid] = child
    return Process(child.pid, identity(child.pid) or "ended")


def stop(process: Process, number: int, patience: float) -> bool:
    """Ask with `number`, then kill; True when it went by itself. A paused (SIGSTOP) process is woken."""
    process.signal(number)
    process.signal(signal.SIGCONT)
    if _gone(process, patience):
        return True
    process.signal(signal.SIGKILL)
    _gone(process, patience)
    return False


def identity(pid: int) -> str | None:
    """When the process began, in words that no later holder of the pid can share; None when there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return None if Path("/proc/self/stat").exists() else _identity_by_ps(pid)
    except ProcessLookupError:
        return None
    state, *rest = fields[fields.rindex(")") + 2 :].split()  # the name before it may hold spaces and brackets
    return None if state in "ZX" else f"{_boot()}:{rest[18]}"


def remember(process: Process, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(process)))
    fresh.rename(file)


def recall(file: Path) -> Process | None:
    """The recorded process if it still lives."""
    try:
        process = Process(**json.loads(file.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if process.alive() else None


def _gone(process: Process, patience: float) -> bool:
    return until(lambda: not process.alive(), patience)


def until(condition: Callable[[], bool], patience: float) -> bool:
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return True


def _reap(pid: int) -> None:
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        del _children[pid]


def _boot() -> str:
    """Start times count from boot; the id tells boots apart."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]


def _identity_by_ps(pid: int) -> str | None:
    asked = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    words = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split()
    return None if not words or words[0].startswith("Z") else " ".join(words[1:])
