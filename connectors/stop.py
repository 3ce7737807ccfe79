"""A long running process of the edge is told to stop by SIGTERM or SIGINT, and stops within what it is doing."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from streams.errors import ConcordError


def on_signals() -> threading.Event:
    """Set once this process is told to stop."""
    stop = threading.Event()

    def handler(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handler)
    signal.signal(signal.SIGINT, handler)
    return stop


class Stopped(ConcordError):
    """Told to stop in the middle of a batch: nothing of it is stored, all of it is read again."""

    def __init__(self) -> None:
        super().__init__("adapter.stopped", "told to stop")
