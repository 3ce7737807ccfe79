"""What day it is in a partition, and what is due by time alone.

    commit dates, ticks --> [as-of date] --> decide       the store's index by date --> decisions to make

'Today' is the newest commit date or tick seen: the core reads no clock, and a replay sees the same days. The date and
the newest tick stand in the partition's state, what is due in the store; a restart looks at both.
"""

from __future__ import annotations

from datetime import UTC, datetime

from streams.agents.context import Item
from streams.agents.control import Tick
from streams.agents.state import PartitionState
from streams.core.entity import APPLIED, SUPERSEDED
from streams.engine.store import Store

DAY_US = 86_400_000_000


class Calendar:
    """The days of one partition."""

    def __init__(self, state: PartitionState, store: Store) -> None:
        self._state = state
        self._store = store
        self._after = b""
        # A restart between a tick and its decisions: what is still in the index is due.
        self.sweeping = bool(store.due(state.as_of, 1))

    def committed(self, committed_us: int) -> None:
        """A change was committed at this time."""
        self._rise(_date_of(committed_us // DAY_US))

    def tick(self, tick: Tick) -> str:
        """The clock says what day it is; the record's outcome."""
        if tick.as_of <= self._state.ticked:
            return SUPERSEDED
        self._state.ticked = tick.as_of
        self._rise(tick.as_of)
        return APPLIED

    def _rise(self, date: str) -> None:
        """It is this date, unless it was a later one already: what was due on the way there is swept."""
        if date > self._state.as_of:
            self._state.as_of = date
            self.sweeping, self._after = bool(self._store.due(date, 1)), b""

    def due(self, room: int) -> list[Item]:
        """What is due by time alone, by date. A decision takes its entity out of the index; a dirty one stays there
        until its own transaction is over, so the next look begins behind it."""
        if not self.sweeping or room <= 0:
            return []
        found = self._store.due(self._state.as_of, room, self._after)
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
