"""An entity: the newest claim of each system per row, and what was last decided from them.

Sits between change and finding. `aggregate` is the only way a claim enters; it is commutative and
idempotent (newest position wins), so replays and reordering across tables converge (invariants 1, 3).
It never decides: authority, findings, gates and views are derived afterwards by `golden` and the next stages.

The Structs below are the persisted format (topic `entity` and the partition store): append fields with a
default, never reorder (tests/contract/test_persisted_formats.py holds a golden of it).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from streams.core.authority import Authority
from streams.core.change import UNAVAILABLE, Change, Malformed, Position, Values
from streams.core.formats import covers_no_day, refused_fields

APPLIED = "applied"
UNCHANGED = "unchanged"
SUPERSEDED = "superseded"

TRAIL_LENGTH = 8
"""Revisions kept for `trace`."""


class Claim(Struct, array_like=True, gc=False):
    """What one system says of one row.

    held     the last image of the row, whoever wrote it: parity and verification read it; None = deleted
    claimed  the last values the system's own users wrote, where they differ from `held`: authority reads it
    refused  fields whose claimed value failed its own check -> the last value that passed (None = none yet)
    gaps     fields whose value was never delivered (unchanged TOAST with nothing to keep)
    """

    position: Position
    txid: int
    committed_us: int
    held: Values | None
    claimed: Values = {}
    refused: Values = {}
    gaps: list[str] = []

    def values(self) -> Values | None:
        """The claimed row with refused values replaced by the last good ones; None when deleted."""
        if self.held is None:
            return None
        if not self.claimed and not self.refused:
            return self.held
        return {**self.held, **self.claimed, **self.refused}


class Sent(Struct, array_like=True, gc=False):
    """The view a sink last got: its revision and its content (msgpack, without the revision)."""

    revision: int
    content: bytes


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


class Open(Struct, array_like=True, gc=False):
    """A finding that is open: when it opened, and its last wording."""

    position: Position
    severity: str
    effect: str
    message: str
    action: str


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
    trail: list[Step] = []
    dirty: Touch | None = None
    depends: list[str] = []
    """references the last decision looked at, as 'kind/id'"""
    announced: str | None = None
    """the NPI last announced on claims.npi"""
    accepted: dict[str, str] = {}
    """guarded field -> value once accepted"""
    proposals: list[Any] = []
    """open proposals of non-owners"""


class Golden(Struct, array_like=True, gc=False):
    """The golden record: for each canonical record, row id -> values, as authority admits them."""

    kind: str
    id: str
    records: dict[str, dict[str, Values]]

    def one(self, record: str) -> Values | None:
        """The only row of a record that has at most one, or None."""
        rows = self.records.get(record)
        return next(iter(rows.values())) if rows else None

    def rows(self, record: str) -> dict[str, Values]:
        """All rows of a record by row id."""
        return self.records.get(record) or {}


def aggregate(entity: Entity, change: Change) -> str:
    """Take one change in: `applied`, `unchanged` (same values, newer position) or `superseded`."""
    rows = entity.claims.setdefault(change.system, {}).setdefault(change.record, {})
    before = rows.get(change.row_id)
    if before is not None and change.position <= before.position:
        return SUPERSEDED
    open_gaps = len(entity.gaps)
    after = _next_claim(entity, before, change)
    rows[change.row_id] = after
    if open_gaps == len(entity.gaps) and before is not None and _same(before, after):
        return UNCHANGED
    return APPLIED


def _same(before: Claim, after: Claim) -> bool:
    return before.held == after.held and before.gaps == after.gaps


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
        return Claim(change.position, change.txid, change.committed_us, None)
    held, gaps = _merge(entity, before, change)
    if not gaps:
        _close_gap(entity, change)
    refused = _refused(change.record, held, before)
    # Every captured row of credentialing is its users' own write: what it holds is what it claims.
    return Claim(change.position, change.txid, change.committed_us, held, {}, refused, gaps)


def _merge(entity: Entity, before: Claim | None, change: Change) -> tuple[Values, list[str]]:
    """Unchanged TOAST keeps the held value; with nothing to keep, or after a quarantined change, it is a gap."""
    values = change.values
    assert values is not None
    missing = [field for field, value in values.items() if value is UNAVAILABLE]
    if not missing:
        return values, []
    known = before.held if before is not None and before.held is not None else {}
    broken = f"{change.record}/{change.row_id}" in entity.gaps
    old_gaps = set(before.gaps) if before is not None else set()
    merged = {f: (known.get(f) if v is UNAVAILABLE else v) for f, v in values.items()}
    return merged, [f for f in missing if known.get(f) is None or broken or f in old_gaps]


def _close_gap(entity: Entity, change: Change) -> None:
    if entity.gaps:
        entity.gaps.pop(f"{change.record}/{change.row_id}", None)
        if change.read:
            entity.gaps.pop(change.record, None)


def _refused(record: str, held: Values, before: Claim | None) -> Values:
    failing = refused_fields(record, held)
    if not failing:
        return {}
    good = before.values() if before is not None else None
    return {field: (good or {}).get(field) for field in failing}


def golden(entity: Entity, authority: Authority) -> Golden:
    """The golden record: per record, the rows and fields of the systems that own them (invariant 4)."""
    records: dict[str, dict[str, Values]] = {}
    keepers = authority.keepers
    for system, tables in entity.claims.items():
        for record, rows in tables.items():
            if keepers.get(record) == system:
                records[record] = _rows(record, rows, authority.admitted[record][system])
    if len(entity.claims) > 1:
        _add_fields(records, entity, authority)
    return Golden(entity.kind, entity.id, records)


def _rows(record: str, rows: dict[str, Claim], fields: frozenset[str] | None) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for row_id, claim in rows.items():
        values = claim.values()
        if values is None or (claim.refused and covers_no_day(record, claim.refused)):
            continue
        found[row_id] = values if fields is None else {f: v for f, v in values.items() if f in fields}
    return found


def _add_fields(records: dict[str, dict[str, Values]], entity: Entity, authority: Authority) -> None:
    """What others own of rows that their keeper says exist: a deleted row is not kept alive by them."""
    for system in sorted(entity.claims):
        for record, rows in entity.claims[system].items():
            fields = authority.admitted.get(record, _NOTHING).get(system)
            known = records.get(record)
            if fields is None or not known or authority.keepers[record] == system:
                continue
            for row_id, values in _rows(record, rows, fields).items():
                if row_id in known:
                    known[row_id] = {**known[row_id], **values}


_NOTHING: dict[str, frozenset[str] | None] = {}


class Standing(Struct, frozen=True, gc=False):
    """What a decision changes of an entity, as it was before: to take a decision back."""

    revision: int
    sent: dict[str, Sent]
    findings: dict[str, Open]
    trail: list[Step]
    dirty: Touch | None
    depends: list[str]
    announced: str | None


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
    )


def take_back(entity: Entity, before: Standing) -> None:
    """As if the decision had never been made; claims and gaps stay."""
    for name in Standing.__struct_fields__:
        setattr(entity, name, getattr(before, name))


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Entity).decode
encode_golden = encode
decode_golden = msgspec.msgpack.Decoder(Golden).decode
