"""Start here: the whole core as two steps.

    advance(entity, change)   a change becomes a claim                             change -> entity
    decide(entity, world)     claims become findings, gates and views     entity -> finding -> gate -> view

`advance` is cheap and runs per event; `decide` runs once an entity's transaction is over (design: decide once).
Both work on the Entity they are given, deterministically, and return what follows; all I/O is the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping

from msgspec import Raw, Struct

from streams.core import awaited, edit, finding, gate, parity, refusal, ruling, view, worklist
from streams.core.authority import Authority
from streams.core.change import Change, Confirmation, Malformed
from streams.core.due import next_date
from streams.core.entity import (
    APPLIED,
    STEWARDSHIP,
    SUPERSEDED,
    UNCHANGED,
    Entity,
    Golden,
    Sent,
    Step,
    Touch,
    aggregate,
    confirm,
    encode_golden,
    golden,
    newest,
    note_gap,
)
from streams.core.today import today

__all__ = [
    "APPLIED", "SUPERSEDED", "UNCHANGED", "Decision", "Emission", "World", "advance", "assert_again", "decide",
    "diverge", "hold", "mark", "miss",
]  # fmt: skip

REFERENCE_KINDS = frozenset({"organization", "location", "payer", "product", "contract", "network", "nucc"})
"""Kinds many providers point at; their golden records are broadcast on topic `reference`."""
SHOWN_KINDS = frozenset({"location", "organization"})
"""Kinds whose values stand in a view: while one is unknown, the view waits."""

REFERENCE = "reference"
REBUILT = 1_000_000
"""Revisions between what a system was found to hold and where an entity without memory of it goes on: as much room as
other systems, and who reads the sinks, may have been sent beyond it."""
REPAIR = "repair"
"""In place of the system that a revision follows from: a view that was asserted again."""


class World(Struct, frozen=True):
    """What a decision may look at besides the entity: who owns what, the references, and the date it is.

    captured  systems of which rows are captured: what they were sent is confirmed, or it didn't arrive
    """

    authority: Authority
    references: Callable[[str, str], Golden | None]
    as_of: str
    captured: Container[str] = ()


class Emission(Struct, frozen=True, gc=False):
    """One view that goes out: to which sink, under which revision, and which of its fields changed."""

    sink: str
    kind: str
    entity_id: str
    revision: int
    content: view.View
    changed: list[str]


class Decision(Struct, frozen=True, gc=False):
    """What follows from deciding an entity."""

    emissions: list[Emission]
    findings: list[finding.Event]
    announcements: list[tuple[str, bool]]
    """(npi, does this entity hold it now)"""
    reference: bytes | None
    """the golden record to broadcast, when it changed"""
    depends_before: list[str]
    verdict: gate.Verdict
    """what holds for every sink"""
    sinks: gate.Verdicts
    overruled: list[edit.Edit] = []
    """edits answered now that are not taken over: their authors are told why"""


def advance(entity: Entity, change: Change, received_us: int) -> str:
    """Aggregate one change and mark the entity dirty when it says something new. Returns the outcome."""
    outcome = aggregate(entity, change)
    if outcome == APPLIED:
        mark(entity, change, received_us)
    return outcome


def hold(entity: Entity, said: Confirmation, received_us: int) -> str:
    """A system holds a revision of the entity's view. Returns the outcome."""
    unremembered = said.read and said.revision > 0 and not _gave(entity, said)
    outcome = confirm(entity, said)
    if outcome == APPLIED:
        if unremembered:
            _go_on_above(entity, said.revision)
        mark(entity, said, received_us)
    return outcome


def _gave(entity: Entity, said: Confirmation) -> bool:
    """Whether the system can hold this revision by this entity's word. The number alone doesn't tell: one that is built
    anew counts from 1 too, so the same number of a system that never confirmed any may be another view."""
    sent = entity.sent.get(said.system)
    given = sent.revision if sent is not None else 0
    return said.revision < given or (said.revision == given and said.system in entity.confirmed)


def _go_on_above(entity: Entity, revision: int) -> None:
    """A snapshot finds a revision that this entity never gave: topic `entity` was built anew, or is an older copy. Who
    holds a newer one refuses what is sent under a lower, so everything said meanwhile is said again, above it."""
    entity.revision = max(entity.revision, revision) + REBUILT
    entity.again = sorted({*entity.again, *(s for s in entity.sent if s in view.VIEWS.get(entity.kind, {}))})


def miss(entity: Entity, malformed: Malformed, received_us: int) -> bool:
    """A change of one of the entity's rows was quarantined: dirty, so that its gap becomes a finding."""
    if not note_gap(entity, malformed):
        return False
    mark(entity, malformed, received_us)
    return True


def assert_again(entity: Entity, system: str, received_us: int) -> str:
    """Have a system's last view sent once more: what it holds was found to be something else. Returns the outcome."""
    if system not in entity.sent or system not in view.VIEWS.get(entity.kind, {}):
        return UNCHANGED
    entity.again = sorted({*entity.again, system})
    _repaired(entity, received_us)
    return APPLIED


def diverge(entity: Entity, system: str, record: str, rows: Mapping[str, str], received_us: int) -> str:
    """What a verification found of a record's rows of one system (row -> code), in place of what the one before did.
    Returns the outcome."""
    others = {
        subject: code
        for subject, code in entity.diverging.items()
        if not (subject.startswith(f"{record}/") and subject.endswith(f"/{system}"))
    }
    now = others | {f"{record}/{row_id}/{system}": code for row_id, code in sorted(rows.items())}
    if now == entity.diverging:
        return UNCHANGED
    entity.diverging = now
    _repaired(entity, received_us)
    return APPLIED


def _repaired(entity: Entity, received_us: int) -> None:
    """Dirty by a repair's word: it stands where the entity's own row does, so that it beats what was said before."""
    if entity.dirty is None:
        entity.dirty = Touch(REPAIR, newest(entity), 0, received_us, received_us, received_us)


def mark(entity: Entity, change: Change | Confirmation | Malformed, received_us: int) -> None:
    """Dirty: to be decided once this change's transaction is over."""
    initial = not isinstance(change, Confirmation) and change.initial
    waits = initial or (entity.dirty is not None and entity.dirty.initial)
    entity.dirty = Touch(
        change.system,
        change.position or (0, 0, 0),
        change.txid,
        change.committed_us,
        change.captured_us,
        received_us,
        waits,
    )


def decide(entity: Entity, world: World, decided_us: int) -> Decision:
    """Decide an entity: findings, verdict, the views that changed, and who must hear of it."""
    depends_before, looked = entity.depends, _Looked(world)
    record = golden(entity, world.authority)
    touch = entity.dirty
    position = touch.position if touch else (0, 0, 0)
    was_known = _was_known(entity)
    found = {*finding.of_values(entity), *finding.identity(record), *finding.of_links(entity)}
    found.update(finding.of_review(entity, world.authority, world.as_of))
    built: dict[str, view.View] = {}
    facts = None
    coming: list[str] = []
    if record.root is not None:
        facts = today(record, looked, world.as_of)
        built = view.of(facts)
        found |= {finding.Found("reference.unknown", ref) for ref in looked.unknown}
        if gate.gone(record, was_known=was_known) is None:
            found.update(finding.by_rules(facts))
            coming = facts.noted.get("again", coming)
    verdict = gate.judge(record, found, was_known=was_known)
    sinks = gate.by_sink(record, found, verdict, view.VIEWS.get(entity.kind, ()))
    wanted = _wanted(entity, record, built, sinks)
    edits: list[edit.Edit] = []
    fresh: list[edit.Edit] = []
    anew: set[str] = set()
    if entity.confirmed or entity.proposals or len(entity.claims) > 1 or STEWARDSHIP in entity.claims:
        edits = edit.standing(entity, wanted, world.authority, world.as_of, built)
        fresh = edit.judge(entity, edits, world.as_of)
        anew = edit.asserted_again(fresh, entity)
        edit.propose(entity, fresh, world.as_of)
        showing = {sink: built[sink] for sink, v in sinks.items() if isinstance(v, gate.Pass)}
        ruling.settle(entity, record, showing, world.authority, world.as_of)
        ruled = finding.of_rulings(entity, record, world.authority, world.as_of)
        disputed = {*finding.of_edits(entity, edits), *ruled}
        if disputed:
            found |= disputed
            sinks = gate.by_sink(record, found, verdict, sinks)
            wanted = {sink: content for sink, content in wanted.items() if not gate.disputed(sinks[sink])}
    if isinstance(verdict, gate.Withdraw):
        # What must go, goes; a withdrawn entity has no wishes left that a reference could fulfil.
        found = {f for f in found if f.code not in ("identity.root_missing", "reference.unknown")}
    answering = list(_answering(entity, sinks, world))
    found.update(finding.of_awaited(entity, answering, world.as_of))
    events = finding.settle(entity, found, position, world.as_of, facts)
    emissions = _emit(entity, wanted, anew.union(entity.again, refusal.again(entity, sinks, world.as_of)))
    if entity.again:
        emitted = {emission.sink for emission in emissions}
        entity.again = [sink for sink in entity.again if sink in sinks and sink not in emitted]
    emissions += _to_people(entity, record, world.authority, emissions)
    parity.note(entity, sinks, edits, decided_us)
    awaited.note(entity, answering, world.as_of)
    refusal.note(entity, world.as_of)
    reference = _broadcast(entity, record)
    announcements = _announce(entity, record)
    entity.depends = sorted(looked.seen)
    by_time = (
        ruling.due(entity, world.as_of),
        awaited.due(entity, world.as_of),
        refusal.due(entity, sinks, world.as_of),
    )
    days = (next_date(record, world.as_of), *by_time, *coming)
    entity.due = min(filter(None, days), default="")
    _remember(entity, touch, emissions, decided_us)
    entity.dirty = None
    return Decision(emissions, events, announcements, reference, depends_before, verdict, sinks, fresh)


class _Looked:
    """Looks references up and remembers which were asked for, and which that a view shows were unknown."""

    def __init__(self, world: World) -> None:
        self._references = world.references
        self.seen: set[str] = set()
        self.unknown: set[str] = set()

    def __call__(self, kind: str, entity_id: str) -> Golden | None:
        name = f"{kind}/{entity_id}"
        self.seen.add(name)
        found = self._references(kind, entity_id)
        if found is None or found.root is None:
            # Deleted, or known by a child row only: as unknown as one that never came. Hold, never show a blank.
            if kind in SHOWN_KINDS:
                self.unknown.add(name)
            return None
        return found


def _was_known(entity: Entity) -> bool:
    """A root row that existed and was deleted leaves its tombstone claim."""
    return any(entity.kind in tables and tables[entity.kind] for tables in entity.claims.values())


def _wanted(
    entity: Entity, record: Golden, built: dict[str, view.View], verdicts: gate.Verdicts
) -> dict[str, view.View]:
    """The view each sink is to have now. One on hold keeps its own and isn't here, unless something ends there."""
    found: dict[str, view.View] = {}
    for sink, verdict in verdicts.items():
        match verdict:
            case gate.Withdraw(reason):
                found[sink] = view.withdrawn(record, sink, reason)
            case gate.Hold():
                if (kept := _kept(entity, built, sink)) is not None:
                    found[sink] = kept
            case _:
                found[sink] = built[sink]
    return found


def _answering(entity: Entity, verdicts: gate.Verdicts, world: World) -> Iterator[str]:
    """The systems that are known to confirm what they are sent. Of somebody they never had their adapter withdraws
    nothing, and so confirms nothing."""
    for system, verdict in verdicts.items():
        if system in entity.confirmed or (
            system in world.captured and not isinstance(verdict, gate.Withdraw)
        ):
            yield system


def _kept(entity: Entity, built: dict[str, view.View], sink: str) -> view.View | None:
    """What a sink on hold has, without what is over."""
    last = entity.sent.get(sink)
    if last is None or sink not in built:
        return None
    return view.ended(view.VIEWS[entity.kind][sink].decode(last.content), built[sink])


def _emit(entity: Entity, wanted: dict[str, view.View], anew: set[str]) -> list[Emission]:
    """The views that differ from what each sink last got or must be asserted again, all under one new revision."""
    emissions: list[Emission] = []
    for sink, content in wanted.items():
        contract = view.VIEWS[entity.kind][sink]
        encoded = Raw(view.encode(content))
        last = entity.sent.get(sink)
        if last is not None and last.content == encoded and sink not in anew:
            continue
        if not emissions:
            entity.revision += 1
        edit.replaced(entity, sink)
        emissions.append(_send(entity, sink, entity.kind, contract, content, encoded))
    return emissions


def _send(
    entity: Entity, sink: str, kind: str, contract: view.Contract, content: view.View, encoded: Raw
) -> Emission:
    """It is what the sink got last, under the entity's revision."""
    last = entity.sent.get(sink)
    changed = view.changed_fields(contract, last.content if last is not None else None, encoded)
    entity.sent[sink] = Sent(entity.revision, encoded)
    return Emission(sink, kind, entity.id, entity.revision, content, changed)


def _to_people(
    entity: Entity, record: Golden, authority: Authority, emitted: list[Emission]
) -> list[Emission]:
    """What stewards see and what the owner is asked, where it changed: under the revision of the other views. No gate
    stands before either."""
    emissions: list[Emission] = []
    for sink, kind, contract, content in worklist.views(entity, record, authority):
        encoded, last = Raw(view.encode(content)), entity.sent.get(sink)
        if content.is_empty if last is None else last.content == encoded:
            continue
        if not emitted and not emissions:
            entity.revision += 1
        emissions.append(_send(entity, sink, kind, contract, content, encoded))
    return emissions


def _broadcast(entity: Entity, record: Golden) -> bytes | None:
    if entity.kind not in REFERENCE_KINDS:
        return None
    content = encode_golden(record)
    encoded = Raw(content)
    last = entity.sent.get(REFERENCE)
    if last is not None and last.content == encoded:
        return None
    entity.sent[REFERENCE] = Sent(entity.revision, encoded)
    return content


def _announce(entity: Entity, record: Golden) -> list[tuple[str, bool]]:
    npi = getattr(record.root, "npi", None)
    if npi == entity.announced:
        return []
    announcements = [(entity.announced, False)] if entity.announced else []
    if npi:
        announcements.append((npi, True))
    entity.announced = npi
    return announcements


def _remember(entity: Entity, touch: Touch | None, emissions: list[Emission], decided_us: int) -> None:
    if not emissions:
        return
    t = touch or Touch("reference", (0, 0, 0), 0, 0, 0, 0)
    sinks = [e.sink for e in emissions]
    step = Step(
        entity.revision,
        t.system,
        t.position,
        t.txid,
        t.committed_us,
        t.captured_us,
        t.received_us,
        decided_us,
        sinks,
    )
    entity.remember(step)
