"""Rulings: what people decided on an entity's proposals, and what follows.

    proposals, claims of stewardship, authority --> Proposal.state --> closed, or asked of the owner (worklist)

Sits beside edit. Proposals are the platform's, signatures and rulings are rows of the stewardship database, captured
like any other. Whoever wrote them, they count only as authority has it: enough different people, each in a role that
may sign, bound to the value and the position that was proposed. An approved proposal is not true yet: it waits for the
owner's own change. Never writes anything and never looks at another entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streams.core import held
from streams.core.authority import Authority, Rule
from streams.core.canonical import Approval, Row, Ruling
from streams.core.canonical import Proposal as ProposalRow
from streams.core.change import Position, position_text
from streams.core.entity import STEWARDSHIP, Entity, Golden, Proposal
from streams.core.equivalent import equivalent
from streams.core.rules.business import business_days_later
from streams.core.rules.days import later
from streams.core.view import View

AWAITING, AWAITING_MORE, APPROVED = "awaiting_approval_1", "awaiting_approval_2", "approved"
"""Nobody has signed; somebody must sign yet; the owner is asked."""
APPLIED, VOIDED, REJECTED, WITHDRAWN, EXPIRED = "applied", "voided", "rejected", "withdrawn", "expired"
"""The owner said it; the owner said something else, or its author did; refused; taken back; nobody ruled in time."""
ENDS = frozenset({APPLIED, VOIDED, REJECTED, WITHDRAWN, EXPIRED})

APPROVE, REJECT, LOCK, WITHDRAW = "approve", "reject", "lock", "withdraw"
"""What a ruling decides. `lock` refuses the value for good: the same system proposing it again is reverted."""

EXPIRES_AFTER = 10
"""Business days (authority matrix 9)."""
MOST_CLOSED = 64

R = TypeVar("R", bound=Row)

STEWARD, COMPLIANCE = "data_steward", "compliance"
OTHERWISE = ("credentialing_manager",)
"""Who signs second where authority names nobody."""


class Signature(Struct, frozen=True):
    """Who approves, and in which role."""

    approver: str
    role: str


def signatures_of(level: str, approvers: Sequence[str]) -> list[tuple[str, ...]]:
    """The signatures a level asks for, each as the roles that may give it."""
    second = tuple(approvers) or OTHERWISE
    return {"A2": [(STEWARD,), second], "A3": [(STEWARD,), second, (COMPLIANCE,)]}.get(level, [(STEWARD,)])


def missing(level: str, approvers: Sequence[str], given: Iterable[Signature]) -> list[tuple[str, ...]]:
    """The signatures still to come. Four eyes are two people: nobody gives two."""
    left, people = signatures_of(level, approvers), set[str]()
    for signature in given:
        fits = next((roles for roles in left if signature.role in roles), None)
        if fits is not None and signature.approver not in people:
            left.remove(fits)
            people.add(signature.approver)
    return left


def settle(
    entity: Entity, golden: Golden, wanted: Mapping[str, View], authority: Authority, as_of: str
) -> None:
    """Where every proposal stands now; those that ended leave, and what became of them is kept. `wanted`: what each
    system is to have now, where that is known."""
    if not entity.proposals:
        return
    states = {
        p.id: _moot(entity, p, golden.root, wanted.get(p.system)) or _state(entity, p, authority, as_of)
        for p in entity.proposals
    }
    close(entity, {number: state for number, state in states.items() if state in ENDS})
    entity.proposals = [
        p if p.state == states[p.id] else replace(p, state=states[p.id])
        for p in entity.proposals
        if states[p.id] not in ENDS
    ]


def close(entity: Entity, ended: Mapping[str, str]) -> None:
    """Remember what became of proposals; the oldest are forgotten."""
    if ended:
        entity.closed = dict([*entity.closed.items(), *ended.items()][-MOST_CLOSED:])


def _state(entity: Entity, proposal: Proposal, authority: Authority, as_of: str) -> str:
    if proposal.state == APPROVED:
        back = any(ruling.decision == WITHDRAW for _, ruling in _rulings(entity, proposal.id))
        return WITHDRAWN if back else APPROVED
    rule = rule_of(authority, proposal)
    signed = signatures(entity, proposal)
    for _, ruling in _rulings(entity, proposal.id):
        decided = _decided(entity, proposal, rule, ruling, signed)
        if decided:
            return decided
    if as_of > expires(proposal):
        return EXPIRED
    return AWAITING_MORE if signed else AWAITING


def _moot(entity: Entity, proposal: Proposal, root: Row | None, view: View | None) -> str:
    """Whether the value came true, or the owner has replaced the one it was made against, or the row it stood in is no
    longer there; empty: somebody must still rule on it."""
    if held.is_gone(entity, proposal):
        return VOIDED
    field, now = proposal.field, held.said_now(entity.kind, proposal, root, view)
    if any(equivalent(field, proposal.value, value) for value in now):
        return APPLIED
    replaced = bool(now) and not any(equivalent(field, proposal.against, value) for value in now)
    return VOIDED if replaced else ""


def _decided(
    entity: Entity, proposal: Proposal, rule: Rule, ruling: Ruling, signed: Sequence[Signature]
) -> str:
    """What a ruling makes of its proposal; empty: it doesn't count."""
    if ruling.decision == WITHDRAW:
        return WITHDRAWN
    if ruling.decision in (REJECT, LOCK):
        allowed = {role for roles in signatures_of(rule.approval, rule.approvers) for role in roles}
        against = _verdicts(entity, proposal.id, REJECT)
        by = ruling.ruled_by
        return REJECTED if any(a.approver == by and a.role in allowed for a in against) else ""
    # A restricted value never reaches stewardship: the position alone says which one was approved.
    same = ruling.value == proposal.value if rule.public else ruling.value is None
    bound = same and ruling.bound_position == position_text(proposal.position)
    complete = not missing(rule.approval, rule.approvers, signed)
    return APPROVED if ruling.decision == APPROVE and bound and complete else ""


def signatures(entity: Entity, proposal: Proposal) -> list[Signature]:
    """Who approved the value as proposed; its author's own signature counts for nothing."""
    bound, author = position_text(proposal.position), _author(entity, proposal.id)
    return [
        Signature(a.approver or "", a.role or "")
        for a in _verdicts(entity, proposal.id, APPROVE)
        if a.bound_position == bound and a.approver != author
    ]


def expires(proposal: Proposal) -> str:
    """The last day on which it may be ruled on."""
    return business_days_later(proposal.day, EXPIRES_AFTER) or "~"


def due(entity: Entity) -> str:
    """The first day on which a proposal expires by time alone; empty: none does."""
    days = [expires(p) for p in entity.proposals if p.state != APPROVED]
    return min((later(day, 1) or "" for day in days if day != "~"), default="")


def rule_of(authority: Authority, proposal: Proposal) -> Rule:
    """What authority says of its field."""
    return authority.rules[proposal.record][proposal.field]


def unanswered(entity: Entity) -> Iterator[tuple[str, str]]:
    """(what is wrong, ruling id) of rulings from which nothing follows, so that none is passed over in silence."""
    if STEWARDSHIP not in entity.claims:
        return
    states = {i: row.state for i, row in _rows(entity, "proposal", ProposalRow) if row.state in ENDS}
    states |= entity.closed | {p.id: p.state for p in entity.proposals}
    for ruling_id, ruling in _rows(entity, "ruling", Ruling):
        state = states.get(str(ruling.proposal_id))
        if state is None:
            yield "ruling.unknown", ruling_id
        elif state in (AWAITING, AWAITING_MORE):
            yield "ruling.unsigned", ruling_id


def is_refused(entity: Entity, subject: str, value: Any) -> bool:
    """Whether a steward has refused this very value of this very row and field for good."""
    locked = {ruling.proposal_id for _, ruling in _rows(entity, "ruling", Ruling) if ruling.decision == LOCK}
    return bool(locked) and any(
        int(number) in locked
        and f"{row.system}/{row.record}/{row.row_id}/{row.field}" == subject
        and row.value == value
        for number, row in _rows(entity, "proposal", ProposalRow)
    )


def _rulings(entity: Entity, number: str) -> list[tuple[str, Ruling]]:
    return [(i, row) for i, row in _rows(entity, "ruling", Ruling) if str(row.proposal_id) == number]


def _verdicts(entity: Entity, number: str, verdict: str) -> list[Approval]:
    rows = (row for _, row in _rows(entity, "approval", Approval))
    return [row for row in rows if str(row.proposal_id) == number and row.verdict == verdict]


def _author(entity: Entity, number: str) -> str | None:
    row = dict(_rows(entity, "proposal", ProposalRow)).get(number)
    return row.author if row is not None else None


def _rows(entity: Entity, record: str, _: type[R]) -> list[tuple[str, R]]:
    """The rows there are, oldest first: what stands in the database, whoever wrote it."""
    claims = entity.claims.get(STEWARDSHIP, {}).get(record, {})
    found = [(claim.position, row_id, claim.image(record)) for row_id, claim in claims.items()]
    return [(row_id, row) for _, row_id, row in sorted(found, key=_place) if row is not None]  # type: ignore[misc]


def _place(found: tuple[Position, str, Any]) -> tuple[Position, str]:
    return found[0], found[1]
