"""The ledger: every transaction the load asked for, and what the master answered.

Each transaction gives the providers it touches a new token, a number that rises per provider in commit order
(it is drawn under the lock of the provider's row). The oracle holds every view against it.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What became of a transaction; in doubt: the connection broke while it was being committed."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    IN_DOUBT = "in doubt"


@dataclass(slots=True)
class Ledger:
    """Written by the load's threads, read by the oracle once these are still."""

    counts: Counter[Outcome] = field(default_factory=Counter)
    _drawn: Counter[str] = field(default_factory=Counter)
    _outcomes: dict[str, dict[int, Outcome]] = field(default_factory=lambda: defaultdict(dict))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def draw(self, provider: str) -> int:
        """The provider's next token."""
        with self._lock:
            self._drawn[provider] += 1
            return self._drawn[provider]

    def settle(self, tokens: Iterable[tuple[str, int]], outcome: Outcome) -> None:
        """What became of the transaction that wrote these tokens."""
        with self._lock:
            self.counts[outcome] += 1
            for provider, token in tokens:
                self._outcomes[provider][token] = outcome

    @property
    def acknowledged(self) -> int:
        """Transactions the master confirmed."""
        return self.counts[Outcome.ACKNOWLEDGED]

    def may_show(self, provider: str, token: int) -> bool:
        """Whether a view may hold this token: not one that was rolled back, or never written."""
        outcome = self._outcomes[provider].get(token)
        return outcome in (Outcome.ACKNOWLEDGED, Outcome.IN_DOUBT)

    def newest(self) -> dict[str, int]:
        """provider -> its newest acknowledged token: what must be there at least."""
        confirmed = {
            provider: [token for token, outcome in tokens.items() if outcome is Outcome.ACKNOWLEDGED]
            for provider, tokens in self._outcomes.items()
        }
        return {provider: max(tokens) for provider, tokens in confirmed.items() if tokens}
