"""The decide hop: rows become claims, and each entity is decided once its transaction is over.

    cdc.* claims.* clock --> [said -> aggregate ... decide -> address] --> sink.* entity reference finding
                                                                           claims.npi quarantine

Implements the engine's Handler for one partition and puts the modules beside it to work: `said` reads, `aggregate`
takes in, `snapshots`, `dependents` and `calendar` know what else is due, `address` names topics. No rule lives here:
the core says what follows. Everything in memory is rebuilt from the store by `load`.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec
import structlog
from msgspec import Struct

from streams.agents import rekey, rollout
from streams.agents import said as saying
from streams.agents.address import Address
from streams.agents.aggregate import Aggregate
from streams.agents.calendar import CONTRACT_KEY, Calendar
from streams.agents.context import Context, Item
from streams.agents.dependents import Dependents
from streams.agents.said import error_name
from streams.agents.snapshots import Snapshots
from streams.agents.state import PartitionState
from streams.agents.state import decode as decode_state
from streams.agents.state import encode as encode_state
from streams.core import entity as core_entity
from streams.core import finding, parity
from streams.core.advance import REFERENCE, Decision, World, decide
from streams.core.change import Position
from streams.core.entity import CONTRACT, SYSTEM, Entity, Touch, standing, take_back
from streams.core.rules.book import RuleFailed
from streams.core.view import WITHDRAWN
from streams.engine.partition import Unit
from streams.engine.pending import Pending
from streams.engine.store import EntityIndex, Lost, Store, decode_index

log = structlog.get_logger(__name__)

RECENT = 1024
"""Dirty entities kept decoded between units: one is mostly aggregated in one unit and decided in the next."""

NAMED = 5
"""Entities named of those that aren't what a system is to hold: the oldest of each state."""


CAPTURED_LENGTH = 3
"""Numbers in a position as captured; one that was re-keyed has more."""


class Place(Struct, array_like=True, gc=False):
    """Where a claim stands: the rest of it is not looked at."""

    position: Position


_decode_places = msgspec.msgpack.Decoder(dict[str, dict[str, dict[str, Place]]]).decode


class Decide:
    """The handler of one partition."""

    def __init__(self, number: int, context: Context) -> None:
        self.number = number
        self.context = context
        self.address = Address(number, context)
        self.pending = Pending()
        self.state = PartitionState()
        self._recent: dict[bytes, Entity] = {}
        self._moved = False
        """the state changed without touching an entity"""
        self.again = rollout.Again()
        self.largest = 0
        """bytes of the largest entity record written by this process"""

    # ---- the engine's calls ----

    def load(self, store: Store) -> None:
        """Everything in memory from the store; what was left dirty is due once its transaction is over."""
        raw, context = store.state(), self.context
        self.state = (
            decode_state(raw)
            if raw is not None
            else PartitionState(rules=context.rules, reference_topic=context.references.topic_id)
        )
        behind = self.pending.behind
        self.pending = Pending(context.linger_ms, context.withdraw_linger_ms, context.heard)
        self.pending.behind = behind
        self.snapshots = Snapshots(self.number, context, self.state, self.pending)
        self.calendar = Calendar(self.number, context, self.state, store, self.address)
        self.dependents = Dependents(context, self.state, store)
        self.aggregate = Aggregate(
            self.number, context, self.state, self.pending, self.calendar, self.snapshots, self.address
        )
        self._recent.clear()  # a failed unit may have changed them
        for key in store.dirty():
            self._load_dirty(key, store.get(key))
        self._roll_out(store)

    def _roll_out(self, store: Store) -> None:
        """Other rules, authority or mapping: every entity is decided again, paced. What is on the way is noted with
        the first decision, so that no older worker decides here any more; that it is done with the last one: a
        restart in between begins again, and skips nothing."""
        own, state = self.context.rules, self.state
        if not self.context.accept:
            rollout.check(self.number, own, state.toward or state.rules)
        if {state.rules, state.toward} <= {own, ""}:
            self.again = rollout.Again()
            return
        self.again = rollout.Again(store)
        state.toward, self._moved = own, True

    def _load_dirty(self, key: bytes, value: bytes | None) -> None:
        index = decode_index(value) if value is not None else None
        if index is None or index.dirty is None:
            self.pending.restore(key)
            return
        touch = index.dirty
        waits_for = self._snapshots_of(index, touch)
        for system in waits_for:
            self.pending.touch_snapshot(system, key)
        if not touch.system or (touch.initial and not waits_for):
            self.pending.restore(key)
        elif len(touch.position) > CAPTURED_LENGTH:
            # Which partition it was re-keyed in is not kept, and its order proves nothing of another's.
            self.pending.reopen(f"{touch.system}#", (0, 0), key)
        else:
            self.pending.reopen(touch.system, touch.position[:2], key)

    def _snapshots_of(self, index: EntityIndex, touch: Touch) -> list[str]:
        """The systems whose snapshots this dirty entity may wait for. Its last touch names one of them at most."""
        if self.aggregate.waits_for_master(index.kind):
            return [rekey.MASTER]
        if not touch.initial:
            return []
        epochs = {touch.system: touch.position[0]}
        for system, tables in _decode_places(index.claims).items():
            if system in self.context.decoders:
                found = (place.position[0] for rows in tables.values() for place in rows.values())
                epochs[system] = max(found, default=epochs.get(system, 0))
        return [system for system, epoch in epochs.items() if self.snapshots.waits(system, epoch)]

    def reading(self, topic: str, behind: bool) -> None:
        """Whether more of a system's topic can be read at once: a transaction may go on there."""
        name = topic.removeprefix(self.context.prefix)
        system = name.removeprefix("cdc.").removeprefix("claims.")
        streams = (
            [system]
            if name.startswith("cdc.")
            else [f"{system}#{number}" for number in range(self.context.partitions)]
        )
        if behind:
            self.pending.behind.update(streams)
        else:
            self.pending.behind.difference_update(streams)

    def decode(self, record: Any) -> tuple[bytes | None, Any]:
        """What a record says, by its topic."""
        return saying.read(self.context, record)

    def prepare(self, unit: Unit, keys: Sequence[bytes]) -> None:
        """One multi-get for the entities a slice needs and that weren't worked on a moment ago."""
        missing = []
        for key in dict.fromkeys(keys):
            if key in unit.entities:
                continue
            recent = self._recent.get(key)
            if recent is None:
                missing.append(key)
            else:
                unit.entities[key] = recent
        if not missing:
            return
        for key, value in zip(missing, unit.store.get_many(missing), strict=True):
            unit.entities[key] = core_entity.decode(value) if value is not None else None

    def take(self, unit: Unit, record: Any, key: bytes | None, said: Any, now_ms: float) -> None:
        """Aggregate one record and count its one outcome (invariant 5)."""
        self._moved = True
        try:
            outcome = self.aggregate.take(unit, record, key, said, now_ms)
        except Lost:
            raise  # no fault of the record: it is read again
        except Exception as error:  # a bug must neither lose the record nor stop the partition
            if key is not None:
                self._recent.pop(key, None)
            log.error("decide.take_failed", topic=record.topic, offset=record.offset, error=error_name(error))
            outcome = self.aggregate.lose(unit, record, key, saying.failed(said, error))
        self.state.count(record.topic, outcome)
        self.state.inputs[record.topic] = record.offset + 1

    def due(self, unit: Unit, now_ms: float, limit: int) -> Sequence[Item]:
        """Decisions to make now: ended transactions, released snapshots, sweeps, and what is due by time alone."""
        if self.snapshots.advance(unit.outputs, now_ms):
            self._moved = True
        items = [Item(key, proven) for key, proven in self.pending.due(now_ms, limit)]
        items += self.dependents.due(limit - len(items))
        items += self._due_again(unit, limit - len(items))
        items += self.calendar.due(limit - len(items))
        self.prepare(unit, [item.key for item in items if item.key])
        return items

    def _due_again(self, unit: Unit, room: int) -> list[Item]:
        """The next entities to decide under other rules; the last one is followed by the note that it is done."""
        if not self.again.running or room <= 0:
            return []
        items = [Item(key, True, True) for key in self.again.take(unit.store, room)]
        if not self.again.running:
            items.append(Item(b"", True, True, rules=self.context.rules))
        return items

    def decide(self, unit: Unit, item: Item, now_ms: float) -> None:
        """Decide one entity and address what follows."""
        entity: Entity | None = unit.entities.get(item.key)
        if item.proposed:
            self._suppose(entity, item.proposed)
            return
        if self.dependents.note(item):
            self._moved = True
        if item.due and (entity is None or entity.due != item.due):
            unit.batch.date(item.key, item.due, "")  # an entry that a restore has left behind
            self._moved = True
        if entity is None and item.key == CONTRACT_KEY:
            entity = unit.entities[item.key] = Entity(SYSTEM, CONTRACT)
        if entity is None or (item.sweep and entity.dirty is not None):
            return  # a dirty entity is decided when its own transaction is over
        if item.anew and entity.sent.pop(REFERENCE, None) is not None:
            unit.touched[item.key] = None
        before, decided_us = standing(entity), time.time_ns() // 1000
        try:
            decision = decide(entity, self._world(self.state.as_of), decided_us)
            if not item.proven and _withdraws(decision):
                # A transaction that only lingered out may be half: what would remove something waits longer.
                take_back(entity, before)
                self.pending.wait_to_withdraw(item.key, now_ms)
                return
            outputs = self.address.decision(item.key, entity, before.dirty, decision, decided_us)
        except Exception as error:  # a bug: keep what the sinks have, and say so
            take_back(entity, before)
            self._failed(unit, item.key, entity, before.dirty, error)
            return
        self._count(decision)
        unit.outputs += outputs
        if entity.depends != decision.depends_before:
            unit.batch.depend(item.key, decision.depends_before, entity.depends)
        elif (
            before.dirty is None
            and not outputs
            and (entity.due, entity.parity, entity.awaited) == (before.due, before.parity, before.awaited)
        ):
            return  # a reference changed and nothing follows for this entity
        if entity.parity != before.parity:
            self.state.stand(before.parity, entity.parity)
            unit.batch.stand(item.key, before.parity, entity.parity)
        unit.batch.date(item.key, before.due, entity.due)
        unit.touched[item.key] = None

    def _suppose(self, entity: Entity | None, as_of: str) -> None:
        """What a proposed date would do to an entity; nothing of it is kept."""
        if entity is None or entity.dirty is not None:
            return  # what follows from its own change doesn't follow from the date
        before = standing(entity)
        try:
            self.calendar.tally.note(_withdraws(decide(entity, self._world(max(as_of, self.state.as_of)), 0)))
        except Exception:  # said when it is decided: this only counts
            return
        finally:
            take_back(entity, before)

    def _world(self, as_of: str) -> World:
        return World(self.context.authority, self.context.references.get, as_of, self.context.decoders)

    def _count(self, decision: Decision) -> None:
        self.state.decided += 1
        self.state.emitted += len(decision.emissions)

    def _failed(self, unit: Unit, key: bytes, entity: Entity, touch: Touch | None, error: Exception) -> None:
        """A decision raised: its rule is named if one did."""
        rule = error.code if isinstance(error, RuleFailed) else ""
        raised = error.__cause__ if isinstance(error.__cause__, Exception) else error
        log.error("decide.failed", entity=key.decode(), error=error_name(raised), rule=rule)
        events = finding.failed(entity, touch.position if touch else (0, 0, 0), rule)
        entity.dirty = None
        unit.touched[key] = None
        unit.outputs += self.address.findings(events)

    def close_unit(self, unit: Unit) -> bool:
        """Entity records of everything touched, then the partition's state as the unit's last output."""
        unit.outputs += self.calendar.tally.answer()
        if not unit.touched and not unit.outputs and not self._moved:
            return False
        for key in unit.touched:
            self._close(unit, key, unit.entities[key])
        if len(self._recent) > RECENT:
            self._recent.clear()
        self.state.late += self.pending.late
        self.pending.late = 0
        state = encode_state(self.state)
        unit.outputs.append(self.address.state(state))
        unit.batch.put_state(state)
        self._moved = False
        return True

    def _close(self, unit: Unit, key: bytes, entity: Entity) -> None:
        value, dirty = core_entity.encode(entity), entity.dirty is not None
        self.largest = max(self.largest, len(value))
        unit.outputs.append(self.address.entity(key, value))
        unit.batch.put_entity(key, value, dirty=dirty)
        if dirty:
            self._recent[key] = entity
        else:
            self._recent.pop(key, None)

    def next_ms(self, now_ms: float) -> float | None:
        """When to look again."""
        if self._sweeping():
            return now_ms
        times = (self.pending.next_ms(now_ms), self.snapshots.next_ms())
        return min((at for at in times if at is not None), default=None)

    def later_ms(self, now_ms: float) -> float | None:
        """When the next transaction will be over that may go on now."""
        return None if self._sweeping() else self.pending.later_ms(now_ms)

    def _sweeping(self) -> bool:
        """Whether more decisions are due than a unit makes."""
        return bool(self.calendar.waiting or self.dependents.waiting or self.again.running)

    def waiting(self, store: Store, until: str = "") -> int:
        """How many entities are due by time alone up to a date; without one, those that wait to be swept."""
        return store.due_count(until or self.state.ticked)

    def parity(self, store: Store) -> dict[str, Any]:
        """How systems stand to the entities decided here: counts as the state has them, and who waits longest."""
        apart = {
            system: {state: list(islice(store.apart(state, system), NAMED)) for state in parity.APART}
            for system in self.state.parity
        }
        return {"systems": self.state.parity, "fields": self.state.apart, "longest": _named(apart)}


def _named(apart: dict[str, dict[str, list[tuple[int, bytes]]]]) -> dict[str, dict[str, list[list[Any]]]]:
    return {
        system: {
            state: [[since, key.decode()] for since, key in found] for state, found in states.items() if found
        }
        for system, states in apart.items()
    }


def _withdraws(decision: Decision) -> bool:
    return any(emission.content.status == WITHDRAWN for emission in decision.emissions)
