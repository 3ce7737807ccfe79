"""What day it is in a partition, and what is due by time alone.

    commit dates, ticks --> [as-of date] --> decide      ticks, the store's index by date --> decisions to make

'Today' is the newest commit date or tick seen: the core reads no clock, and a replay sees the same days. Only a tick
makes something due: what it would withdraw was counted before (`proposal`). The date and the newest tick stand in the
partition's state, what is due in the store; a restart looks at both.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from streams.agents.address import Address
from streams.agents.context import Context, Item
from streams.agents.control import AHEAD, Tick, TickCounted, TickProposed
from streams.agents.proposal import Judge, Tally
from streams.agents.state import PartitionState
from streams.core.entity import APPLIED, CONTRACT, SUPERSEDED, SYSTEM
from streams.engine.producer import Output
from streams.engine.store import Store

DAY_US = 86_400_000_000
AHEAD_US = AHEAD // timedelta(microseconds=1)
CONTRACT_KEY = f"{SYSTEM}/{CONTRACT}".encode()


class Calendar:
    """The days of one partition."""

    def __init__(
        self, number: int, context: Context, state: PartitionState, store: Store, address: Address
    ) -> None:
        self._state = state
        self._store = store
        self._after = b""
        self._review_due = context.authority.review_due if context.places(CONTRACT.encode()) == number else ""
        self._review = False
        self.tally = Tally(number, state, store, address)
        self._judge = Judge(context, state, address)
        # A restart between a tick and its decisions: what is still in the index is due.
        self.sweeping = bool(store.due(state.ticked, 1))

    def committed(self, committed_us: int, received_us: int) -> None:
        """A change was committed at this time. A date never goes back, so that a source whose clock is wrong must not
        carry the partition further than a tick could."""
        self._rise(_date_of(min(committed_us, received_us + AHEAD_US) // DAY_US))

    @property
    def waiting(self) -> bool:
        """Whether there is something to decide, or to count."""
        return self.sweeping or self._review or self.tally.counting

    def hear(self, said: Tick | TickProposed | TickCounted, outputs: list[Output]) -> str:
        """A record of the clock; its outcome."""
        match said:
            case Tick():
                return self._tick(said)
            case TickProposed():
                return self.tally.propose(said)
            case TickCounted():
                return self._judge.hear(said, outputs)

    def _tick(self, tick: Tick) -> str:
        if tick.as_of <= self._state.ticked:
            return SUPERSEDED
        self._state.ticked = tick.as_of
        self._rise(tick.as_of)
        self._review = bool(self._review_due) and tick.as_of > self._review_due
        self.sweeping, self._after = bool(self._store.due(tick.as_of, 1)), b""
        return APPLIED

    def _rise(self, date: str) -> None:
        """It is this date, unless it was a later one already."""
        if date > self._state.as_of:
            self._state.as_of = date

    def due(self, room: int) -> list[Item]:
        """What is to be decided by time alone, then what is only looked at under a proposed date."""
        items = self._contract(room)
        items += self._sweep(room - len(items))
        return items + self.tally.due(room - len(items))

    def _contract(self, room: int) -> list[Item]:
        """A contract whose review is overdue is looked at once a day, where its entity lives."""
        if not self._review or room <= 0:
            return []
        self._review = False
        return [Item(CONTRACT_KEY, True)]

    def _sweep(self, room: int) -> list[Item]:
        """What is due, by date. A decision takes its entity out of the index; a dirty one stays there until its own
        transaction is over, so the next look begins behind it."""
        if not self.sweeping or room <= 0:
            return []
        found = self._store.due(self._state.ticked, room, self._after)
        if found:
            date, key = found[-1]
            self._after = f"{date}/".encode() + key
        self.sweeping = len(found) == room
        return [Item(key, True, True, due=date) for date, key in found]


_DATES: dict[int, str] = {}


def _date_of(day: int) -> str:
    text = _DATES.get(day)
    if text is None:
        text = _DATES[day] = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
    return text
