"""What a person's word on a proposal becomes: rows of the stewardship database, or a reason why it doesn't count.

    proposal, signatures so far, who and in which role --judge--> approval and ruling rows | Refusal

Pure, and the same whoever writes it: the command line, a console, a scenario. The core checks it all again when they
come back by capture (streams/core/ruling.py): what it refuses here is refused at once, to the author's face.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from connectors.sink import Row
from streams.core.ruling import (
    APPROVE,
    APPROVED,
    AWAITING,
    AWAITING_MORE,
    LOCK,
    REJECT,
    STEWARD,
    WITHDRAW,
    Signature,
    missing,
    signatures_of,
)

Decision = Literal["approve", "reject", "lock", "withdraw"]
Rows: TypeAlias = list[tuple[str, Row]]


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of a proposal."""

    by: str
    role: str
    decision: Decision
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it doesn't count, and what would."""

    code: str
    message: str
    next_step: str


def judge(proposal: Row, approvals: Sequence[Row], word: Word) -> Rows | Refusal:
    """The rows to write, in order, or why none."""
    refusal = _closed(proposal, word) or _not_theirs(proposal, approvals, word)
    return refusal or _rows(proposal, approvals, word)


def left(proposal: Row, approvals: Sequence[Row]) -> list[tuple[str, ...]]:
    """The signatures a proposal still needs, each as the roles that may give it."""
    given = [Signature(a["approver"], a["role"]) for a in approvals if a["verdict"] == APPROVE]
    return missing(proposal["level"], proposal["approvers"] or (), given)


def _closed(proposal: Row, word: Word) -> Refusal | None:
    state = proposal["state"]
    if state in (AWAITING, AWAITING_MORE) or (state == APPROVED and word.decision == WITHDRAW):
        return None
    if state == APPROVED:
        return Refusal(
            "proposal.approved", "it is approved already; its owner is asked", "wait for the owner's change"
        )
    why = " (the value it was bound to has changed)" if state == "voided" else ""
    return Refusal("proposal.closed", f"it is no longer open: {state}{why}", "concord proposals list")


def _not_theirs(proposal: Row, approvals: Sequence[Row], word: Word) -> Refusal | None:
    if word.decision == WITHDRAW:
        return None if word.by == proposal["author"] or word.role == STEWARD else _ONLY_ITS_AUTHOR
    if word.by == proposal["author"]:
        return Refusal("proposal.own", "who proposes never rules on it", "let somebody else decide")
    if any(approval["approver"] == word.by for approval in approvals):
        return Refusal("proposal.signed_twice", f"{word.by} has signed already", "let a second person decide")
    wanted = left(proposal, approvals) if word.decision == APPROVE else _everybody(proposal)
    if not any(word.role in roles for roles in wanted):
        named = "; ".join(" or ".join(roles) for roles in wanted)
        what = f"{proposal['level']}: {word.role} may not sign now, missing is {named}"
        return Refusal("proposal.role", what, "let a person in one of these roles decide")
    return None


_ONLY_ITS_AUTHOR = Refusal(
    "proposal.not_yours", "only its author or a data steward takes it back", "concord proposals refuse"
)


def _everybody(proposal: Row) -> list[tuple[str, ...]]:
    return signatures_of(proposal["level"], proposal["approvers"] or ())


def _rows(proposal: Row, approvals: Sequence[Row], word: Word) -> Rows:
    if word.decision == WITHDRAW:
        return [_ruling(proposal, word)]
    signed = _approval(proposal, word)
    if word.decision in (REJECT, LOCK):
        return [signed, _ruling(proposal, word)]
    complete = not left(proposal, [*approvals, signed[1]])
    return [signed, _ruling(proposal, word)] if complete else [signed]


def _about(proposal: Row) -> Row:
    return {name: proposal[name] for name in ("kind", "entity_id", "proposal_id")}


def _approval(proposal: Row, word: Word) -> tuple[str, Row]:
    row = {
        **_about(proposal),
        "level": "A1" if proposal["level"] == "A0" else proposal["level"],
        "approver": word.by,
        "role": word.role,
        "verdict": APPROVE if word.decision == APPROVE else REJECT,
        "bound_position": proposal["position"],
    }
    return "approval", row


def _ruling(proposal: Row, word: Word) -> tuple[str, Row]:
    row = {
        **_about(proposal),
        **{name: proposal[name] for name in ("record", "row_id", "field", "value")},
        "decision": word.decision,
        "bound_position": proposal["position"],
        "reason": word.reason,
        "ruled_by": word.by,
    }
    return "ruling", row
