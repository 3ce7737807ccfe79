"""The decide hop: rows become claims, and each entity is decided once its transaction is over.

    cdc.* claims.* clock --> [advance ... decide] --> sink.* entity reference finding claims.npi quarantine

Implements the engine's Handler for one partition. No rule lives here: the core says what follows, this module
addresses it to topics, counts every record's outcome (invariant 5) and keeps the books of what is pending.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
import structlog

from streams import codec
from streams.agents import control, rollout
from streams.agents.control import SnapshotComplete, Tick
from streams.agents.state import PartitionState, Snapshot
from streams.agents.state import decode as decode_state
from streams.agents.state import encode as encode_state
from streams.core import canonical, finding, witness
from streams.core import entity as core_entity
from streams.core.advance import (
    REFERENCE,
    REFERENCE_KINDS,
    SUPERSEDED,
    Decision,
    World,
    advance,
    decide,
    miss,
)
from streams.core.authority import Authority
from streams.core.change import Change, Control, Decoded, Malformed, Position
from streams.core.decode import Decoder
from streams.core.entity import Entity, Touch, standing, take_back
from streams.core.rules.book import RuleFailed
from streams.core.view import WITHDRAWN
from streams.engine.partition import Unit
from streams.engine.pending import Heard, Pending
from streams.engine.producer import Output
from streams.engine.references import References, done_key
from streams.engine.store import Store, decode_index

log = structlog.get_logger(__name__)

QUARANTINED = "quarantined"
UNMAPPED = "unmapped"
NPI_TOPIC = "claims.npi"
WITNESS_TOPIC = "claims.witness"
CLOCK_TOPIC = "clock"
RECENT = 1024
"""Dirty entities kept decoded between units: one is mostly aggregated in one unit and decided in the next."""
SNAPSHOT_WAIT_MS = 15 * 60 * 1000.0
SNAPSHOT_LOOK_MS = 50.0


class Holder(msgspec.Struct, frozen=True):
    """A record of `claims.npi`: an entity says that it holds an NPI, or no longer does."""

    npi: str
    kind: str
    id: str
    holds: bool
    position: Position


_decode_holder = msgspec.json.Decoder(Holder).decode
encode_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Context:
    """What all partitions of a worker share."""

    prefix: str
    partitions: int
    decoders: Mapping[str, Decoder]
    authority: Authority
    encoders: codec.Encoders
    references: References
    rules: str
    places: Callable[[bytes], int]
    """key -> the partition Connect would give it"""
    linger_ms: float = 20.0
    withdraw_linger_ms: float = 2_000.0
    accept: bool = False
    """decide under `rules` whatever a partition was decided under: a roll-back, or edited files while developing"""
    heard: Heard = field(default_factory=Heard)


@dataclass(slots=True)
class Item:
    """One decision to make."""

    key: bytes
    proven: bool
    sweep: bool = False
    """not dirty by itself: a reference or the rules changed"""
    mark: tuple[int, int] | None = None
    """(reference partition, offset) that is dealt with once this item is decided"""
    rules: str | None = None
    """the rules' version every entity is decided under once this item is"""
    anew: bool = False
    """topic `reference` has lost what it was told of this entity"""
    topic: str = ""
    """the id of topic `reference`, which knows every entity again once this item is decided"""
    due: str = ""
    """the date under which the store's index holds it as due by time alone"""


class Decide:
    """The handler of one partition."""

    def __init__(self, number: int, context: Context) -> None:
        self.number = number
        self.context = context
        self.pending = Pending()
        self.state = PartitionState()
        self._reference_sequence = 0
        self._sweep: deque[Item] = deque()
        self._recent: dict[bytes, Entity] = {}
        self._snapshot_since: dict[str, float] = {}
        self._looked_ms = 0.0
        self._timed = False
        self._timed_after = b""
        self.again = rollout.Again()
        self.largest = 0
        """bytes of the largest entity record written by this process"""

    # ---- the engine's calls ----

    def load(self, store: Store) -> None:
        """Everything in memory from the store; what was left dirty is due once its transaction is over."""
        raw = store.state()
        self.state = decode_state(raw) if raw is not None else PartitionState()
        behind = self.pending.behind
        self.pending = Pending(self.context.linger_ms, self.context.withdraw_linger_ms, self.context.heard)
        self.pending.behind = behind
        self._reference_sequence = 0
        self._sweep.clear()
        self._recent.clear()  # a failed unit may have changed them
        self._sweep_time(
            store
        )  # a restart between a tick and its decisions: what is still in the index is due
        for key in store.dirty():
            self._load_dirty(key, store.get(key))
        if raw is None:
            self.state.rules = self.context.rules
            self.state.reference_topic = self.context.references.topic_id
        self._roll_out(store)
        self._look_at_references(store)

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
        touch = decode_index(value).dirty if value is not None else None
        if touch is not None and touch.initial and self._waits(touch.system, touch.position[0]):
            self.pending.touch_snapshot(touch.system, key)
        elif touch is None or touch.initial or not touch.system:
            self.pending.restore(key)
        else:
            self.pending.reopen(touch.system, touch.position[:2], key)

    def reading(self, topic: str, behind: bool) -> None:
        """Whether more of a system's topic can be read at once: a transaction may go on there."""
        system = topic.removeprefix(self.context.prefix).removeprefix("cdc.")
        if behind:
            self.pending.behind.add(system)
        else:
            self.pending.behind.discard(system)

    def decode(self, record: Any) -> tuple[bytes | None, Any]:
        """What a record says, by its topic."""
        try:
            return self._decode(record)
        except Exception as error:  # a bug must neither lose the record nor stop the partition
            log.error("decide.decode_failed", topic=record.topic, offset=record.offset, error=_name(error))
            return None, Malformed("internal.decode_failed", _name(error))

    def _decode(self, record: Any) -> tuple[bytes | None, Any]:
        topic = record.topic.removeprefix(self.context.prefix)
        if topic == CLOCK_TOPIC:
            return None, control.decode(record.value, record.timestamp)
        if topic == NPI_TOPIC:
            return _holder(record.value)
        if topic == WITNESS_TOPIC:
            return _named(witness.claim(record.key, record.value))
        decoder = self.context.decoders.get(topic.removeprefix("cdc."))
        if decoder is None:
            return None, Malformed("change.topic_unknown", f"no mapping for topic {topic}")
        return _named(decoder.decode(record.key, record.value, record.headers))

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
        try:
            outcome = self._take(unit, record, key, said, now_ms)
        except Exception as error:  # a bug must neither lose the record nor stop the partition
            if key is not None:
                self._recent.pop(key, None)
            # The kind of error only: its text may hold a value (invariant 11).
            log.error("decide.take_failed", topic=record.topic, offset=record.offset, error=_name(error))
            failed = _failed(said, error)
            self._missed(unit, record, key, failed)
            outcome = self._quarantine(unit, record, failed)
        self.state.count(record.topic, outcome)
        self.state.inputs[record.topic] = record.offset + 1

    def due(self, unit: Unit, now_ms: float, limit: int) -> Sequence[Item]:
        """Decisions to make now: ended transactions, released snapshots, dependents of changed references."""
        self._advance_snapshots(unit, now_ms)
        items = [Item(key, proven) for key, proven in self.pending.due(now_ms, limit)]
        if len(items) < limit:
            self._find_dependents(unit)
            while self._sweep and len(items) < limit:
                items.append(self._sweep.popleft())
            items += self._find_all(unit, limit - len(items))
            items += self._find_timed(unit, limit - len(items))
        self.prepare(unit, [item.key for item in items if item.key])
        return items

    def decide(self, unit: Unit, item: Item, now_ms: float) -> None:
        """Decide one entity and address what follows."""
        entity: Entity | None = unit.entities.get(item.key)
        self._note(item)
        if item.anew and entity is not None and entity.sent.pop(REFERENCE, None) is not None:
            unit.touched[item.key] = None
        if item.due and (entity is None or entity.due != item.due):
            unit.batch.date(item.key, item.due, "")  # an entry that a restore has left behind
            self._moved = True
        if entity is None or (item.sweep and entity.dirty is not None):
            return  # a dirty entity is decided when its own transaction is over
        before, decided_us = standing(entity), time.time_ns() // 1000
        try:
            decision = decide(entity, self._world(), decided_us)
            if not item.proven and any(e.content.status == WITHDRAWN for e in decision.emissions):
                # A transaction that only lingered out may be half: what would remove something waits longer.
                take_back(entity, before)
                self.pending.wait_to_withdraw(item.key, now_ms)
                return
            outputs = self._address(item.key, entity, before.dirty, decision, decided_us)
        except Exception as error:  # a bug: keep what the sinks have, and say so
            rule = error.code if isinstance(error, RuleFailed) else ""
            raised = error.__cause__ if isinstance(error.__cause__, Exception) else error
            log.error("decide.failed", entity=item.key.decode(), error=_name(raised), rule=rule)
            take_back(entity, before)
            self._failed(unit, item.key, entity, before.dirty, rule)
            return
        self._count(decision)
        unit.outputs += outputs
        if entity.depends != decision.depends_before:
            unit.batch.depend(item.key, decision.depends_before, entity.depends)
        elif before.dirty is None and not outputs and entity.due == before.due:
            return  # a reference changed and nothing follows for this entity
        unit.batch.date(item.key, before.due, entity.due)
        unit.touched[item.key] = None

    def _note(self, item: Item) -> None:
        """What is dealt with now that this item is decided."""
        if item.mark is not None:
            partition, offset = item.mark
            self.state.references[partition] = max(self.state.references.get(partition, -1), offset)
        if item.topic:
            self.state.reference_topic, self._moved = item.topic, True
        if item.rules is not None:
            self.state.rules, self.state.toward, self._moved = item.rules, "", True

    def _count(self, decision: Decision) -> None:
        self.state.decided += 1
        self.state.emitted += len(decision.emissions)

    def _failed(self, unit: Unit, key: bytes, entity: Entity, touch: Touch | None, rule: str) -> None:
        events = finding.failed(entity, touch.position if touch else (0, 0, 0), rule)
        entity.dirty = None
        unit.touched[key] = None
        unit.outputs += [self._finding(event) for event in events]

    def close_unit(self, unit: Unit) -> bool:
        """Entity records of everything touched, then the partition's state as the unit's last output."""
        if not unit.touched and not unit.outputs and not self._moved:
            return False
        topic = self.context.prefix + "entity"
        for key in unit.touched:
            entity: Entity = unit.entities[key]
            value = core_entity.encode(entity)
            unit.outputs.append(Output(topic, key, value, [], self.number))
            unit.batch.put_entity(key, value, dirty=entity.dirty is not None)
            self.largest = max(self.largest, len(value))
            if entity.dirty is not None:
                self._recent[key] = entity
            else:
                self._recent.pop(key, None)
        if len(self._recent) > RECENT:
            self._recent.clear()
        self.state.late += self.pending.late
        self.pending.late = 0
        state = encode_state(self.state)
        unit.outputs.append(Output(topic, f"partition/{self.number}".encode(), state, [], self.number))
        unit.batch.put_state(state)
        self._moved = False
        return True

    _moved = False
    """the state changed without touching an entity"""

    def next_ms(self, now_ms: float) -> float | None:
        """When to look again."""
        if (
            self._sweep
            or self._timed
            or self.again.running
            or self.context.references.since(self._reference_sequence)[1]
        ):
            return now_ms
        pending = self.pending.next_ms(now_ms)
        if any(not s.done and self._ready(name, s) for name, s in self.state.snapshots.items()):
            # Counted from the last look: a deadline that moves along with the question is never reached.
            look = self._looked_ms + SNAPSHOT_LOOK_MS
            return look if pending is None else min(look, pending)
        return pending

    def waiting(self, store: Store, until: str = "") -> int:
        """How many entities are due by time alone up to a date; without one, those that wait to be swept."""
        return store.due_count(until or self.state.as_of)

    # ---- aggregating ----

    def _take(self, unit: Unit, record: Any, key: bytes | None, said: Any, now_ms: float) -> str:
        self._moved = True
        match said:
            case Change():
                assert key is not None
                return self._change(unit, record, key, said, now_ms)
            case Malformed():
                return self._malformed(unit, record, key, said, now_ms)
            case Control():
                return UNMAPPED
            case SnapshotComplete():
                return self._snapshot_complete(said)
            case Tick():
                return self._tick(unit, said)
            case Holder():
                assert key is not None
                return self._hold(unit, record, key, said)
        raise AssertionError(f"unknown message {type(said).__name__}")

    def _change(self, unit: Unit, record: Any, key: bytes, change: Change, now_ms: float) -> str:
        entity = unit.entities.get(key)
        if entity is None:
            if self.context.places(record.key) != self.number:
                return self._misplaced(unit, record)
            entity = unit.entities[key] = Entity(change.kind, change.entity_id)
        prior = change.position[:2]
        self._watch(record, change)
        if not change.initial:
            self.pending.observe(change.system, prior, now_ms)
        if change.log:
            return UNMAPPED
        self._date(unit, change.committed_us)
        outcome = advance(entity, change, record.timestamp * 1000)
        if outcome == SUPERSEDED:
            return outcome
        unit.touched[key] = None
        if entity.dirty is not None:
            self._touch(key, entity.dirty, change.system, change.position, change.initial)
        return outcome

    def _watch(self, record: Any, change: Change) -> None:
        """An initial snapshot behind streamed rows of its own epoch: Connect had lost its offsets. What was read then
        loses against what was streamed before, and some changes in between were never streamed (Debezium 3.7)."""
        system, epoch, state = change.system, change.position[0], self.state
        if not change.read:
            if epoch > state.streamed.get(system, 0):
                state.streamed[system] = epoch
        elif change.initial and state.streamed.get(system) == epoch and state.read_again.get(system) != epoch:
            if any(name == codec.REPLAYED for name, _ in record.headers):
                return  # an old record, sent back from the quarantine
            state.read_again[system] = epoch
            step = f"concord sources apply {system} --resnapshot"
            log.error("capture.read_again", system=system, epoch=epoch, next_step=step)

    def _touch(self, key: bytes, dirty: Touch, system: str, position: Position, initial: bool) -> None:
        """When this dirty entity may be decided: after its snapshot, at once, or after its transaction."""
        if dirty.initial and self._waits(system, position[0]):
            self.pending.touch_snapshot(system, key)
        elif initial:
            self.pending.restore(key)
        else:
            self.pending.touch(system, position[:2], key)

    def _misplaced(self, unit: Unit, record: Any) -> str:
        reason = Malformed("change.partition_wrong", "the key belongs to another partition")
        return self._quarantine(unit, record, reason)

    def _date(self, unit: Unit, committed_us: int) -> None:
        """'Today' is the newest commit date or tick seen: the core reads no clock, a replay sees the same days."""
        self._rise(unit, _date_of(committed_us // 86_400_000_000))

    def _malformed(
        self, unit: Unit, record: Any, key: bytes | None, malformed: Malformed, now_ms: float
    ) -> str:
        position = malformed.position
        if position is not None and not malformed.initial:
            self.pending.observe(malformed.system, position[:2], now_ms)
        self._missed(unit, record, key, malformed)
        return self._quarantine(unit, record, malformed)

    def _missed(self, unit: Unit, record: Any, key: bytes | None, malformed: Malformed) -> None:
        """The entity's history has a gap: a finding says so, also where the bad row is the first of its entity."""
        if key is None or not malformed.kind:
            return
        known = unit.entities.get(key)
        if known is None and self.context.places(record.key or b"") != self.number:
            return
        entity = known or Entity(malformed.kind, malformed.entity_id)
        if not miss(entity, malformed, record.timestamp * 1000):
            return
        assert entity.dirty is not None
        unit.entities[key], unit.touched[key] = entity, None
        if malformed.position is None:
            self.pending.restore(key)
        else:
            self._touch(key, entity.dirty, malformed.system, malformed.position, malformed.initial)

    def _quarantine(self, unit: Unit, record: Any, malformed: Malformed) -> str:
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        headers = codec.quarantine_headers(list(record.headers), malformed.code, malformed.detail, origin)
        # Invariant 6: the original bytes, headers and the reason.
        unit.outputs.append(Output(self.context.prefix + "quarantine", record.key, record.value, headers))
        return QUARANTINED

    def _hold(self, unit: Unit, record: Any, key: bytes, holder: Holder) -> str:
        entity = unit.entities.get(key)
        if entity is None:
            if self.context.places(record.key or b"") != self.number:
                return self._misplaced(unit, record)
            entity = unit.entities[key] = Entity("npi", holder.npi)
        values = canonical.Holder(holder.kind, holder.id) if holder.holds else None
        change = Change(
            "platform", "npi", holder.npi, "holder", f"{holder.kind}/{holder.id}", holder.position, values,
            False, False, 0, 0, 0, False,
        )  # fmt: skip
        outcome = advance(entity, change, record.timestamp * 1000)
        entity.dirty = None  # nothing follows from it yet
        if outcome != SUPERSEDED:
            unit.touched[key] = None
        return outcome

    # ---- time ----

    def _tick(self, unit: Unit, tick: Tick) -> str:
        if tick.as_of <= self.state.ticked:
            return SUPERSEDED
        self.state.ticked = tick.as_of
        self._rise(unit, tick.as_of)
        return core_entity.APPLIED

    def _rise(self, unit: Unit, date: str) -> None:
        """It is this date, unless it was a later one already: what was due on the way there is swept."""
        if date > self.state.as_of:
            self.state.as_of = date
            self._sweep_time(unit.store)

    def _sweep_time(self, store: Store) -> None:
        self._timed, self._timed_after = bool(store.due(self.state.as_of, 1)), b""

    def _find_timed(self, unit: Unit, room: int) -> list[Item]:
        """What is due by time alone, by date. A decision takes its entity out of the index; a dirty one stays there
        until its own transaction is over, so the next look begins behind it."""
        if not self._timed or room <= 0:
            return []
        found = unit.store.due(self.state.as_of, room, self._timed_after)
        if found:
            date, key = found[-1]
            self._timed_after = f"{date}/".encode() + key
        self._timed = len(found) == room
        return [Item(key, True, True, due=date) for date, key in found]

    def _find_all(self, unit: Unit, room: int) -> list[Item]:
        """Everybody, when rules, authority or mapping are others than those they were decided under."""
        if not self.again.running or room <= 0:
            return []
        items = [Item(key, True, True) for key in self.again.take(unit.store, room)]
        if not self.again.running:
            items.append(Item(b"", True, True, rules=self.context.rules))
        return items

    # ---- snapshots ----

    def _waits(self, system: str, epoch: int) -> bool:
        snapshot = self.state.snapshots.get(system)
        return snapshot is None or not snapshot.done or snapshot.epoch < epoch

    def _snapshot_complete(self, notice: SnapshotComplete) -> str:
        known = self.state.snapshots.get(notice.system)
        if known is not None and known.epoch >= notice.epoch:
            return SUPERSEDED
        self.state.snapshots[notice.system] = Snapshot(notice.epoch, notice.until)
        return core_entity.APPLIED

    def _ready(self, system: str, snapshot: Snapshot) -> bool:
        topic = f"{self.context.prefix}cdc.{system}"
        return self.state.inputs.get(topic, 0) >= snapshot.until

    def _advance_snapshots(self, unit: Unit, now_ms: float) -> None:
        """References first; providers when every partition has announced its references done."""
        self._looked_ms = now_ms
        for system, snapshot in self.state.snapshots.items():
            if snapshot.done or not self._ready(system, snapshot):
                continue
            since = self._snapshot_since.setdefault(system, now_ms)
            waiting = self.pending.waiting(system)
            first = [key for key in waiting if key.split(b"/", 1)[0].decode() in REFERENCE_KINDS]
            if first:
                self.pending.release(system, first)
            elif self.pending.releasing():
                continue
            elif not snapshot.references_done:
                snapshot.references_done = self._moved = True
                marker = done_key(system, snapshot.epoch, self.number).encode()
                unit.outputs.append(Output(self.context.prefix + "reference", marker, b"", [], self.number))
            elif (
                self.context.references.all_done(system, snapshot.epoch) or now_ms - since > SNAPSHOT_WAIT_MS
            ):
                snapshot.done = self._moved = True
                self._snapshot_since.pop(system, None)
                self.pending.release(system, waiting)

    # ---- references ----

    def _find_dependents(self, unit: Unit) -> None:
        self._reference_sequence, changes = self.context.references.since(self._reference_sequence)
        silent: dict[int, int] = {}
        for name, partition, offset in changes:
            if offset <= self.state.references.get(partition, -1):
                continue
            keys = unit.store.dependents(name)
            silent[partition] = offset
            if not keys:
                continue
            del silent[partition]
            self._sweep.extend(Item(key, True, True) for key in keys[:-1])
            # Marks move in order of a reference partition, so a crash in between only repeats decisions.
            self._sweep.append(Item(keys[-1], True, True, (partition, offset)))
        # Nobody looked at these yet; who comes later sees them as they are. Unmarked, each restart would ask again.
        self._sweep.extend(Item(b"", True, True, mark) for mark in silent.items())

    def _look_at_references(self, store: Store) -> None:
        """A topic `reference` that was made anew knows nothing, and the offsets noted are another one's."""
        known, now = self.state.reference_topic, self.context.references.topic_id
        if known == now:
            return
        if known:
            log.warning("references.anew", partition=self.number)
            self.state.references = {}
            for snapshot in self.state.snapshots.values():
                snapshot.references_done = snapshot.done
            mine = (key for key in store.entity_keys() if key.split(b"/", 1)[0].decode() in REFERENCE_KINDS)
            self._sweep.extend(Item(key, True, True, anew=True) for key in mine)
        # Noted with the last of them: a restart in between begins again.
        self._sweep.append(Item(b"", True, True, topic=now))

    # ---- deciding ----

    def _world(self) -> World:
        return World(self.context.authority, self.context.references.get, self.state.as_of)

    def _address(
        self, key: bytes, entity: Entity, touch: Touch | None, decision: Decision, decided_us: int
    ) -> list[Output]:
        """What follows from a decision, each for its topic."""
        prefix, outputs = self.context.prefix, [self._finding(event) for event in decision.findings]
        position = touch.position if touch else (0, 0, 0)
        committed_us = touch.committed_us if touch else decided_us
        name = entity.id.encode()
        shared: codec.Headers = []
        if decision.emissions:
            time_text = _time_of(decided_us // 1_000)
            shared = codec.decision_headers(decision.emissions[0], position, committed_us, time_text)
        for emission in decision.emissions:
            headers = codec.view_headers(shared, emission)
            topic = f"{prefix}sink.{emission.sink}.{emission.kind}"
            outputs.append(Output(topic, name, self.context.encoders.view(emission), headers))
        if decision.reference is not None:
            outputs.append(Output(prefix + "reference", key, decision.reference, [], self.number))
        for npi, holds in decision.announcements:
            value = encode_json(Holder(npi, entity.kind, entity.id, holds, position))
            outputs.append(Output(prefix + NPI_TOPIC, npi.encode(), value, []))
        return outputs

    def _finding(self, event: finding.Event) -> Output:
        identity = f"{event.kind}/{event.entity_id} {event.code} {event.subject}".encode()
        return Output(self.context.prefix + "finding", identity, self.context.encoders.finding(event), [])


def _named(said: Decoded) -> tuple[bytes | None, Decoded]:
    """What was said, and the key of the entity it is about, if any."""
    if isinstance(said, Control) or not said.entity_id or not said.kind:
        return None, said
    return f"{said.kind}/{said.entity_id}".encode(), said


def _holder(value: bytes | None) -> tuple[bytes | None, Holder | Malformed]:
    try:
        holder = _decode_holder(value or b"")
    except msgspec.DecodeError:
        return None, Malformed("npi.undecodable", "no announcement of an NPI's holder")
    return f"npi/{holder.npi}".encode(), holder


def _failed(said: Any, error: Exception) -> Malformed:
    """A change that a defect of ours kept out: whose history has a gap, and since when."""
    if not isinstance(said, Change):
        return Malformed("internal.take_failed", _name(error))
    return Malformed(
        "internal.take_failed",
        _name(error),
        said.kind,
        said.entity_id,
        said.record,
        said.row_id,
        said.system,
        said.position,
        said.initial,
        said.txid,
        said.committed_us,
        said.captured_us,
    )


def _name(error: Exception) -> str:
    return type(error).__name__


_DATES: dict[int, str] = {}


def _date_of(day: int) -> str:
    text = _DATES.get(day)
    if text is None:
        text = _DATES[day] = datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
    return text


@lru_cache(16)
def _time_of(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1e3, UTC).isoformat(timespec="milliseconds")
