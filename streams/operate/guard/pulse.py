"""The canary's way through the hops, by this process's own clock: written, captured, decided, applied.

    wrote(beat) ... reached(hop, beat) --beats--> age and lateness of each hop

Ages are counted from the moment this process saw its own write committed, so no two clocks are compared. Pure: times
are arguments.
"""

from __future__ import annotations

from collections import deque

from streams.operate.guard.facts import HOPS, Beats

KEPT = 3_600
"""Canaries remembered: an hour's; a hop that is later than that is at least an hour late."""


class Pulse:
    """One source's canary."""

    def __init__(self) -> None:
        self._written: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self._reached: dict[str, int] = {}
        self.fault = ""

    def wrote(self, beat: int, now: float) -> None:
        """Committed."""
        if self._written and beat <= self._written[-1][0]:
            self._written.clear()  # the source was restored: it counts from an older number on
            self._reached.clear()
        self._written.append((beat, now))
        self.fault = ""

    def failed(self, why: str) -> None:
        """Not committed."""
        self.fault = why

    def reached(self, hop: str, beat: int) -> None:
        """A canary has got this far."""
        if self._written and beat <= self._written[-1][0] + KEPT:
            self._reached[hop] = max(beat, self._reached.get(hop, 0))

    def at(self, hop: str) -> int:
        """The newest canary that has reached the hop."""
        return self._reached.get(hop, 0)

    def beats(self, now: float) -> Beats:
        """How it fares now; before the first was written, nobody can say."""
        if not self._written:
            return Beats(fault=self.fault)
        ages, late = {}, {}
        for hop in HOPS:
            reached = self._reached.get(hop, 0)
            before = [at for beat, at in self._written if beat <= reached]
            after = next((at for beat, at in self._written if beat > reached), None)
            ages[hop] = now - (before[-1] if before else self._written[0][1])
            late[hop] = now - after if after is not None else 0.0
        return Beats(ages, late, self.fault)
