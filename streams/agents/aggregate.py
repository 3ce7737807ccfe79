"""Records into entities: the cheap step that runs per event.

    what a record says --> [claim, gap, notice] --> entity, dirty, until its transaction or snapshot is over

Every record ends in exactly one outcome (invariant 5). What follows from a touched entity is decided later.
"""

from __future__ import annotations

from typing import Any

from streams.agents import rekey
from streams.agents.address import Address
from streams.agents.calendar import Calendar
from streams.agents.context import Context
from streams.agents.control import AssertAgain, Diverges, SnapshotComplete, Tick, TickCounted, TickProposed
from streams.agents.said import Holder
from streams.agents.snapshots import Snapshots
from streams.agents.state import Beat, PartitionState
from streams.core import canonical, receipt
from streams.core.advance import advance, assert_again, diverge, hold, mark, miss
from streams.core.change import CAPTURED, Canary, Change, Confirmation, Control, Malformed, Position
from streams.core.entity import APPLIED, SUPERSEDED, Entity, Touch, is_answer, newest
from streams.core.receipt import Receipt
from streams.engine.partition import Unit
from streams.engine.pending import Pending

QUARANTINED = "quarantined"
UNMAPPED = "unmapped"
CANARY = "canary"


class Aggregate:
    """Takes in the records of one partition."""

    def __init__(
        self,
        number: int,
        context: Context,
        state: PartitionState,
        pending: Pending,
        calendar: Calendar,
        snapshots: Snapshots,
        address: Address,
    ) -> None:
        self._number = number
        self._context = context
        self._state = state
        self._pending = pending
        self._calendar = calendar
        self._snapshots = snapshots
        self._address = address

    def take(self, unit: Unit, record: Any, key: bytes | None, said: Any, now_ms: float) -> str:
        """Take in one record; its outcome."""
        match said:
            case Change() | Confirmation():
                assert key is not None
                if isinstance(said, Change) and said.origin == CAPTURED:
                    self._snapshots.watch(said, record.headers)
                if rekey.is_local(said):
                    return self._local(unit, record, key, said, now_ms)
                return self._claim(unit, record, key, said, now_ms)
            case Malformed():
                return self._malformed(unit, record, key, said, now_ms)
            case Control():
                return UNMAPPED
            case Canary():
                self._state.canaries[said.system] = Beat(said.beat, said.committed_us, said.captured_us)
                return CANARY
            case SnapshotComplete():
                return self._snapshots.complete(said)
            case Tick() | TickProposed() | TickCounted():
                return self._calendar.hear(said, unit.outputs)
            case AssertAgain() | Diverges():
                assert key is not None
                return self._verified(unit, record, key, said)
            case Holder():
                assert key is not None
                return self._hold(unit, record, key, said)
            case Receipt():
                assert key is not None
                return self._receipt(unit, record, key, said)
        raise AssertionError(f"unknown message {type(said).__name__}")

    def lose(self, unit: Unit, record: Any, key: bytes | None, malformed: Malformed) -> str:
        """A record that is not taken in: kept aside, and its entity's history has a gap."""
        self._missed(unit, record, key, malformed)
        return self._quarantine(unit, record, malformed)

    def touch(self, key: bytes, dirty: Touch, system: str, position: Position, initial: bool) -> None:
        """When this dirty entity may be decided: after its snapshot, at once, or after its transaction."""
        source = system.partition("#")[0]  # of what was re-keyed, whose snapshot the notice will name
        waits = dirty.initial and self._snapshots.waits(source, position[0])
        if waits:
            self._pending.touch_snapshot(source, key)
        if not initial:
            self._pending.touch(system, position[:2], key)
        elif not waits:
            self._pending.restore(key)

    def _claim(self, unit: Unit, record: Any, key: bytes, said: Change | Confirmation, now_ms: float) -> str:
        entity = unit.entities.get(key)
        if entity is None and self._context.places(record.key) != self._number:
            return self._misplaced(unit, record)
        stream = said.system if said.origin == CAPTURED else f"{said.system}#{said.origin}"
        initial = isinstance(said, Change) and said.initial
        if not initial:
            self._pending.observe(stream, said.position[:2], now_ms)
        if isinstance(said, Change) and said.log:
            return UNMAPPED
        received_us = record.timestamp * 1000
        self._calendar.committed(said.committed_us, received_us)
        if entity is None:
            entity = unit.entities[key] = Entity(said.kind, said.entity_id)
            self._met(entity)
        waits = not initial and is_answer(entity, said)
        take = advance if isinstance(said, Change) else hold
        outcome = take(entity, said, received_us)  # type: ignore[arg-type]
        if outcome == SUPERSEDED:
            return outcome
        unit.touched[key] = None
        if entity.dirty is None:
            return outcome
        if said.origin != CAPTURED and self._master_unread(entity):
            self._pending.touch_snapshot(rekey.MASTER, key)
        elif waits and not entity.dirty.initial:
            self._pending.answer(stream, said.position[:2], key)
        else:
            self.touch(key, entity.dirty, stream, said.position, initial)
        return outcome

    def _met(self, entity: Entity) -> None:
        """An entity heard of for the first time: of how many a tick may withdraw a share."""
        self._state.providers += entity.kind == "provider"

    def _master_unread(self, entity: Entity) -> bool:
        """Whether the master may yet say who this is: its snapshot goes on, and nothing of it is here."""
        return rekey.MASTER not in entity.claims and self._master_reading()

    def waits_for_master(self, kind: str) -> bool:
        """Whether a dirty entity of this kind waits for the master's snapshot: rows under a system's own id do."""
        return "." in kind and self._master_reading()

    def _master_reading(self) -> bool:
        """Whether the master's initial snapshot may go on here."""
        return rekey.MASTER in self._context.decoders and self._snapshots.waits(rekey.MASTER, 0)

    def _local(self, unit: Unit, record: Any, key: bytes, said: Change | Confirmation, now_ms: float) -> str:
        local = unit.entities.get(key)
        if local is None:
            if self._context.places(record.key) != self._number:
                return self._misplaced(unit, record)
            local = unit.entities[key] = Entity(f"{said.system}.{said.kind}", rekey.local_id(said))
        if isinstance(said, Change) and said.log:
            return UNMAPPED
        topic = f"{self._context.prefix}claims.{said.system}"
        outcome, outputs = rekey.take(local, said, topic, self._number)
        if outcome == SUPERSEDED:
            return outcome
        unit.touched[key] = None
        unit.outputs += outputs
        if is_answer(local, said):
            unit.patient += len(outputs)
        if outcome == rekey.PARKED or local.findings:
            # Whose it is may be said a moment later: what nobody knows is a finding only then.
            mark(local, said, record.timestamp * 1000)
            self._wait(key, now_ms)
        return outcome

    def _wait(self, key: bytes, now_ms: float) -> None:
        if self._master_reading():
            self._pending.touch_snapshot(rekey.MASTER, key)
        else:
            self._pending.wait_to_withdraw(key, now_ms)

    def _misplaced(self, unit: Unit, record: Any) -> str:
        reason = Malformed("change.partition_wrong", "the key belongs to another partition")
        return self._quarantine(unit, record, reason)

    def _malformed(
        self, unit: Unit, record: Any, key: bytes | None, malformed: Malformed, now_ms: float
    ) -> str:
        position = malformed.position
        if position is not None and not malformed.initial:
            self._pending.observe(malformed.system, position[:2], now_ms)
        return self.lose(unit, record, key, malformed)

    def _missed(self, unit: Unit, record: Any, key: bytes | None, malformed: Malformed) -> None:
        """The entity's history has a gap: a finding says so, also where the bad row is the first of its entity."""
        if key is None or not malformed.kind:
            return
        known = unit.entities.get(key)
        if known is None and self._context.places(record.key or b"") != self._number:
            return
        entity = known or Entity(malformed.kind, malformed.entity_id)
        if not miss(entity, malformed, record.timestamp * 1000):
            return
        if known is None:
            self._met(entity)
        assert entity.dirty is not None
        unit.entities[key], unit.touched[key] = entity, None
        if malformed.position is None:
            self._pending.restore(key)
        else:
            self.touch(key, entity.dirty, malformed.system, malformed.position, malformed.initial)

    def _quarantine(self, unit: Unit, record: Any, malformed: Malformed) -> str:
        unit.outputs.append(self._address.quarantined(record, malformed))
        return QUARANTINED

    def _verified(self, unit: Unit, record: Any, key: bytes, said: AssertAgain | Diverges) -> str:
        """A verification's word: kept with the entity, so that it outlives a restart."""
        entity, received_us = unit.entities.get(key), record.timestamp * 1000
        if entity is None:
            return UNMAPPED
        waits = entity.dirty is not None  # for its transaction or its snapshot: it is decided then
        if isinstance(said, AssertAgain):
            outcome = assert_again(entity, said.system, received_us)
        else:
            outcome = diverge(entity, said.system, said.record, said.rows, received_us)
        if outcome == APPLIED:
            unit.touched[key] = None
            if not waits:
                self._pending.restore(key)
        return outcome

    def _hold(self, unit: Unit, record: Any, key: bytes, holder: Holder) -> str:
        entity = unit.entities.get(key)
        if entity is None:
            if self._context.places(record.key or b"") != self._number:
                return self._misplaced(unit, record)
            entity = unit.entities[key] = Entity("npi", holder.npi)
        values = canonical.Holder(holder.kind, holder.id) if holder.holds else None
        change = Change(
            "platform", "npi", holder.npi, "holder", f"{holder.kind}/{holder.id}", holder.position, values,
            False, False, 0, 0, 0, False,
        )  # fmt: skip
        outcome = advance(entity, change, record.timestamp * 1000)
        if outcome != SUPERSEDED:
            unit.touched[key] = None
            self._pending.restore(key)
        return outcome

    def _receipt(self, unit: Unit, record: Any, key: bytes, said: Receipt) -> str:
        """What became of a view. It ends no transaction and begins none: a dirty entity is decided anyway."""
        entity = unit.entities.get(key)
        if entity is None:
            if self._context.places(record.key) != self._number:
                return self._misplaced(unit, record)
            if said.outcome == receipt.RESUMED:
                return UNMAPPED  # nobody said that it stood still
            entity = Entity(said.kind, said.entity_id)
        at_us = record.timestamp * 1000
        outcome = receipt.take(entity, said, at_us)
        if isinstance(outcome, Malformed):
            return self._quarantine(unit, record, outcome)
        if outcome == SUPERSEDED:
            return outcome
        unit.entities[key], unit.touched[key] = entity, None
        if entity.dirty is None:
            # No system's: after a restart it must not be taken for a transaction of one.
            entity.dirty = Touch("", newest(entity), 0, at_us, at_us, at_us)
            self._pending.restore(key)
        return outcome
