"""What was proposed of an entity's fields, and who decided it, when and why: a part of `explain`.

    rows of stewardship, requests of the owner, what the core made of them --decisions--> one a proposal

Pure: read from the stored entity. `concord proposals audit` has every word, refused ones too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any, TypeVar

from streams.core.canonical import Approval, Comment, Proposal, Request, Row, Ruling
from streams.core.entity import REQUESTED, STEWARDSHIP, Entity
from streams.operate.masking import shown

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Decision:
    """A proposal: of which row and field of which system's, the value, how far it is, and what was said and done."""

    proposal: str
    system: str
    record: str
    row: str
    field: str
    value: Any
    state: str
    words: list[str] = attribute(default_factory=list)
    """one a deed, the oldest first: when, who, what"""


def decisions(entity: Entity) -> list[Decision]:
    """Every proposal that stewardship has of an entity, the oldest first."""
    states = {p.id: p.state for p in entity.proposals} | entity.closed
    found = sorted(_rows(entity, "proposal", Proposal), key=lambda item: item[1].submitted_at or "")
    return [
        Decision(
            number,
            row.system or "",
            row.record or "",
            row.row_id or "",
            row.field or "",
            shown(row.record or "", row.field or "", row.value),
            states.get(number, row.state or ""),
            [f"{at} {word}" for at, word in sorted(_words(entity, number))],
        )
        for number, row in found
    ]


def _words(entity: Entity, number: str) -> Iterator[tuple[str, str]]:
    for _, a in _rows(entity, "approval", Approval):
        if str(a.proposal_id) == number:
            yield a.decided_at or "", f"{a.approver} ({a.role}): {a.verdict}{_shown(a.evidence)}"
    for _, r in _rows(entity, "ruling", Ruling):
        if str(r.proposal_id) == number:
            when = f", from {r.effective_date} on" if r.effective_date else ""
            yield r.ruled_at or "", f"{r.ruled_by}: {r.decision}{when}{f': {r.reason}' if r.reason else ''}"
    for _, c in _rows(entity, "comment", Comment):
        if str(c.proposal_id) == number:
            yield c.written_at or "", f"{c.author} remarked on it"  # whatever it says: class S1
    for system, tables in entity.claims.items():
        claim = tables.get(REQUESTED, {}).get(number)
        row = claim.image(REQUESTED) if claim is not None else None
        if claim is not None and isinstance(row, Request):
            yield row.settled_at or "", f"{system}: {row.outcome} in its transaction {claim.txid}"


def _shown(evidence: Any) -> str:
    return f", having seen {', '.join(sorted(evidence))}" if isinstance(evidence, dict) and evidence else ""


def _rows(entity: Entity, record: str, kind: type[R]) -> Iterator[tuple[str, R]]:
    for row_id, claim in entity.claims.get(STEWARDSHIP, {}).get(record, {}).items():
        row = claim.image(record)
        if isinstance(row, kind):
            yield row_id, row
