"""How fast requests may go out: evenly, at most so many a second, whichever thread sends them.

Time comes as an argument; the caller waits. Stands before the API's own limit, whose 429 is answered by waiting.
"""

from __future__ import annotations

import threading


class Pace:
    """Gives every request its own moment."""

    def __init__(self, rate: float) -> None:
        self._between = 1.0 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, now: float) -> float:
        """Seconds until the caller's request may go out."""
        with self._lock:
            moment = max(now, self._next)
            self._next = moment + self._between
        return moment - now
