"""What the console reads and does, as ports: `live` has them from a running platform, `memory` from invented data.

Every method answers at once (no topic is read for a page) or raises ConcordError, which becomes a page with what, why
and the next step. An act is done whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from connectors.stewardship.verdict import Word
from streams.operate.explain import Explanation
from streams.operate.handoffs import Overview
from streams.operate.parity import Parity
from streams.operate.quarantine.ask import Listing, Shown
from streams.operate.quarantine.chosen import Asked
from streams.operate.quarantine.handle import Handled
from streams.operate.reveal import Place
from streams.operate.status import Status
from streams.operate.trace import Trace
from streams.operate.worklist.case import Case, Page, Sums, Wanted
from streams.operate.worklist.handling import Said

MOST_PROPOSALS = 500


@dataclass(frozen=True, slots=True)
class Look:
    """Everything at one moment. `number` grows with each look; `why`: nobody could look, or a part is unknown."""

    number: int = 0
    at: float = 0.0
    status: Status | None = None
    parity: Parity | None = None
    why: str = ""
    handoffs: Overview | None = None


class Freshness(Protocol):
    """How fresh every system is."""

    def newest(self) -> Look:
        """The newest look; looking happens elsewhere."""


class Worklist(Protocol):
    """Open findings, and people's words on them."""

    def page(self, wanted: Wanted) -> Page:
        """One page; InvalidInput where a filter has no such value."""

    def one(self, number: str) -> Case | None:
        """The finding of this name, while it is open."""

    def sums(self) -> Sums:
        """How many are open of what."""

    def say(self, cases: Sequence[Case], said: Said) -> None:
        """For all of them or for none: Stale where one is not as it was looked at."""


class Providers(Protocol):
    """One entity, whole."""

    def named(self, key: str) -> list[str]:
        """Which entities a key stands for, as kind/id."""

    def explain(self, key: str) -> list[Explanation]:
        """What a key stands for; restricted values are masked."""

    def trace(self, key: str) -> list[Trace]:
        """Its last revisions."""

    def reveal(self, place: Place) -> str:
        """One restricted value in the clear."""


class Quarantine(Protocol):
    """Records that could not be used."""

    def listing(self, asked: Asked, limit: int) -> Listing:
        """The newest so many of them."""

    def show(self, origin: str) -> Shown:
        """One of them."""

    def replay(self, asked: Asked, by: str, *, apply: bool) -> Handled:
        """Send them back, or only say which would be."""

    def discard(self, asked: Asked, reason: str, by: str, *, apply: bool) -> Handled:
        """Mark them as dealt with otherwise, or only say which would be."""


class Proposals(Protocol):
    """What non-owners propose. Four eyes: who may sign is decided by connectors/stewardship/verdict.py."""

    def waiting(self) -> int:
        """How many wait for somebody's word."""

    def listed(self, *, everything: bool, most: int = MOST_PROPOSALS) -> list[dict[str, Any]]:
        """The open ones, or all: the oldest so many."""

    def show(self, number: int) -> dict[str, Any]:
        """One, with who signed and who must."""

    def say(self, number: int, word: Word, seen: str) -> None:
        """One person's word; InvalidInput where it doesn't count, or what they saw has changed."""

    def comment(self, number: int, by: str, body: str) -> None:
        """A remark."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of an audit."""

    number: int
    at: str
    who: str
    what: str
    about: str
    why: str
    detail: Mapping[str, Any]


class Audit(Protocol):
    """Who did what, when and why. An act whose entry can't be written does not happen."""

    def act(
        self, who: str, what: str, why: str, about: str, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> AbstractContextManager[object]:
        """The act stands inside; entered only once its entry is written. Never a restricted value."""

    def entries(self, who: str, limit: int) -> list[Entry]:
        """The newest so many, of everybody or of one person."""


@dataclass(frozen=True, slots=True)
class Desk:
    """All of it."""

    freshness: Freshness
    worklist: Worklist
    providers: Providers
    quarantine: Quarantine
    proposals: Proposals
    audit: Audit
