"""Rules on the credentialing file: R09, R10, R27, R28, R29 and what G02 and G07 ask of the committee."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from streams.core.canonical import (
    CommitteeDecision,
    CredentialingCycle,
    MalpracticeCoverage,
    PsvRecord,
    WorkHistory,
)
from streams.core.rules.days import between, day, later, months_later
from streams.core.today import FOREVER, Today, is_current

PSV_DAYS, CVO, CVO_DAYS = 120, "cvo", 90
"""How old a primary-source verification may be at the decision; a CVO's counts for less long."""
CYCLE_MONTHS = 36
ALERT_DAYS = 180
GRACE_DAYS = 30
"""Late by no more: may still finish as a recredentialing."""
ATTESTED_DAYS = 120
GAP_DAYS = 183
APPROVALS = ("approve", "approve_with_conditions")
DENIED = "deny"
DECISIONS = frozenset({*APPROVALS, DENIED})


Decided = tuple[str, str, CommitteeDecision]
"""(day, row id, decision)"""


def decisions(today: Today) -> list[Decided]:
    """What the committee decided, oldest first."""
    found: list[Decided] | None = today.noted.get("decisions")
    if found is None:
        rows = today.golden.rows(CommitteeDecision).items()
        found = [((row.decided_at or "")[:10], i, row) for i, row in rows if row.decision in DECISIONS]
        if len(found) > 1:
            found.sort(key=lambda decided: decided[:2])
        today.noted["decisions"] = found
    return found


def _approved_on(today: Today) -> str:
    """The day of the last approval; empty when there is none."""
    days = [when for when, _, row in decisions(today) if row.decision != DENIED]
    return days[-1] if days else ""


def psv_too_old(today: Today) -> Iterator[str]:
    """The newest verification of each element before the last approval was too old by then (R09)."""
    approved = _approved_on(today)
    if not approved:
        return
    newest: dict[tuple[str | None, str | None], tuple[str, str, PsvRecord]] = {}
    for row_id, row in today.golden.rows(PsvRecord).items():
        when, name = day(row.performed_at), (row.element, row.element_ref)
        if when and when <= approved and (name not in newest or newest[name][:2] < (when, row_id)):
            newest[name] = (when, row_id, row)
    for when, row_id, row in newest.values():
        limit = CVO_DAYS if row.performed_by == CVO else PSV_DAYS
        if (between(when, approved) or 0) > limit:
            yield f"psv_record/{row_id}/performed_at"


def due_day(today: Today) -> str:
    """The day recredentialing is due: 36 months after the last approval, else as the cycle says (R10)."""
    approved = _approved_on(today)
    if approved:
        return months_later(approved, CYCLE_MONTHS) or ""
    dates = [row.due_date for row in today.golden.rows(CredentialingCycle).values() if row.due_date]
    return max(dates, default="")


def _standing(today: Today) -> str:
    """Which of the three holds of the due date, if any."""
    found: str | None = today.noted.get("recredential")
    if found is None:
        found = today.noted["recredential"] = _standing_of(due_day(today), today.as_of)
    return found


@lru_cache(4096)
def _standing_of(due: str, as_of: str) -> str:
    left = between(as_of, due)
    if left is None or left > ALERT_DAYS:
        return ""
    return "due" if left >= 0 else "overdue" if left >= -GRACE_DAYS else "lapsed"


def recredential_due(today: Today) -> Iterator[str]:
    """Due soon."""
    if _standing(today) == "due":
        yield "credentialing_cycle/due_date"


def recredential_overdue(today: Today) -> Iterator[str]:
    """Late, and still to be finished as a recredentialing."""
    if _standing(today) == "overdue":
        yield "credentialing_cycle/due_date"


def recredential_lapsed(today: Today) -> Iterator[str]:
    """So late that only an initial credentialing helps."""
    if _standing(today) == "lapsed":
        yield "credentialing_cycle/due_date"


def denied(today: Today) -> Iterator[str]:
    """The committee's last word is no (G02, G07)."""
    known = decisions(today)
    if known and known[-1][2].decision == DENIED:
        yield f"committee_decision/{known[-1][1]}/decision"


def malpractice_lapsed(today: Today) -> Iterator[str]:
    """Cover is on record, and none of it is for today (R27)."""
    rows = today.golden.rows(MalpracticeCoverage).values()
    if rows and not any(is_current(row.effective_from, row.effective_to, today.as_of) for row in rows):
        yield "malpractice_coverage/effective_to"


def attestation_old(today: Today) -> Iterator[str]:
    """Signed too long ago in a cycle that is not decided yet (R28)."""
    limit = later(today.as_of, -ATTESTED_DAYS) or ""
    for row_id, row in today.golden.rows(CredentialingCycle).items():
        old = row.attestation_signed_at and row.attestation_signed_at[:10] < limit
        if old and all(decision.cycle_id != row_id for _, _, decision in decisions(today)):
            yield f"credentialing_cycle/{row_id}/attestation_signed_at"


def work_gap(today: Today) -> Iterator[str]:
    """More than six months between two employments, unexplained by the later one (R29)."""
    rows = [(r.effective_from or "", i, r) for i, r in today.golden.rows(WorkHistory).items()]
    until = ""
    for start, row_id, row in sorted(rows, key=lambda found: found[:2]):
        gap = between(until, start) if until and start else None
        if gap is not None and gap > GAP_DAYS and not row.gap_explanation:
            yield f"work_history/{row_id}/effective_from"
        until = max(until, row.effective_to or FOREVER)
