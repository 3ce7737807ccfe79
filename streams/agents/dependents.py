"""Who must be decided again though nothing of its own changed: dependents of a changed reference.

    references changed --reverse index of the store--> decisions to make

Paced: the handler takes as many as a unit holds. What is dealt with is marked in the partition's state with the last
decision of it, so a crash in between only repeats decisions.
"""

from __future__ import annotations

from collections import deque

import structlog

from streams.agents.context import Context, Item
from streams.agents.state import PartitionState
from streams.core.advance import REFERENCE_KINDS
from streams.engine.store import Store

log = structlog.get_logger(__name__)


class Dependents:
    """The dependents in one partition."""

    def __init__(self, context: Context, state: PartitionState, store: Store) -> None:
        self._context = context
        self._state = state
        self._store = store
        self._sequence = 0
        self._queue: deque[Item] = deque()
        self._look_at_topic()

    @property
    def waiting(self) -> bool:
        """Whether there is something to decide, or a changed reference to look at."""
        return bool(self._queue or self._context.references.since(self._sequence)[1])

    @property
    def count(self) -> int:
        """Decisions to make, as far as they are known, and changed references nobody has looked at yet."""
        return len(self._queue) + len(self._context.references.since(self._sequence)[1])

    def due(self, room: int) -> list[Item]:
        """Up to `room` decisions."""
        if room <= 0:
            return []
        self._find()
        return [self._queue.popleft() for _ in range(min(room, len(self._queue)))]

    def note(self, item: Item) -> bool:
        """What is dealt with now that this item is decided; whether the state must be written for it."""
        if item.mark is not None:
            partition, offset = item.mark
            self._state.references[partition] = max(self._state.references.get(partition, -1), offset)
        if item.rules is not None:
            self._state.rules, self._state.toward = item.rules, ""
        if item.topic:
            self._state.reference_topic = item.topic
        return item.rules is not None or bool(item.topic)

    def _look_at_topic(self) -> None:
        """A topic `reference` that was made anew knows nothing, and the offsets noted are another one's."""
        known, now = self._state.reference_topic, self._context.references.topic_id
        if known == now:
            return
        if known:
            log.warning("references.anew", topic=now)
            self._state.references = {}
            for snapshot in self._state.snapshots.values():
                snapshot.references_done = snapshot.done
            keys = self._store.entity_keys()
            mine = (key for key in keys if key.split(b"/", 1)[0].decode() in REFERENCE_KINDS)
            self._queue.extend(Item(key, True, True, anew=True) for key in mine)
        # Noted with the last of them: a restart in between begins again.
        self._queue.append(Item(b"", True, True, topic=now))

    def _find(self) -> None:
        self._sequence, changes = self._context.references.since(self._sequence)
        silent: dict[int, int] = {}
        for name, partition, offset in changes:
            if offset <= self._state.references.get(partition, -1):
                continue
            keys = self._store.dependents(name)
            silent[partition] = offset
            if not keys:
                continue
            del silent[partition]
            self._queue.extend(Item(key, True, True) for key in keys[:-1])
            # Marks move in order of a reference partition, so a crash in between only repeats decisions.
            self._queue.append(Item(keys[-1], True, True, (partition, offset)))
        # Nobody looked at these yet; who comes later sees them as they are. Unmarked, each restart would ask again.
        self._queue.extend(Item(b"", True, True, mark) for mark in silent.items())
