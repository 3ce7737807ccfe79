"""Delivery: a chunk of sink records into a target, each with exactly one outcome (Invariant 5).

    Chunk --newest--> Batch --Target.apply--> outcomes
                        \\-- refused: halves, until the bad view stands alone --> receipt --> offsets

Order of effects: views, then confirmed receipts, then offsets; a stop anywhere in between means reading again
what is then superseded (Invariants 3 and 7). Never decides, never waits: pauses are connectors.run's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from connectors.intake import Chunk
from connectors.receipt import Receipts, refused, unread
from connectors.sink import (
    Applied,
    Batch,
    Deferred,
    Failed,
    Outcome,
    Refused,
    Superseded,
    Target,
    View,
    newest,
)

Settled: TypeAlias = tuple[View, Outcome]


@dataclass(slots=True)
class Report:
    """What became of a chunk: one entry per record, and what was released from waiting besides."""

    settled: list[Settled] = field(default_factory=list)
    undecodable: int = 0
    tombstones: int = 0
    released: list[Settled] = field(default_factory=list)


class Delivery:
    """Applies chunks to one target; keeps nothing between two calls."""

    def __init__(self, system: str, target: Target, receipts: Receipts) -> None:
        self._system = system
        self._target = target
        self._receipts = receipts

    def deliver(self, chunk: Chunk) -> Report:
        if chunk.undecodable:
            self._receipts.write(unread(self._system, record) for record in chunk.undecodable)
        views, older = newest(chunk.views)
        settled = self._settle(Batch(views, chunk.offsets)) + [(view, Superseded()) for view in older]
        released = self.release() if _may_release(settled) else []
        return Report(settled, len(chunk.undecodable), chunk.tombstones, released)

    def release(self) -> list[Settled]:
        """Apply what waited and need not any more, until a round settles nothing new."""
        settled: list[Settled] = []
        while views := self._target.release():
            now = self._settle(Batch(newest(views)[0]))
            settled += now
            if all(isinstance(outcome, Deferred) for _, outcome in now):
                break
        return settled

    def _settle(self, batch: Batch) -> list[Settled]:
        try:
            return list(zip(batch.views, self._target.apply(batch), strict=True))
        except Refused:
            return self._apart(batch)

    def _apart(self, batch: Batch) -> list[Settled]:
        """The others are applied; the bad ones' receipts are confirmed before any offset is stored."""
        settled = self._halve(batch.views)
        failed = [(view, outcome) for view, outcome in settled if isinstance(outcome, Failed)]
        self._receipts.write(refused(self._system, view, outcome) for view, outcome in failed)
        self._target.apply(replace(batch, views=(), discard=[view for view, _ in failed]))
        return settled

    def _halve(self, views: Sequence[View]) -> list[Settled]:
        if len(views) <= 1:
            return self._alone(views)
        middle = len(views) // 2
        return self._part(views[:middle]) + self._part(views[middle:])

    def _part(self, views: Sequence[View]) -> list[Settled]:
        try:
            return list(zip(views, self._target.apply(Batch(views)), strict=True))
        except Refused:
            return self._halve(views)

    def _alone(self, views: Sequence[View]) -> list[Settled]:
        try:
            return list(zip(views, self._target.apply(Batch(views)), strict=True))
        except Refused as fault:
            return [(view, Failed(fault.code, fault.message)) for view in views]


def _may_release(settled: Iterable[Settled]) -> bool:
    """Only what others refer to can end a wait; networks are looked for on a timer."""
    return any(isinstance(outcome, Applied) and view.kind != "provider" for view, outcome in settled)
