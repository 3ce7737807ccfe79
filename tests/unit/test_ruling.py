"""Who must sign, what a word on a proposal becomes, and what the core makes of rows written past the rules."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.stewardship.verdict import Decision, Refusal, Word, judge
from streams.core.ruling import Signature, missing, signatures_of

STEWARD, MANAGER, COMPLIANCE = "data_steward", "credentialing_manager", "compliance"


def proposal(**other: Any) -> dict[str, Any]:
    """A row of the stewardship database: a name that the directory proposes."""
    return {
        "proposal_id": 7, "kind": "provider", "entity_id": "p", "system": "directory", "record": "provider",
        "row_id": "1", "field": "last_name", "value": "Roe", "position": "1/2/3", "author": "kim", "level": "A2",
        "approvers": [MANAGER], "state": "awaiting_approval_1", **other,
    }  # fmt: skip


def approval(by: str, role: str) -> dict[str, Any]:
    return {"approver": by, "role": role, "verdict": "approve"}


def said(by: str, role: str, decision: Decision = "approve", *approvals: dict[str, Any], **row: Any) -> Any:
    """The tables written, or the code of the refusal."""
    found = judge(proposal(**row), approvals, Word(by, role, decision))
    return found.code if isinstance(found, Refusal) else [table for table, _ in found]


@pytest.mark.parametrize(
    ("level", "given", "left"),
    [
        ("A0", [], [(STEWARD,)]),
        ("A1", [Signature("pat", STEWARD)], []),
        ("A1", [Signature("pat", MANAGER)], [(STEWARD,)]),
        ("A2", [Signature("pat", STEWARD)], [(MANAGER,)]),
        ("A2", [Signature("pat", STEWARD), Signature("pat", MANAGER)], [(MANAGER,)]),
        ("A2", [Signature("mo", MANAGER), Signature("pat", STEWARD)], []),
        ("A3", [Signature("mo", MANAGER), Signature("pat", STEWARD)], [(COMPLIANCE,)]),
        ("A3", [Signature("mo", MANAGER), Signature("pat", STEWARD), Signature("lee", COMPLIANCE)], []),
    ],
)
def test_a_level_asks_for_different_people_in_their_roles(
    level: str, given: list[Signature], left: list[tuple[str, ...]]
) -> None:
    assert missing(level, [MANAGER], given) == left


def test_a_field_without_named_approvers_still_needs_a_second_person() -> None:
    assert signatures_of("A2", []) == [(STEWARD,), (MANAGER,)]


def test_the_first_signature_is_kept_and_the_last_one_rules() -> None:
    assert said("pat", STEWARD) == ["approval"]
    assert said("mo", MANAGER, "approve", approval("pat", STEWARD)) == ["approval", "ruling"]
    assert said("pat", STEWARD, level="A1") == ["approval", "ruling"]


def test_one_person_refuses_or_takes_back() -> None:
    assert said("mo", MANAGER, "reject") == ["approval", "ruling"]
    assert said("mo", MANAGER, "lock") == ["approval", "ruling"]
    assert said("kim", "directory_manager", "withdraw") == ["ruling"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("proposal.own", lambda: said("kim", STEWARD)),
        ("proposal.own", lambda: said("kim", STEWARD, "reject")),
        ("proposal.signed_twice", lambda: said("pat", MANAGER, "approve", approval("pat", STEWARD))),
        ("proposal.role", lambda: said("mo", "billing_lead", "approve", approval("pat", STEWARD))),
        ("proposal.role", lambda: said("lee", STEWARD, "approve", approval("pat", STEWARD))),
        ("proposal.role", lambda: said("mo", MANAGER, level="A1", approvers=[])),
        ("proposal.closed", lambda: said("pat", STEWARD, state="voided")),
        ("proposal.closed", lambda: said("pat", STEWARD, state="expired")),
        ("proposal.approved", lambda: said("lee", COMPLIANCE, state="approved")),
        ("proposal.not_yours", lambda: said("mo", "billing_lead", "withdraw")),
    ],
)
def test_a_word_that_does_not_count_is_refused_with_its_reason(code: str, found: Any) -> None:
    assert found() == code


def test_rows_are_bound_to_the_position_and_the_value_that_were_proposed() -> None:
    found = judge(proposal(level="A1"), [], Word("pat", STEWARD, "approve", "diploma seen"))
    assert not isinstance(found, Refusal)
    rows = dict(found)
    assert rows["approval"]["bound_position"] == rows["ruling"]["bound_position"] == "1/2/3"
    assert (rows["ruling"]["value"], rows["ruling"]["reason"]) == ("Roe", "diploma seen")
