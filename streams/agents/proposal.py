"""A tick in two phases: what a date would withdraw is counted before it is told.

    tick-proposed --> [Tally: every partition] --tick-counted--> [Judge: partition 0] --> tick to every partition,
                                                                                          or stops and asks

A tally decides what the date makes due without keeping anything of it, paced like any sweep. Proposal, answers and a
stop stand in the partitions' states and go out in their transactions: a restart or a record told twice changes nothing.
"""

from __future__ import annotations

import structlog
from msgspec import Struct

from streams.agents import control
from streams.agents.address import Address
from streams.agents.context import Context, Item
from streams.agents.control import Tick, TickCounted, TickProposed
from streams.agents.state import Count, PartitionState
from streams.core.entity import APPLIED, SUPERSEDED
from streams.engine.producer import Output
from streams.engine.store import Store

log = structlog.get_logger(__name__)


class Tally:
    """What a proposed date would withdraw in one partition."""

    def __init__(self, number: int, state: PartitionState, store: Store, address: Address) -> None:
        self._number = number
        self._state = state
        self._store = store
        self._address = address
        self._begin()
        if state.providers < 0:
            state.providers = sum(1 for key in store.entity_keys() if key.startswith(b"provider/"))

    def _begin(self) -> None:
        """A restart counts anew: what it had counted so far stands nowhere."""
        self.counting = self._state.proposed is not None
        self._after, self._due, self._withdrawn = b"", 0, 0

    def propose(self, proposed: TickProposed) -> str:
        """Another date is proposed; the record's outcome."""
        if proposed.as_of <= self._state.ticked:
            return SUPERSEDED
        self._state.proposed = (proposed.as_of, proposed.id)
        self._begin()
        return APPLIED

    def due(self, room: int) -> list[Item]:
        """What the proposed date makes due, page by page."""
        if not self.counting or self._state.proposed is None or room <= 0:
            return []
        as_of, _ = self._state.proposed
        found = self._store.due(as_of, room, self._after)
        if found:
            date, key = found[-1]
            self._after = f"{date}/".encode() + key
        self._due += len(found)
        self.counting = len(found) == room
        return [Item(key, True, True, proposed=as_of) for _, key in found]

    def note(self, withdraws: bool) -> None:
        """One of them was looked at."""
        self._withdrawn += withdraws

    def answer(self) -> list[Output]:
        """The counts, once all of it was looked at."""
        proposed = self._state.proposed
        if self.counting or proposed is None:
            return []
        self._state.proposed = None
        if proposed[0] <= self._state.ticked:
            return []  # told meanwhile
        counted = TickCounted(*proposed, self._number, self._due, self._withdrawn, self._state.providers)
        return [self._address.clock(b"tick-counted", control.encode(counted), 0)]


class Asked(Struct, frozen=True):
    """A proposed date that has not been told: what the partitions that answered would withdraw under it."""

    as_of: str
    ids: list[str]
    """of the proposals that were answered: one, unless two were made at once"""
    answered: list[int]
    due: int
    withdrawn: int
    providers: int
    stopped: bool
    """too much for nobody to be asked: a person confirms it"""


def asked(state: PartitionState) -> Asked | None:
    """What partition 0 knows of the newest proposal; None when there is none, or it was told."""
    as_of = max((count.as_of for count in state.counts.values()), default="")
    if as_of <= state.ticked:
        return None
    counts = {partition: count for partition, count in state.counts.items() if count.as_of == as_of}
    return Asked(
        as_of,
        sorted({count.id for count in counts.values()}),
        sorted(counts),
        sum(count.due for count in counts.values()),
        sum(count.withdrawn for count in counts.values()),
        sum(count.providers for count in counts.values()),
        state.stopped == as_of,
    )


class Judge:
    """What partition 0 makes of the answers."""

    def __init__(self, context: Context, state: PartitionState, address: Address) -> None:
        self._context = context
        self._state = state
        self._address = address

    def hear(self, counted: TickCounted, outputs: list[Output]) -> str:
        """A partition has answered; the record's outcome."""
        known = self._state.counts.get(counted.partition)
        if counted.as_of <= self._state.ticked or (known is not None and counted.as_of < known.as_of):
            return SUPERSEDED
        self._state.counts[counted.partition] = Count(
            counted.as_of, counted.id, counted.due, counted.withdrawn, counted.providers
        )
        found = asked(self._state)
        if found is not None and len(found.answered) == self._context.partitions:
            outputs += self._ruling(found)
        return APPLIED

    def _ruling(self, found: Asked) -> list[Output]:
        least, share = self._context.withdraw_least, self._context.withdraw_share
        if found.withdrawn >= least and found.withdrawn > share * found.providers:
            self._stop(found)
            return []
        self._state.stopped = ""
        value = control.encode(Tick(found.as_of, "proposal"))
        return [self._address.clock(b"tick", value, p) for p in range(self._context.partitions)]

    def _stop(self, found: Asked) -> None:
        """Said once a date; a tick that a person confirms goes on from here."""
        if self._state.stopped == found.as_of:
            return
        self._state.stopped = found.as_of
        log.error(
            "clock.stopped",
            as_of=found.as_of,
            withdrawn=found.withdrawn,
            providers=found.providers,
            next_step=f"look at what ends, then: concord clock tick --as-of {found.as_of} --confirm",
        )
