"""Initial snapshots in a partition: what they touched is decided once they are complete, references first.

    clock: snapshot-complete --> [wait for its rows, references, then providers] --> pending

What a snapshot touched waits in `pending`; how far each one is stands in the partition's state. The wait for other
partitions is bounded. Nothing here decides.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from streams import codec
from streams.agents.context import Context
from streams.agents.control import SnapshotComplete
from streams.agents.state import PartitionState, Snapshot
from streams.core.advance import REFERENCE_KINDS
from streams.core.change import Change
from streams.core.entity import APPLIED, SUPERSEDED
from streams.engine.pending import Pending
from streams.engine.producer import Output
from streams.engine.references import done_key

log = structlog.get_logger(__name__)

WAIT_MS = 15 * 60 * 1000.0
LOOK_MS = 50.0


class Snapshots:
    """The initial snapshots of one partition, by system."""

    def __init__(self, number: int, context: Context, state: PartitionState, pending: Pending) -> None:
        self._number = number
        self._context = context
        self._state = state
        self._pending = pending
        self._since: dict[str, float] = {}
        self._looked_ms = 0.0

    def waits(self, system: str, epoch: int) -> bool:
        """Whether this system's snapshot of `epoch` may still go on here."""
        snapshot = self._state.snapshots.get(system)
        return snapshot is None or not snapshot.done or snapshot.epoch < epoch

    def complete(self, notice: SnapshotComplete) -> str:
        """Where a snapshot ends; the record's outcome."""
        known = self._state.snapshots.get(notice.system)
        if known is not None and known.epoch >= notice.epoch:
            return SUPERSEDED
        self._state.snapshots[notice.system] = Snapshot(notice.epoch, notice.until)
        return APPLIED

    def watch(self, change: Change, headers: Iterable[tuple[str, object]]) -> None:
        """An initial snapshot behind streamed rows of its own epoch: Connect had lost its offsets. What was read then
        loses against what was streamed before, and some changes in between were never streamed (Debezium 3.7)."""
        system, epoch, state = change.system, change.position[0], self._state
        if not change.read:
            if epoch > state.streamed.get(system, 0):
                state.streamed[system] = epoch
        elif change.initial and state.streamed.get(system) == epoch and state.read_again.get(system) != epoch:
            if any(name == codec.REPLAYED for name, _ in headers):
                return  # an old record, sent back from the quarantine
            state.read_again[system] = epoch
            step = f"concord sources apply {system} --resnapshot"
            log.error("capture.read_again", system=system, epoch=epoch, next_step=step)

    def advance(self, outputs: list[Output], now_ms: float) -> bool:
        """References first; providers when every partition has announced its references done. Whether one moved on."""
        self._looked_ms, moved = now_ms, False
        for system, snapshot in self._state.snapshots.items():
            if not snapshot.done and self._read_to_its_end(system, snapshot):
                moved |= self._advance(system, snapshot, outputs, now_ms)
        return moved

    def _advance(self, system: str, snapshot: Snapshot, outputs: list[Output], now_ms: float) -> bool:
        since = self._since.setdefault(system, now_ms)
        if self._pending.releasing():
            return False
        if not snapshot.references_done:
            return self._references(system, snapshot, outputs)
        # Asked twenty times a second while other partitions are behind: who waits, and that may be everybody, is not.
        if not self._context.references.all_done(system, snapshot.epoch) and now_ms - since <= WAIT_MS:
            return False
        snapshot.done = True
        self._since.pop(system, None)
        self._pending.release(system, self._pending.waiting(system))
        return True

    def _references(self, system: str, snapshot: Snapshot, outputs: list[Output]) -> bool:
        """References are decided, then announced as done. Whether they are."""
        first = [
            key for key in self._pending.waiting(system) if key.split(b"/", 1)[0].decode() in REFERENCE_KINDS
        ]
        if first:
            self._pending.release(system, first)
            return False
        snapshot.references_done = True
        outputs.append(self._marker(system, snapshot.epoch))
        return True

    def _marker(self, system: str, epoch: int) -> Output:
        marker = done_key(system, epoch, self._number).encode()
        return Output(self._context.prefix + "reference", marker, b"", [], self._number)

    def _read_to_its_end(self, system: str, snapshot: Snapshot) -> bool:
        topic = f"{self._context.prefix}cdc.{system}"
        return self._state.inputs.get(topic, 0) >= snapshot.until

    def next_ms(self) -> float | None:
        """When to look again; counted from the last look: a deadline that moves with the question is never reached."""
        waits = any(not s.done and self._read_to_its_end(n, s) for n, s in self._state.snapshots.items())
        return self._looked_ms + LOOK_MS if waits else None
