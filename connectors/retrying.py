"""Trying again: at once for a passing fault, later for a target that is down.

    Delivery -> Retrying(Target) -> RelationalTarget        a deadlock, a lost race: again within the second
    run.Adapter -> Circuit                                  down: read nothing, try now and then, no limit

`Circuit` is pure: time comes as an argument. A system fault never becomes a receipt and never gives up.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from connectors.sink import Batch, Outcome, Partition, Target, View
from streams.errors import ConcordError, Unavailable

State: TypeAlias = Literal["closed", "open", "half_open"]
Wait: TypeAlias = Callable[[float], object]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays that double up to `most`, each by half at random, so that processes do not march in step."""

    first: float = 0.05
    most: float = 5.0

    def delay(self, attempt: int, share: float) -> float:
        """`attempt` from 0, `share` between 0 and 1 (random)."""
        full = min(self.most, self.first * 2.0 ** min(attempt, 30))
        return float(full * (0.5 + share / 2))


class Retrying:
    """A Target that tries a passing fault again a few times before it tells anybody."""

    def __init__(self, target: Target, wait: Wait, attempts: int = 4, backoff: Backoff | None = None) -> None:
        self._target = target
        self._wait = wait
        self._attempts = attempts
        self._backoff = backoff or Backoff(most=0.4)

    def apply(self, batch: Batch) -> list[Outcome]:
        return self._again(lambda: self._target.apply(batch))

    def release(self) -> list[View]:
        return self._again(self._target.release)

    def offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        return self._again(lambda: self._target.offsets(partitions))

    def close(self) -> None:
        self._target.close()

    def _again(self, call: Callable[[], T]) -> T:
        for attempt in range(self._attempts - 1):
            try:
                return call()
            except Unavailable as fault:
                if fault.retry_after:
                    raise  # not within the second: the circuit waits as long as it is asked to
                self._wait(self._backoff.delay(attempt, random.random()))  # noqa: S311
        return call()


LASTING = 30.0
"""Seconds without an answer after which a person should know; a restart of the target is over by then."""


@dataclass(slots=True)
class Circuit:
    """Whether the target may be asked: closed (yes), open (not before `retry_at`), half open (one try)."""

    backoff: Backoff = field(default_factory=lambda: Backoff(first=0.2))
    state: State = "closed"
    failures: int = 0
    retry_at: float = 0.0
    since: float = 0.0
    """when the first of the failures was"""
    fault: ConcordError | None = None

    def admits(self, now: float) -> bool:
        if self.state == "open" and now >= self.retry_at:
            self.state = "half_open"
        return self.state != "open"

    def failed(self, fault: ConcordError, now: float, share: float) -> None:
        self.since = self.since if self.failures else now
        self.retry_at = now + max(self.backoff.delay(self.failures, share), fault.retry_after)
        self.failures += 1
        self.fault, self.state = fault, "open"

    @property
    def lasts(self) -> bool:
        """Whether the budget of tries is used up: it isn't asked again before so long has passed."""
        return self.failures > 0 and self.retry_at - self.since >= LASTING

    def succeeded(self) -> None:
        self.state, self.failures, self.fault = "closed", 0, None
