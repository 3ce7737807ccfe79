"""The arithmetic of the KPIs: durations, histograms, and how long each finding stood. Pure.

A figure that rests on too little says so: durations that began before what is kept are counted apart, never guessed.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

HOUR, DAY = 3_600.0, 86_400.0
AGES: Mapping[str, float] = {
    "under 1 h": HOUR,
    "under 1 d": DAY,
    "under 7 d": 7 * DAY,
    "under 30 d": 30 * DAY,
}
OLDER = "30 d and more"
OPENED, CLOSED = "opened", "closed"


@dataclass(frozen=True, slots=True)
class Spread:
    """Durations in seconds: how many, and where they lie. None where there is none."""

    count: int
    mean: float | None = None
    p50: float | None = None
    p95: float | None = None
    longest: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """A histogram: at least half, and 95 %, took at most so long; None: longer than its last bound, or nothing yet."""

    count: int
    mean: float | None = None
    p50_at_most: float | None = None
    p95_at_most: float | None = None


def spread(durations: Iterable[float]) -> Spread:
    """Of single durations: nearest rank, so that each figure is one that happened."""
    found = sorted(durations)
    if not found:
        return Spread(0)
    return Spread(
        len(found),
        _shown(math.fsum(found) / len(found)),
        _rank(found, 0.5),
        _rank(found, 0.95),
        _shown(found[-1]),
    )


def _rank(found: Sequence[float], share: float) -> float:
    return _shown(found[max(math.ceil(share * len(found)) - 1, 0)])


def _shown(seconds: float) -> float:
    return round(seconds, 3)


def measured(buckets: Mapping[float, float], total: float) -> Measured:
    """Of a histogram: upper bound -> how many took at most that; the last bound is infinity, with all of them."""
    count = int(max(buckets.values(), default=0))
    if not count:
        return Measured(0)
    return Measured(count, _shown(total / count), _bound(buckets, count, 0.5), _bound(buckets, count, 0.95))


def _bound(buckets: Mapping[float, float], count: int, share: float) -> float | None:
    """The first bound that this share of all stays within."""
    bounds = sorted(buckets)
    place = bisect_left([buckets[bound] for bound in bounds], math.ceil(share * count))
    return bounds[place] if math.isfinite(bounds[place]) else None


@dataclass(frozen=True, slots=True)
class Cause:
    """The findings of one code. Ages are at least so much where the opening is no longer kept (`at_least`)."""

    code: str
    open: int
    ages: Mapping[str, int]
    oldest_seconds: float | None
    at_least: int
    closed: Spread
    """how long those stood that closed in the time asked for, where their opening is kept"""
    closed_older: int
    """closed in that time, opened before what is kept"""


@dataclass(slots=True)
class Stood:
    """How long findings stood, from their records in order of a partition: each record of a key once, oldest first."""

    since: float
    _open: dict[Hashable, tuple[str, float, bool]] = field(default_factory=dict)
    """key -> code, the first that is kept of it, whether that is its opening"""
    _closed: dict[str, list[float]] = field(default_factory=dict)
    _older: Counter[str] = field(default_factory=Counter)

    def take(self, key: Hashable, code: str, state: str, at: float) -> None:
        """The next record. A finding that opens while it is open, as after a replay, goes on from its first opening."""
        before = self._open.get(key)
        if state != CLOSED:
            if before is None:
                self._open[key] = (code, at, state == OPENED)
            return
        self._open.pop(key, None)
        if at < self.since:
            return
        if before is None or not before[2]:
            self._older[code] += 1
        else:
            self._closed.setdefault(code, []).append(max(at - before[1], 0.0))

    def gone(self, key: Hashable) -> None:
        """A tombstone: nothing is open under this key."""
        self._open.pop(key, None)

    def causes(self, now: float) -> list[Cause]:
        """By code, the one with most open findings first."""
        by_code: dict[str, list[tuple[float, bool]]] = {}
        for code, began, exact in self._open.values():
            by_code.setdefault(code, []).append((max(now - began, 0.0), exact))
        codes = by_code.keys() | self._closed.keys() | self._older.keys()
        found = [self._cause(code, by_code.get(code, [])) for code in codes]
        return sorted(found, key=lambda cause: (-cause.open, -cause.closed.count, cause.code))

    def _cause(self, code: str, standing: Sequence[tuple[float, bool]]) -> Cause:
        ages = [age for age, _ in standing]
        return Cause(
            code, len(ages), by_age(ages), _shown(max(ages)) if ages else None,
            sum(not exact for _, exact in standing), spread(self._closed.get(code, ())), self._older[code],
        )  # fmt: skip

    def persisted(self) -> tuple[Spread, int]:
        """Over all codes: how long those stood that closed in the time asked for, and how many began too long ago."""
        every = (seconds for found in self._closed.values() for seconds in found)
        return spread(every), self._older.total()


def by_age(ages: Iterable[float]) -> dict[str, int]:
    """How many of each age, the youngest first; every one in exactly one class."""
    names, bounds = [*AGES, OLDER], list(AGES.values())
    counted = Counter(names[bisect_right(bounds, age)] for age in ages)
    return {name: counted[name] for name in names}
