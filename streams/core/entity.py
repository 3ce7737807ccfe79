"""An entity: the newest claim of each system per row, and what was last decided from them.

Sits between change and finding. `aggregate` is the only way a claim enters; it is commutative and
idempotent (newest position wins), so replays and reordering across tables converge (invariants 1, 3).
It never decides: authority, findings, gates and views are derived afterwards by `golden` and the next stages.
A row stays encoded within its claim: most changes touch an entity without looking at its other rows.

The Structs below are the persisted format (topic `entity` and the partition store): append fields with a
default, never reorder (tests/contract/test_persisted_formats.py holds a golden of it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from streams.core.authority import Authority
from streams.core.canonical import DECODE, RECORDS, Row
from streams.core.canonical import encode as encode_row
from streams.core.change import CAPTURED, Change, Confirmation, Malformed, Position, Values
from streams.core.combine import combine
from streams.core.formats import KEPT, covers_no_day, kept_fields, refused_fields

STEWARDSHIP = "stewardship"
"""Where people decide: its rows are read as they stand (core/ruling.py) and are no part of the golden record."""
REQUESTED = "request"
"""What became of changes asked of an owner: rows of its database that are no part of the golden record either."""

SYSTEM, CONTRACT = "system", "authority"
"""The kind of what belongs to no provider and has no rows: `system/<name>` is an adapter as a whole, and what is wrong
with the platform's own contracts is `system/authority`."""

APPLIED = "applied"
UNCHANGED = "unchanged"
SUPERSEDED = "superseded"

TRAIL_LENGTH = 8
"""Revisions kept for `trace`."""


class Claim(Struct, array_like=True, gc=False):
    """What one system says of one row.

    held     the last image of the row, encoded, whoever wrote it: parity and verification read it; NIL = deleted
    claimed  the last values the system's own users wrote, where they differ from `held` (None = they never wrote
             one): authority reads it
    refused  fields whose claimed value failed its own check -> the last value that passed (None = none yet)
    gaps     fields whose value was never delivered (unchanged TOAST with nothing to keep)
    beside   `record.field` -> value: what the row says of other records
    """

    position: Position
    txid: int
    committed_us: int
    held: Raw
    claimed: Values = {}
    refused: Values = {}
    gaps: list[str] = []
    beside: Values = {}

    @property
    def is_deleted(self) -> bool:
        """Whether the row is gone: what is left is a tombstone."""
        return len(self.held) == 1

    def image(self, record: str) -> Row | None:
        """The row as it was last seen; None when deleted."""
        return DECODE[record](self.held) if len(self.held) > 1 else None

    def claims(self, record: str) -> Row | None:
        """The claimed row, refused values included; None when deleted."""
        image = self.image(record)
        return replace(image, **self.claimed) if image is not None and self.claimed else image

    def row(self, record: str) -> Row | None:
        """The claimed row with refused values replaced by the last good ones; None when deleted."""
        image = self.image(record)
        if image is None or not (self.claimed or self.refused):
            return image
        return replace(image, **{**self.claimed, **self.refused})


class Confirmed(Struct, array_like=True, gc=False):
    """What a system is known to hold: the revision its adapter applied last, and the transaction it did that in."""

    revision: int
    position: Position
    txid: int
    committed_us: int
    local_id: str = ""
    view_hash: str = ""
    told: bool = False
    """by a receipt: nothing of the system is captured, so that what it holds besides is not known"""


class Refusal(Struct, array_like=True, frozen=True, gc=False):
    """A view that a system refused, and why; of an entity `system/<name>`, why its adapter stands still."""

    revision: int
    code: str
    message: str = ""
    since: int = 0
    """of an adapter: the time (microseconds) it first stood still for such a reason"""
    day: str = ""
    """of a view: the as-of date it was refused on, once that was decided about"""

    @property
    def reason(self) -> str:
        """Code and words, as the receipt had them."""
        return f"{self.code}: {self.message}" if self.message else self.code


class Awaited(Struct, array_like=True, frozen=True, gc=False):
    """The oldest revision that a system was sent and may not hold yet, and the as-of date it was sent on."""

    revision: int
    day: str


class Link(Struct, array_like=True, gc=False):
    """Whose rows the rows of a system's own id are: the master's id (empty: nobody's yet), how often that was said
    anew, and whose view the adapter wrote to them last."""

    entity_id: str = ""
    number: int = 0
    applied: str = ""


class Judged(Struct, array_like=True, gc=False):
    """A non-owner's edit that was judged: where it stood, what became of it, and how often that day."""

    position: Position
    policy: str
    day: str
    times: int


class Proposal(Struct, array_like=True, gc=False):
    """What a non-owner would have the owner say, until it is ruled on, comes true or is made moot.

    against   the value it was made against: another one voids it
    day       the date it was opened on
    """

    id: str
    system: str
    record: str
    row_id: str
    field: str
    value: Any
    against: Any
    position: Position
    day: str
    state: str = "awaiting_approval_1"
    """how far its approval is (core/ruling.py)"""
    since: str = ""
    """the date it came that far on; empty: the day it was opened"""

    @property
    def subject(self) -> str:
        """`system/record/row/field`"""
        return f"{self.system}/{self.record}/{self.row_id}/{self.field}"


class Parity(Struct, array_like=True, frozen=True, gc=False):
    """How a system stood to its view when the entity was last decided (`core.parity` has the states).

    since_us  since when it isn't what it is to be; 0 where it is
    fields    `record.field` of what is known to differ
    """

    state: str
    since_us: int = 0
    fields: list[str] = []


NIL = Raw(b"\xc0")
"""What a deleted row holds."""


class Sent(Struct, array_like=True, gc=False):
    """The view a sink last got: its revision and its content, encoded, without the revision."""

    revision: int
    content: Raw


class Step(Struct, array_like=True, gc=False):
    """One revision, for `trace`: where it came from and when each hop saw it (epoch microseconds)."""

    revision: int
    system: str
    position: Position
    txid: int
    committed_us: int
    captured_us: int
    received_us: int
    decided_us: int
    sinks: list[str]


class Evidence(Struct, array_like=True, frozen=True, gc=False):
    """A claim that a finding rests on: where it stands and how new it is, never what it says."""

    system: str
    record: str
    row_id: str
    position: Position


class Open(Struct, array_like=True, gc=False):
    """A finding that is open: when it opened, and what was last said of it."""

    position: Position
    severity: str
    effect: str
    message: str
    action: str
    actor: str = ""
    """who should act"""
    due: str = ""
    """the date by which; empty: no clock runs"""
    evidence: list[Evidence] = []


class Touch(Struct, array_like=True, gc=False):
    """The newest change that made the entity dirty: what its next decision is attributed to."""

    system: str
    position: Position
    txid: int
    committed_us: int
    captured_us: int
    received_us: int
    initial: bool = False
    """Touched by an initial snapshot and not decided since: waits for snapshot-complete."""


class Entity(Struct, array_like=True, gc=False):
    """Everything the platform knows of one entity; the value of topic `entity`."""

    kind: str
    id: str
    revision: int = 0
    claims: dict[str, dict[str, dict[str, Claim]]] = {}
    """system -> record -> row id -> claim"""
    sent: dict[str, Sent] = {}
    """sink system -> last view"""
    findings: dict[str, Open] = {}
    """'code subject' -> open finding"""
    gaps: dict[str, str] = {}
    """'record/row' -> code of the quarantined change whose values are missing"""
    trail: list[Raw] = []
    """the last revisions as encoded Steps: read for `trace` only"""
    dirty: Touch | None = None
    depends: list[str] = []
    """references the last decision looked at, as 'kind/id'"""
    announced: str | None = None
    """the NPI last announced on claims.npi"""
    accepted: dict[str, str] = {}
    """guarded field -> value once accepted"""
    proposals: list[Proposal] = []
    """open proposals of non-owners"""
    due: str = ""
    """the date on which time alone may change something, as of the last decision; empty: never"""
    confirmed: dict[str, Confirmed] = {}
    """system -> what it holds"""
    judged: dict[str, Judged] = {}
    """'system/record/row/field' -> what became of the edit"""
    link: Link | None = None
    """of rows under a system's own id: the entity they belong to"""
    passing: dict[str, Raw] = {}
    """sink system -> the content it was known to hold when a newer one was sent, until it confirms that one"""
    parity: dict[str, Parity] = {}
    """system -> how it stood to its view at the last decision"""
    closed: dict[str, str] = {}
    """proposal that is no longer open -> what became of it"""
    refused: dict[str, Refusal] = {}
    """system -> the newest view it refused, until it holds that one or a newer one"""
    again: list[str] = []
    """sink systems whose view goes out with the next decision though it says nothing new: a repair"""
    diverging: dict[str, str] = {}
    """'record/row/system' -> code of what a verification found wrong with the row and nobody has repaired"""
    awaited: dict[str, Awaited] = {}
    """system -> since when it owes a confirmation, as of the last decision"""

    def steps(self) -> list[Step]:
        """The last revisions, oldest first."""
        return [_decode_step(step) for step in self.trail]

    def remember(self, step: Step) -> None:
        """Another revision; the oldest is forgotten."""
        self.trail = [*self.trail[-(TRAIL_LENGTH - 1) :], Raw(encode(step))]


R = TypeVar("R", bound=Row)


class Golden:
    """The golden record: the rows of each canonical record as authority admits them, read when they are asked for."""

    __slots__ = ("_load", "_rows", "id", "kind", "records")

    def __init__(
        self, kind: str, entity_id: str, records: Iterable[str], load: Callable[[str], dict[str, Row]]
    ) -> None:
        self.kind = kind
        self.id = entity_id
        self.records = tuple(records)
        """records that may have rows"""
        self._load = load
        self._rows: dict[str, dict[str, Row]] = {}

    def rows(self, record: type[R]) -> dict[str, R]:
        """All rows of a record by row id."""
        rows: Any = self._rows.get(record.RECORD)
        return rows if rows is not None else cast(dict[str, R], self.named(record.RECORD))

    def one(self, record: type[R]) -> R | None:
        """The only row of a record that has at most one, or None."""
        rows = self.named(record.RECORD)
        return cast(R, next(iter(rows.values()))) if rows else None

    def named(self, record: str) -> dict[str, Row]:
        """All rows of a record by row id, for who goes through the records by name."""
        rows = self._rows.get(record)
        if rows is None:
            rows = self._rows[record] = self._load(record)
        return rows

    @property
    def root(self) -> Any:
        """The entity's own row (the record named like its kind), or None."""
        rows = self._rows.get(self.kind)
        if rows is None:
            rows = self.named(self.kind)
        return next(iter(rows.values())) if rows else None


def aggregate(entity: Entity, change: Change) -> str:
    """Take one change in: `applied`, `unchanged` (same values, newer position) or `superseded`."""
    rows = entity.claims.setdefault(change.system, {}).setdefault(change.record, {})
    before = rows.get(change.row_id)
    if before is not None and change.position <= before.position and not _is_moved(before, change):
        return SUPERSEDED
    open_gaps = len(entity.gaps)
    after = _next_claim(entity, before, change)
    rows[change.row_id] = after
    if open_gaps == len(entity.gaps) and before is not None and _same(before, after):
        return UNCHANGED
    return APPLIED


def _is_moved(before: Claim, change: Change) -> bool:
    """Whether it is the other half of one update: a row moved between two local ids of this entity is told as deleted
    and inserted at the same position, in whatever order two partitions are heard."""
    return change.position == before.position and before.is_deleted and change.values is not None


def confirm(entity: Entity, said: Confirmation) -> str:
    """The system holds a revision: `applied`, or `superseded` when a newer confirmation is known. Revision 0 is none of
    this entity's: it only says which transaction's rows are the platform's own."""
    known = entity.confirmed.get(said.system)
    if known is not None and said.position <= known.position:
        return SUPERSEDED
    # What a snapshot reads says which revision is held, not which transaction wrote the rows.
    txid = 0 if said.read else said.txid
    now = Confirmed(said.revision, said.position, txid, said.committed_us, said.local_id, said.view_hash)
    if not said.revision and known is not None:
        now.revision, now.local_id, now.view_hash = known.revision, known.local_id, known.view_hash
    entity.confirmed[said.system] = now
    holds(entity, said.system, said.revision)
    return APPLIED


def is_answer(entity: Entity, said: Change | Confirmation) -> bool:
    """Whether it only answers what the entity was sent: no user's word, so nothing that is said to others."""
    return isinstance(said, Confirmation) or (bool(entity.confirmed) and _is_own(entity, said))


def holds(entity: Entity, system: str, revision: int) -> bool:
    """A system holds a revision: what was on its way there has arrived. Whether a refusal ended with it."""
    if system in entity.passing and revision >= entity.sent[system].revision:
        del entity.passing[system]
    if entity.refused and system in entity.refused and revision >= entity.refused[system].revision:
        del entity.refused[system]
        return True
    return False


def newest(entity: Entity) -> Position:
    """Where its own row stands: what follows from no change of it, and yet must beat what was said."""
    rows = [claim for tables in entity.claims.values() for claim in tables.get(entity.kind, {}).values()]
    return max((claim.position[:3] for claim in rows), default=(0, 0, 0))


def _is_own(entity: Entity, change: Change) -> bool:
    """Whether the platform wrote the row itself: in the transaction of its last confirmation (invariant 8)."""
    known = entity.confirmed.get(change.system)
    return known is not None and known.txid == change.txid and not change.read


def _same(before: Claim, after: Claim) -> bool:
    return (
        before.held == after.held
        and before.gaps == after.gaps
        and before.beside == after.beside
        and before.claimed == after.claimed
    )


def note_gap(entity: Entity, malformed: Malformed) -> bool:
    """Remember that a change of this row was quarantined, so that its values are known to be missing."""
    subject = f"{malformed.record}/{malformed.row_id}" if malformed.row_id else malformed.record
    if not subject or entity.gaps.get(subject) == malformed.code or _outlived(entity, malformed):
        return False
    entity.gaps[subject] = malformed.code
    return True


def _outlived(entity: Entity, malformed: Malformed) -> bool:
    """A replayed bad change whose row has been good since (invariant 3)."""
    claim = entity.claims.get(malformed.system, {}).get(malformed.record, {}).get(malformed.row_id)
    return claim is not None and malformed.position is not None and malformed.position <= claim.position


def _next_claim(entity: Entity, before: Claim | None, change: Change) -> Claim:
    if change.values is None:
        _close_gap(entity, change)
        return Claim(change.position, change.txid, change.committed_us, NIL)
    held, gaps = _merge(entity, before, change) if change.unavailable else (change.values, _NONE)
    if not gaps:
        _close_gap(entity, change)
    own = bool(entity.confirmed) and _is_own(entity, change)
    return Claim(
        change.position,
        change.txid,
        change.committed_us,
        Raw(encode_row(held)),
        _claimed(change.record, held, before, own) if own or (before is not None and before.claimed) else {},
        {} if own else _refused(change, held, before),
        gaps,
        dict(change.beside) if change.beside else {},
    )


def _claimed(record: str, held: Row, before: Claim | None, own: bool) -> Values:
    """What its users say where they hold something else: their write says what it holds, ours changes no claim."""
    if own:
        said = before.claims(record) if before is not None else None
        return {
            field: value
            for field in held.__struct_fields__
            if (value := getattr(said, field, None)) != getattr(held, field)
        }
    assert before is not None
    was = before.image(record)
    return {
        field: value
        for field, value in before.claimed.items()
        if was is not None and getattr(was, field) == getattr(held, field)
    }


_NONE: list[str] = []


def _merge(entity: Entity, before: Claim | None, change: Change) -> tuple[Row, list[str]]:
    """Unchanged TOAST keeps the held value; with nothing to keep, or after a quarantined change, it is a gap."""
    values = change.values
    assert values is not None
    known = before.image(change.record) if before is not None else None
    broken = f"{change.record}/{change.row_id}" in entity.gaps
    old_gaps = set(before.gaps) if before is not None else set()
    kept = {field: getattr(known, field, None) for field in change.unavailable if hasattr(values, field)}
    gaps = [field for field, value in kept.items() if value is None or broken or field in old_gaps]
    return replace(values, **kept), gaps


def _close_gap(entity: Entity, change: Change) -> None:
    if entity.gaps:
        entity.gaps.pop(f"{change.record}/{change.row_id}", None)
        if change.read:
            entity.gaps.pop(change.record, None)


def _refused(change: Change, held: Row, before: Claim | None) -> Values:
    record = change.record
    failing = refused_fields(record, held)
    guarded = record in KEPT and change.origin == CAPTURED  # whose identity it is says the master alone
    if not failing and not guarded:
        return {}
    good = before.row(record) if before is not None else None
    if guarded:
        failing += [field for field in kept_fields(record, held, good) if field not in failing]
    return {field: getattr(good, field, None) for field in failing}


def golden(entity: Entity, authority: Authority) -> Golden:
    """The golden record: per record, the rows and fields of the systems that own them (invariant 4).

    Reads the entity's claims as they are when a record is first asked for: it lives as long as one decision.
    """
    records = [
        record
        for system, tables in entity.claims.items()
        for record in tables
        if authority.keepers.get(record) == system and system != STEWARDSHIP and record != REQUESTED
    ]
    return Golden(entity.kind, entity.id, records, partial(_golden_rows, entity, authority))


def _golden_rows(entity: Entity, authority: Authority, record: str) -> dict[str, Row]:
    keeper = authority.keepers.get(record, "")
    claims = entity.claims.get(keeper, _NOTHING).get(record)
    if not claims:
        return {}
    computed = authority.computed.get(record, frozenset())
    rows = _rows(record, claims, authority.admitted[record][keeper], computed)
    return _with_fields(rows, record, keeper, entity, authority) if len(entity.claims) > 1 else rows


def _rows(
    record: str,
    claims: Mapping[str, Claim],
    fields: frozenset[str] | None,
    computed: frozenset[str] = frozenset(),
) -> dict[str, Row]:
    found: dict[str, Row] = {}
    decode_row = DECODE[record]
    for row_id, claim in claims.items():
        plain = len(claim.held) > 1 and not claim.claimed and not claim.refused
        row = decode_row(claim.held) if plain else claim.row(record)
        if row is None or (claim.refused and covers_no_day(record, claim.refused)):
            continue
        if computed and not plain:
            row = _as_held(row, claim, record, computed)
        found[row_id] = row if fields is None else RECORDS[record](**{f: getattr(row, f) for f in fields})
    return found


def _as_held(row: Row, claim: Claim, record: str, computed: frozenset[str]) -> Row:
    """What nobody owns is no claim: after the platform wrote it, it is as the platform wrote it."""
    image = claim.image(record)
    return replace(row, **{field: getattr(image, field) for field in computed & claim.claimed.keys()})


def _with_fields(
    rows: dict[str, Row], record: str, keeper: str, entity: Entity, authority: Authority
) -> dict[str, Row]:
    """What others say of rows that their keeper says exist: a deleted row is not kept alive by them."""
    heard = authority.heard.get(record, _NOTHING)
    theirs = {
        system: _rows(record, entity.claims[system].get(record, _NOTHING), None)
        for system in heard
        if system in entity.claims
    }
    if not any(theirs.values()):
        return rows
    theirs[keeper] = rows
    return {
        row_id: replace(row, **_said(record, _counterparts(entity, record, row_id, theirs), authority))
        for row_id, row in rows.items()
    }


def _counterparts(
    entity: Entity, record: str, row_id: str, theirs: Mapping[str, Mapping[str, Row]]
) -> dict[str, Row]:
    """Each system's row of the same thing. Ids differ between systems, but an entity has one row of its own; of two
    that claim to be it the smaller id speaks (a finding says that there are two)."""
    if record == entity.kind:
        return {system: rows[min(rows)] for system, rows in theirs.items() if rows}
    return {system: rows[row_id] for system, rows in theirs.items() if row_id in rows}


def _said(record: str, rows: Mapping[str, Row], authority: Authority) -> Values:
    """The fields on which anybody but the keeper has a say, by the rule of each."""
    return {
        field: combine(rule.kind, field, [(s, getattr(rows[s], field)) for s in rule.owners if s in rows])
        for field, rule in authority.shared[record].items()
        if any(system in rows for system in rule.owners)
    }


_NOTHING: dict[str, Any] = {}


class Standing(Struct, frozen=True, gc=False):
    """What a decision changes of an entity, as it was before: to take a decision back."""

    revision: int
    sent: dict[str, Sent]
    findings: dict[str, Open]
    trail: list[Raw]
    dirty: Touch | None
    depends: list[str]
    announced: str | None
    due: str
    judged: dict[str, Judged]
    proposals: list[Proposal]
    passing: dict[str, Raw]
    parity: dict[str, Parity]
    closed: dict[str, str]
    again: list[str]
    awaited: dict[str, Awaited]
    refused: dict[str, Refusal]


def standing(entity: Entity) -> Standing:
    """Remember what stands before a decision; the values within are replaced by decisions, never changed."""
    return Standing(
        entity.revision,
        dict(entity.sent),
        dict(entity.findings),
        entity.trail,
        entity.dirty,
        entity.depends,
        entity.announced,
        entity.due,
        entity.judged,
        entity.proposals,
        dict(entity.passing),
        entity.parity,
        entity.closed,
        entity.again,
        entity.awaited,
        entity.refused,
    )


def take_back(entity: Entity, before: Standing) -> None:
    """As if the decision had never been made; claims and gaps stay."""
    for name in Standing.__struct_fields__:
        setattr(entity, name, getattr(before, name))


encode = msgspec.msgpack.Encoder().encode
_decode_step = msgspec.msgpack.Decoder(Step).decode
decode = msgspec.msgpack.Decoder(Entity).decode


class Broadcast(Struct, array_like=True, gc=False):
    """A golden record as topic `reference` carries it."""

    kind: str
    id: str
    records: dict[str, dict[str, Raw]]


_decode_broadcast = msgspec.msgpack.Decoder(Broadcast).decode


def encode_golden(record: Golden) -> bytes:
    """All rows of a golden record, in an order of their own: which came first makes no other bytes."""
    rows = {
        name: {i: Raw(encode_row(row)) for i, row in sorted(record.named(name).items())}
        for name in sorted(record.records)
    }
    return encode(Broadcast(record.kind, record.id, rows))


def decode_golden(value: bytes) -> Golden:
    """A golden record that was broadcast."""
    told = _decode_broadcast(value)

    def load(record: str) -> dict[str, Row]:
        return {i: DECODE[record](raw) for i, raw in told.records.get(record, _NOTHING).items()}

    return Golden(told.kind, told.id, told.records, load)
