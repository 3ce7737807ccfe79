"""What a person's word on a proposal becomes: rows of the stewardship database, or a reason why it doesn't count.

    proposal, signatures so far, who and in which role --judge--> approval and ruling rows | Refusal

Pure, and the same whoever writes it: the command line, a console, a scenario. The core checks it all again when they
come back by capture (streams/core/ruling.py): what it refuses here is refused at once, to the author's face.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from connectors.sink import Row
from streams.core.ruling import (
    ANSWERS_FOR,
    APPROVE,
    IN_WORK,
    LOCK,
    OPEN,
    REJECT,
    SCHEDULED,
    STEWARD,
    WAITING,
    WITHDRAW,
    Signature,
    is_own_work,
    lacking,
    missing,
    signatures_of,
)

Decision = Literal["approve", "reject", "lock", "withdraw"]
Rows: TypeAlias = list[tuple[str, Row]]


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody says of a proposal.

    evidence        what was looked at: name -> reference
    effective_date  from when on an approval holds; empty: at once
    until           the last day on which a refusal for good holds; empty: always
    at              when it is said, as ISO text
    """

    by: str
    role: str
    decision: Decision
    reason: str = ""
    evidence: Mapping[str, str] = field(default_factory=dict)
    effective_date: str = ""
    until: str = ""
    at: str = ""


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
    if state in WAITING or (state in OPEN and word.decision == WITHDRAW):
        return None
    if state == SCHEDULED:
        return Refusal(
            "proposal.approved", "it is approved already, for a later date", "concord proposals withdraw"
        )
    if state in IN_WORK:
        return Refusal(
            "proposal.approved", "it is approved already; its owner is asked", "wait for the owner's change"
        )
    why = " (the value it was bound to has changed)" if state == "voided" else ""
    return Refusal("proposal.closed", f"it is no longer open: {state}{why}", "concord proposals list")


def _not_theirs(proposal: Row, approvals: Sequence[Row], word: Word) -> Refusal | None:
    if word.decision == WITHDRAW:
        return None if _takes_back(proposal, approvals, word) else _ONLY_ITS_AUTHOR
    if word.by == proposal["author"]:
        return Refusal("proposal.own", "who proposes never rules on it", "let somebody else decide")
    if any(approval["approver"] == word.by for approval in approvals):
        return Refusal("proposal.signed_twice", f"{word.by} has signed already", "let a second person decide")
    wanted = left(proposal, approvals) if word.decision == APPROVE else _everybody(proposal)
    if not any(word.role in roles for roles in wanted):
        named = "; ".join(" or ".join(roles) for roles in wanted)
        what = f"{proposal['level']}: {word.role} may not sign now, missing is {named}"
        return Refusal("proposal.role", what, "let a person in one of these roles decide")
    return _not_shown(proposal, approvals, word) if word.decision == APPROVE else None


def _not_shown(proposal: Row, approvals: Sequence[Row], word: Word) -> Refusal | None:
    """Who edited the record approves no change to it; the last signature comes with all that is required."""
    if is_own_work(word.by, word.at, proposal.get("edited_by"), _text(proposal.get("edited_at"))):
        what = f"{word.by} has edited the owner's record within the day before"
        return Refusal("proposal.own_work", what, "let somebody else decide, or wait until a day has passed")
    if len(left(proposal, approvals)) > 1:
        return None
    shown = {name for approval in approvals for name in approval.get("evidence") or ()} | {*word.evidence}
    open_yet = lacking(proposal.get("requires") or (), shown, word.effective_date)
    if not open_yet:
        return None
    step = "add --effective-date DATE, and --evidence NAME=REFERENCE for each of the others"
    return Refusal("proposal.not_shown", f"the last signature needs {', '.join(open_yet)}", step)


def _text(moment: Any) -> str | None:
    return str(moment.isoformat() if hasattr(moment, "isoformat") else moment) if moment else None


def _takes_back(proposal: Row, approvals: Sequence[Row], word: Word) -> bool:
    """One signature a person: whose stands there already takes back in the role that they signed in."""
    roles = [a["role"] for a in approvals if a["approver"] == word.by] or [word.role]
    its_own = (STEWARD, ANSWERS_FOR.get(proposal["system"]))
    return word.by == proposal["author"] or any(role in its_own for role in roles)


_ONLY_ITS_AUTHOR = Refusal(
    "proposal.not_yours",
    "only who answers for the proposing system, or a data steward, takes it back",
    "concord proposals refuse",
)


def _everybody(proposal: Row) -> list[tuple[str, ...]]:
    return signatures_of(proposal["level"], proposal["approvers"] or ())


def _rows(proposal: Row, approvals: Sequence[Row], word: Word) -> Rows:
    signed = _approval(proposal, word)
    if word.decision == WITHDRAW:
        known = word.by == proposal["author"] or any(a["approver"] == word.by for a in approvals)
        return [_ruling(proposal, word)] if known else [signed, _ruling(proposal, word)]
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
        "evidence": dict(word.evidence) or None,
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
        "effective_date": word.effective_date or None,
        "expires_at": word.until or None,
    }
    return "ruling", row
