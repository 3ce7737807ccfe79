"""Restarts a process of the platform that had to exit or was killed, with backoff; passes SIGTERM and SIGINT on.

Worker, adapters and `reference follow` run under it. A worker leaves when it was fenced or its client is beyond repair
(design: exit without committing). The supervisor is a separate process, so nothing of the dead one's state survives.
Never restarts one that stopped on request, or that says a person must act first (exit codes 2 and 3).
"""

from __future__ import annotations

import contextlib
import ctypes
import signal
import subprocess
import sys
import time
from types import FrameType

import structlog

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = (0.2, 1.0, 2.0, 5.0, 15.0)
PR_SET_PDEATHSIG = 1
STEADY_SECONDS = 60.0
"""A process that lived this long starts the backoff anew."""


def _end_with_parent() -> None:
    """Linux: a child whose supervisor is killed is told to stop, so that nothing is left behind that nobody knows."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run(arguments: list[str]) -> int:
    """Run `concord <arguments>` until it ends well or is told to stop; returns its exit code."""
    stopping = False
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, forward)
    failures = 0
    while True:
        started = time.monotonic()
        child = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", *arguments], preexec_fn=_end_with_parent
        )
        code = child.wait()
        if stopping or code in (0, 2, 3):
            return 0 if stopping and code < 0 else code
        failures = 0 if time.monotonic() - started > STEADY_SECONDS else failures + 1
        pause = BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS)) - 1] if failures else BACKOFF_SECONDS[0]
        log.warning(
            "process.restart",
            command=" ".join(arguments),
            exit_code=code,
            failures=failures,
            pause_seconds=pause,
        )
        deadline = time.monotonic() + pause
        while not stopping and time.monotonic() < deadline:
            time.sleep(0.05)
        if stopping:
            return 0
