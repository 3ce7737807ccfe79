"""A target in memory: the port's contract without a database.

For tests and for trying a request builder by hand; passes the same contract suite as the relational targets
(tests/contract/test_targets.py). `refuses` and `fault` play a bad view and a target that is down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import TypeAlias

from connectors.sink import (
    Applied,
    Batch,
    Deferred,
    Outcome,
    Partition,
    Refused,
    Request,
    Row,
    Superseded,
    View,
)
from streams.errors import ConcordError

Key: TypeAlias = tuple[str, str]


@dataclass(slots=True)
class Entity:
    """What is held of one entity: its newest content, and the children of its newest view."""

    local_id: int
    revision: int
    root: Row | None
    children: tuple[Row, ...]


@dataclass(slots=True)
class State:
    """Everything a transaction changes; copied before, swapped in after."""

    entities: dict[Key, Entity] = field(default_factory=dict)
    pending: dict[Key, tuple[View, str]] = field(default_factory=dict)
    offsets: dict[Partition, int] = field(default_factory=dict)

    def copy(self) -> State:
        return State(dict(self.entities), dict(self.pending), dict(self.offsets))


class MemoryTarget:
    """See connectors.sink.Target for the contract. `given`: references that are there without a view."""

    def __init__(
        self,
        build: Callable[[View], Request],
        given: Iterable[str] = (),
        refuses: Callable[[View], bool] = lambda view: False,
    ) -> None:
        self.state = State()
        self.given = set(given)
        self.refuses = refuses
        self.fault: ConcordError | None = None
        self._build = build
        self._ids = count(1)

    def apply(self, batch: Batch) -> list[Outcome]:
        self._answer()
        before = self.state
        self.state = before.copy()
        try:
            outcomes = [self._one(view) for view in batch.views]
        except Refused:
            self.state = before
            raise
        self._discard(batch.discard)
        self._store(batch)
        return outcomes

    def release(self) -> list[View]:
        self._answer()
        free = [view for view, waits_for in self.state.pending.values() if self._is_there(waits_for)]
        return sorted(free, key=lambda view: view.identity)[:1000]

    def offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        self._answer()
        return {p: self.state.offsets[p] for p in partitions if p in self.state.offsets}

    def close(self) -> None:
        """Nothing to give up."""

    def _one(self, view: View) -> Outcome:
        held, waiting = self.state.entities.get(view.identity), self.state.pending.get(view.identity)
        if (held and view.revision <= held.revision) or (waiting and view.revision < waiting[0].revision):
            return Superseded()
        if self.refuses(view):
            raise Refused("target.value", f"{view.kind}: refused", "correct the value at its owner")
        request = self._build(view)
        missing = sorted(ref for ref in request.needs if not self._is_there(ref))
        if missing:
            self.state.pending[view.identity] = (view, missing[0])
            return Deferred(missing[0])
        self._write(request, held)
        return Applied()

    def _write(self, request: Request, held: Entity | None) -> None:
        view = request.view
        if held is None and view.withdrawn:
            self.state.pending[view.identity] = (view, "")  # only guards against older views
            return
        local_id = held.local_id if held else next(self._ids)
        root = request.root or (held.root if held else None)
        self.state.entities[view.identity] = Entity(local_id, view.revision, root, request.children)
        self._discard([view])

    def _is_there(self, reference: str) -> bool:
        kind, _, name = reference.partition("/")
        return reference in self.given or (kind, name) in self.state.entities

    def _discard(self, views: Iterable[View]) -> None:
        for view in views:
            waiting = self.state.pending.get(view.identity)
            if waiting and waiting[0].revision <= view.revision:
                del self.state.pending[view.identity]

    def _store(self, batch: Batch) -> None:
        for partition, offset in batch.offsets.items():
            for other in [p for p in self.state.offsets if p[:2] == partition[:2] and p != partition]:
                del self.state.offsets[other]
            self.state.offsets[partition] = max(offset, self.state.offsets.get(partition, 0))

    def _answer(self) -> None:
        if self.fault is not None:
            raise self.fault
