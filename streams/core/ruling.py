"""Rulings: what people decided on an entity's proposals, and what follows.

    proposals, claims of stewardship, authority --> Proposal.state --> closed, or asked of the owner (worklist)

Sits beside edit. Proposals are the platform's, signatures and rulings are rows of the stewardship database, captured
like any other. Whoever wrote them, they count only as authority has it: enough different people, each in a role that
may sign, bound to the value and the position that was proposed, with what the field requires besides. An approved
proposal is not true yet: it waits for its date, then for the owner's own change. Never writes anything and never looks
at another entity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from streams.core import held
from streams.core.authority import Authority, Rule
from streams.core.canonical import Approval, Row, Ruling
from streams.core.canonical import Proposal as ProposalRow
from streams.core.canonical import Request as Requested
from streams.core.change import Position, position_text
from streams.core.entity import REQUESTED, STEWARDSHIP, Entity, Golden, Proposal
from streams.core.equivalent import equivalent
from streams.core.rules.business import business_days_later
from streams.core.rules.days import later
from streams.core.view import View

AWAITING, AWAITING_MORE = "awaiting_approval_1", "awaiting_approval_2"
"""Nobody has signed; somebody must sign yet."""
SCHEDULED, APPROVED, AUTO_APPROVED = "scheduled", "approved", "auto_approved"
"""Approved for a later date; the owner is asked; the same, as authority accepts it without anybody's signature."""
WAITING, OPEN = (AWAITING, AWAITING_MORE), (AWAITING, AWAITING_MORE, SCHEDULED, APPROVED, AUTO_APPROVED)
IN_WORK = frozenset({APPROVED, AUTO_APPROVED})
"""The owner's change is waited for."""
APPLIED, VOIDED, REJECTED, WITHDRAWN, EXPIRED = "applied", "voided", "rejected", "withdrawn", "expired"
"""The owner said it; the owner said something else, or its author did; refused; taken back; nobody ruled in time."""
ENDS = frozenset({APPLIED, VOIDED, REJECTED, WITHDRAWN, EXPIRED})

APPROVE, REJECT, LOCK, WITHDRAW = "approve", "reject", "lock", "withdraw"
"""What a ruling decides. `lock` refuses the value for good: the same system proposing it again is reverted."""

EXPIRES_AFTER, RULED_WITHIN, MADE_WITHIN = 10, 2, 1
"""Business days: until it expires (authority matrix 9), until the next role is asked (3), until the owner's change is
missed."""
APART = timedelta(hours=24)
"""Who edited the owner's record so shortly before doesn't approve a change to it (authority matrix 9)."""
EFFECTIVE_DATE = "effective_date"
"""What authority may require, and a ruling says itself; the rest is evidence that a signature names."""
MOST_CLOSED = 64

R = TypeVar("R", bound=Row)

OWNER = "credentialing"
"""The system that takes requests: the master."""
STEWARD, COMPLIANCE = "data_steward", "compliance"
ANSWERS_FOR = {"directory": "directory_manager", "enrollment": "enrollment_lead", "billing": "billing_lead"}
"""Proposing system -> the role that speaks for it, and may take back what it proposes."""
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


def lacking(requires: Iterable[str], shown: Iterable[str], effective_date: str | None) -> list[str]:
    """What a field requires besides signatures and nobody has shown."""
    known = {*shown, *([EFFECTIVE_DATE] if effective_date else [])}
    return [name for name in requires if name not in known]


def settle(
    entity: Entity, golden: Golden, wanted: Mapping[str, View], authority: Authority, as_of: str
) -> None:
    """Where every proposal stands now; those that ended leave, and what became of them is kept. `wanted`: what each
    system is to have now, where that is known."""
    close(entity, dict.fromkeys(_forgotten(entity), EXPIRED))
    if not entity.proposals:
        return
    states = {
        p.id: _moot(entity, p, golden.root, wanted.get(p.system)) or _state(entity, p, authority, as_of)
        for p in entity.proposals
    }
    close(entity, {number: state for number, state in states.items() if state in ENDS})
    entity.proposals = [
        p if p.state == states[p.id] else replace(p, state=states[p.id], since=as_of)
        for p in entity.proposals
        if states[p.id] not in ENDS
    ]


def _forgotten(entity: Entity) -> list[str]:
    """What stewardship shows as open and the entity knows nothing of: topic `entity` was built anew. What it was made
    against is lost, so nobody's word on it counts any more: people are told, and whoever made it makes it again."""
    shown = [number for number, row in rows_of(entity, "proposal", ProposalRow) if row.state in OPEN]
    known = {p.id for p in entity.proposals} if shown else set()
    return [number for number in shown if number not in known and number not in entity.closed]


def close(entity: Entity, ended: Mapping[str, str]) -> None:
    """Remember what became of proposals; the oldest are forgotten."""
    if ended:
        entity.closed = dict([*entity.closed.items(), *ended.items()][-MOST_CLOSED:])


def _state(entity: Entity, proposal: Proposal, authority: Authority, as_of: str) -> str:
    if proposal.state in IN_WORK:
        return (
            WITHDRAWN
            if _is_taken_back(entity, proposal)
            else VOIDED
            if has_missed(entity, proposal.id)
            else proposal.state
        )
    rule = rule_of(authority, proposal)
    signed = signatures(entity, proposal)
    for ruling in _rulings(entity, proposal):
        decided = _decided(entity, proposal, rule, ruling, signed, as_of)
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


def is_recorded(entity: Entity, number: str) -> bool:
    """Whether it stands in stewardship, and so in the audit: what nobody could look up is asked of no owner."""
    return number in entity.claims.get(STEWARDSHIP, {}).get("proposal", {})


def has_missed(entity: Entity, number: str) -> bool:
    """Whether its owner's system was asked and held another value than the approval is bound to."""
    claim = entity.claims.get(OWNER, {}).get(REQUESTED, {}).get(number)
    row = claim.image(REQUESTED) if claim is not None else None
    return isinstance(row, Requested) and row.outcome == "missed"


def _decided(
    entity: Entity, proposal: Proposal, rule: Rule, ruling: Ruling, signed: Sequence[Signature], as_of: str
) -> str:
    """What a ruling makes of its proposal; empty: it doesn't count."""
    if ruling.decision == WITHDRAW:
        return WITHDRAWN if _may_take_back(entity, proposal, ruling.ruled_by) else ""
    if ruling.decision in (REJECT, LOCK):
        return REJECTED if _may_refuse(entity, proposal.id, rule, ruling.ruled_by) else ""
    # A restricted value never reaches stewardship: the position alone says which one was approved.
    same = ruling.value == proposal.value if rule.public else ruling.value is None
    bound = same and ruling.bound_position == position_text(proposal.position)
    complete = not missing(rule.approval, rule.approvers, signed) and not lacking(
        rule.requires, _shown(entity, proposal.id), ruling.effective_date
    )
    if not (ruling.decision == APPROVE and bound and complete):
        return ""
    return SCHEDULED if (ruling.effective_date or "") > as_of else APPROVED


def _may_refuse(entity: Entity, number: str, rule: Rule, by: str | None) -> bool:
    """Whether somebody has signed against it in a role that may."""
    allowed = {role for roles in signatures_of(rule.approval, rule.approvers) for role in roles}
    return any(a.approver == by and a.role in allowed for a in _verdicts(entity, number, REJECT))


def _may_take_back(entity: Entity, proposal: Proposal, by: str | None) -> bool:
    """Whether somebody has signed, either way, in a role that takes back what the system proposes, or is its author."""
    its_own = (STEWARD, ANSWERS_FOR.get(proposal.system))
    signed = (*_verdicts(entity, proposal.id, REJECT), *_verdicts(entity, proposal.id, APPROVE))
    return any(a.approver == by and a.role in its_own for a in signed) or (
        by is not None and by == _author(entity, proposal.id)
    )


def _is_taken_back(entity: Entity, proposal: Proposal) -> bool:
    return any(
        ruling.decision == WITHDRAW and _may_take_back(entity, proposal, ruling.ruled_by)
        for ruling in _rulings(entity, proposal)
    )


def _shown(entity: Entity, number: str) -> set[str]:
    """The names of the evidence that those who approved have looked at."""
    found = (a.evidence for a in _verdicts(entity, number, APPROVE))
    return {
        name for evidence in found if isinstance(evidence, dict) for name, said in evidence.items() if said
    }


def signatures(entity: Entity, proposal: Proposal) -> list[Signature]:
    """Who approved the value as proposed; its author's own signature counts for nothing, nor does that of who edited
    the owner's record just before."""
    bound, author = position_text(proposal.position), _author(entity, proposal.id)
    return [
        Signature(a.approver or "", a.role or "")
        for a in _verdicts(entity, proposal.id, APPROVE)
        if a.bound_position == bound
        and a.approver != author
        and not is_own_work(a.approver, a.decided_at, *last_edit(entity))
    ]


def last_edit(entity: Entity) -> tuple[str | None, str | None]:
    """Who edited the master's row of an entity last, and when, where it says so."""
    claims = entity.claims.get(OWNER, {}).get(entity.kind, {}).values()
    row = next((row for claim in claims if (row := claim.image(entity.kind)) is not None), None)
    return getattr(row, "updated_by", None), getattr(row, "updated_at", None)


def is_own_work(approver: str | None, at: str | None, by: str | None, edited_at: str | None) -> bool:
    """Whether who approves is who edited the record within the day before."""
    if not (approver and approver == by and at and edited_at):
        return False
    try:
        passed = datetime.fromisoformat(at) - datetime.fromisoformat(edited_at)
    except (ValueError, TypeError):
        return False
    return timedelta(0) <= passed < APART


def expires(proposal: Proposal) -> str:
    """The last day on which it may be ruled on."""
    return business_days_later(proposal.day, EXPIRES_AFTER) or "~"


def rule_by(proposal: Proposal) -> str:
    """The day until which a data steward is to rule on it; then the next role is."""
    return business_days_later(proposal.day, RULED_WITHIN) or "~"


def make_by(proposal: Proposal) -> str:
    """The day until which its owner's change is to come."""
    return business_days_later(proposal.since or proposal.day, MADE_WITHIN) or "~"


def due(entity: Entity, as_of: str) -> str:
    """The next day on which time alone changes something about its proposals; empty: none."""
    days = (day for proposal in entity.proposals for day in _turns(entity, proposal))
    return min((day for day in days if day > as_of), default="")


def _turns(entity: Entity, proposal: Proposal) -> Iterator[str]:
    if proposal.state == SCHEDULED:
        yield from (r.effective_date for r in _rulings(entity, proposal) if r.effective_date)
        return
    last = (make_by(proposal),) if proposal.state in IN_WORK else (rule_by(proposal), expires(proposal))
    yield from (later(day, 1) or "" for day in last if day != "~")


def rule_of(authority: Authority, proposal: Proposal) -> Rule:
    """What authority says of its field."""
    return authority.rules[proposal.record][proposal.field]


def is_refused(entity: Entity, subject: str, value: Any, rule: Rule, as_of: str = "") -> bool:
    """Whether a steward has refused this very value of this very row and field for good, or until a later day."""
    locked = {
        str(ruling.proposal_id)
        for _, ruling in rows_of(entity, "ruling", Ruling)
        if ruling.decision == LOCK
        and not (ruling.expires_at and ruling.expires_at[:10] < as_of)
        and _may_refuse(entity, str(ruling.proposal_id), rule, ruling.ruled_by)
    }
    return bool(locked) and any(
        number in locked and subject_of(row) == subject and row.value == value
        for number, row in rows_of(entity, "proposal", ProposalRow)
    )


def subject_of(row: ProposalRow) -> str:
    """`system/record/row/field`"""
    return f"{row.system}/{row.record}/{row.row_id}/{row.field}"


def _rulings(entity: Entity, proposal: Proposal) -> list[Ruling]:
    rows = (row for _, row in rows_of(entity, "ruling", Ruling) if str(row.proposal_id) == proposal.id)
    return [row for row in rows if is_about(row, proposal)]


def is_about(ruling: Ruling, proposal: Proposal | ProposalRow) -> bool:
    """Whether a ruling means the row and field of the proposal whose number it names."""
    return all(getattr(ruling, n) in (None, getattr(proposal, n)) for n in ("record", "row_id", "field"))


def _verdicts(entity: Entity, number: str, verdict: str) -> list[Approval]:
    rows = (row for _, row in rows_of(entity, "approval", Approval))
    return [row for row in rows if str(row.proposal_id) == number and row.verdict == verdict]


def _author(entity: Entity, number: str) -> str | None:
    row = dict(rows_of(entity, "proposal", ProposalRow)).get(number)
    return row.author if row is not None else None


def rows_of(entity: Entity, record: str, _: type[R]) -> list[tuple[str, R]]:
    """The rows there are, oldest first: what stands in the database, whoever wrote it."""
    claims = entity.claims.get(STEWARDSHIP, {}).get(record, {})
    found = [(claim.position, row_id, claim.image(record)) for row_id, claim in claims.items()]
    return [(row_id, row) for _, row_id, row in sorted(found, key=_place) if row is not None]  # type: ignore[misc]


def _place(found: tuple[Position, str, Any]) -> tuple[Position, str]:
    return found[0], found[1]
