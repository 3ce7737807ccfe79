"""Who must sign, what a word on a proposal becomes, and what the core makes of rows written past the rules."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from connectors.stewardship.verdict import Decision, Refusal, Word, judge
from streams.core import carried
from streams.core.canonical import Approval, Organization, Provider, Row, encode
from streams.core.entity import Claim, Entity, Proposal, golden
from streams.core.ruling import Signature, missing, signatures, signatures_of
from tests.world import AUTHORITY

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


def test_who_answers_for_the_proposing_system_takes_back_what_it_proposed() -> None:
    """Their signature says in which role: the core asks for it."""
    assert said("jo", "directory_manager", "withdraw", author="directory") == ["approval", "ruling"]
    assert said("jo", "billing_lead", "withdraw", author="directory") == "proposal.not_yours"
    assert said("pat", STEWARD, "withdraw", author="directory", state="scheduled") == ["approval", "ruling"]


def test_who_has_signed_already_takes_back_in_the_role_of_the_signature() -> None:
    signed = approval("pat", STEWARD)
    assert said("pat", STEWARD, "withdraw", signed, author="directory", state="approved") == ["ruling"]
    other = approval("lee", COMPLIANCE)
    assert said("lee", STEWARD, "withdraw", other, author="directory") == "proposal.not_yours"


def signed(by: str, role: str, at: str = "", **word: Any) -> Any:
    found = judge(
        TIN | {"edited_by": "pat", "edited_at": "2026-06-01T10:00:00+00:00"},
        [FIRST],
        Word(by, role, "approve", at=at, **word),
    )
    return found.code if isinstance(found, Refusal) else dict(found)


TIN = proposal(field="tin", approvers=["billing_lead"], requires=["w9_or_irs_letter", "effective_date"])
FIRST = {**approval("kim2", "billing_lead"), "evidence": {"w9_or_irs_letter": "LETTER-17"}}


def test_the_last_signature_comes_with_all_that_the_field_requires() -> None:
    assert signed("lee", STEWARD) == "proposal.not_shown"
    rows = signed("lee", STEWARD, effective_date="2026-07-01", evidence={"seen": "REPORT-3"})
    assert rows["ruling"]["effective_date"] == "2026-07-01"
    assert rows["approval"]["evidence"] == {"seen": "REPORT-3"}


def test_an_earlier_signature_may_come_without_it() -> None:
    assert [table for table, _ in judge(TIN, [], Word("lee", STEWARD, "approve"))] == ["approval"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("at", "code"),
    [("2026-06-02T09:59:59+00:00", "proposal.own_work"), ("2026-06-02T10:00:00+00:00", "proposal.not_shown")],
)
def test_who_edited_the_record_within_the_day_before_approves_no_change_to_it(at: str, code: str) -> None:
    assert signed("pat", STEWARD, at) == code


def test_the_core_counts_no_signature_of_who_edited_the_record_just_before() -> None:
    entity, offered = Entity("provider", "p"), Proposal(
        "7", "directory", "provider", "1", "degree", "DO", "MD", (1, 2, 3), "2026-06-01"
    )  # fmt: skip
    root = Provider(npi="1234567893", updated_by="pat", updated_at="2026-06-01T10:00:00Z")
    said = Approval(
        proposal_id=7, approver="pat", role=STEWARD, verdict="approve", bound_position="1/2/3",
        decided_at="2026-06-01T12:00:00Z",
    )  # fmt: skip
    claims(entity, "credentialing", "provider", "p", root)
    claims(entity, "stewardship", "approval", "1", said)
    assert signatures(entity, offered) == []
    claims(entity, "stewardship", "approval", "1", replace(said, decided_at="2026-06-02T10:00:00Z"))
    assert signatures(entity, offered) == [Signature("pat", STEWARD)]


def claims(entity: Entity, system: str, record: str, row_id: str, row: Row) -> None:
    entity.claims.setdefault(system, {}).setdefault(record, {})[row_id] = Claim(
        (1, 1, 1), 1, 1, Raw(encode(row))
    )


def test_a_field_whose_owner_takes_no_requests_is_entered_by_hand() -> None:
    entity, offered = Entity("organization", "o"), Proposal(
        "7", "enrollment", "organization", "1", "billing_line1", "a", "b", (1, 2, 3), "2026-06-01"
    )  # fmt: skip
    claims(entity, "credentialing", "organization", "o", Organization(legal_name="Example"))
    assert carried.way(entity, golden(entity, AUTHORITY), offered, AUTHORITY) == carried.NO_OWNER
    own = replace(offered, field="dba_name")
    assert carried.way(entity, golden(entity, AUTHORITY), own, AUTHORITY) == carried.ASKED


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
