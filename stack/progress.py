"""What the user sees while services are fetched and started: one line a fact on stderr, tty or not."""

from __future__ import annotations

import sys
import threading
from typing import TextIO


class Progress:
    """Lines that stay (`say`) and, on a terminal, one line that is overwritten (`passing`)."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._terminal = self._stream.isatty()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        self._write(f"\r\x1b[K{text}\n" if self._terminal else f"{text}\n")

    def passing(self, text: str) -> None:
        self._write(f"\r\x1b[K{text[:100]}" if self._terminal else f"{text}\n")

    def _write(self, text: str) -> None:
        if self._quiet:
            return
        with self._lock:
            self._stream.write(text)
            self._stream.flush()
