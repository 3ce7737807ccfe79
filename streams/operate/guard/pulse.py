"""The canary's way through the hops, by this process's own clock: written, captured, decided, applied.

    wrote(beat) ... reached(hop, beat) --beats--> age and lateness of each hop

Ages are counted from the moment this process saw its own write committed, so no two clocks are compared. Pure: times
are arguments. Written by the threads that beat and ask, read by those that judge and answer.
"""

from __future__ import annotations

import threading
from collections import deque

from streams.operate.guard.facts import HOPS, Beats

KEPT = 3_600
"""Canaries remembered: an hour's; a hop that is later than that is at least an hour late."""


class Pulse:
    """One source's canary."""

    def __init__(self) -> None:
        self._written: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self._reached: dict[str, int] = {}
        self._asked: dict[str, float] = {}
        self._lock = threading.Lock()
        self.fault = ""

    def wrote(self, beat: int, now: float) -> None:
        """Committed."""
        with self._lock:
            if self._written and beat <= self._written[-1][0]:
                self._written.clear()  # the source was restored: it counts from an older number on
                self._reached.clear()
            self._written.append((beat, now))
        self.fault = ""

    def failed(self, why: str) -> None:
        """Not committed."""
        self.fault = why

    def reached(self, hop: str, beat: int, asked: float | None = None) -> None:
        """A canary has got this far; `asked`: when somebody was asked, for a hop that is only asked now and then."""
        if asked is not None:
            self._asked[hop] = asked
        with self._lock:
            if self._written and beat <= self._written[-1][0] + KEPT:
                self._reached[hop] = max(beat, self._reached.get(hop, 0))

    def silent(self, hop: str) -> None:
        """Nobody answers for the hop: from now on its canaries grow old."""
        self._asked.pop(hop, None)

    def at(self, hop: str) -> int:
        """The newest canary that has reached the hop."""
        return self._reached.get(hop, 0)

    def beats(self, now: float) -> Beats:
        """How it fares now; before the first was written, nobody can say."""
        with self._lock:
            written = list(self._written)
        if not written:
            return Beats(fault=self.fault)
        ages, late = {}, {}
        for hop in HOPS:
            reached, moment = self._reached.get(hop, 0), self._asked.get(hop, now)
            before = [at for beat, at in written if beat <= reached]
            after = next((at for beat, at in written if beat > reached), None)
            ages[hop] = max(moment - (before[-1] if before else written[0][1]), 0.0)
            late[hop] = max(moment - after, 0.0) if after is not None else 0.0
        return Beats(ages, late, self.fault, frozenset(HOPS) - self._reached.keys())
