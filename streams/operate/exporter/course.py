"""Which way a hop's lag goes: how fast the worst partition's grows, and how long until it has caught up.

    Hop, again and again --note--> lag of each partition over the last minutes --pace--> Pace

Pure: times are arguments.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from streams.operate.standing import Hop

WINDOW = 120.0
"""Seconds that a velocity is taken over: longer than a burst, shorter than an operator waits."""
FLOWING = 5.0
"""Seconds: what has waited no longer than this is on its way, and nothing has to be caught up with."""

Input = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Pace:
    """velocity: records a second by which the lag of the worst partition grows; catch_up: seconds, or infinity."""

    velocity: float
    catch_up: float


class Course:
    """The lags of all hops over the last minutes."""

    def __init__(self) -> None:
        self._seen: dict[Input, deque[tuple[float, int]]] = {}

    def note(self, hop: Hop, now: float) -> None:
        """A lag that isn't known ends what was known of it."""
        for each in hop.inputs:
            key = (hop.name, each.topic, each.partition)
            if each.lag_records is None:
                self._seen.pop(key, None)
                continue
            seen = self._seen.setdefault(key, deque())
            seen.append((now, each.lag_records))
            while now - seen[0][0] > WINDOW:
                seen.popleft()

    def pace(self, hop: Hop) -> Pace | None:
        """Of the worst partition; None while a lag is unknown or was seen only once."""
        paces = [
            self._of((hop.name, each.topic, each.partition), each.lag_seconds or 0.0) for each in hop.inputs
        ]
        known = [pace for pace in paces if pace is not None]
        if not known or len(known) < len(paces):
            return None
        return max(known, key=lambda pace: (pace.catch_up, pace.velocity))

    def _of(self, key: Input, oldest: float) -> Pace | None:
        seen = self._seen.get(key)
        if seen is None or len(seen) < 2:
            return None
        (then, before), (now, lag) = seen[0], seen[-1]
        velocity = (lag - before) / (now - then)
        if not lag or oldest < FLOWING:
            return Pace(velocity, 0.0)
        return Pace(velocity, lag / -velocity if velocity < 0 else math.inf)
