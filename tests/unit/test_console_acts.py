"""What people do in the console: findings, proposals, quarantine, reveal; stale forms, four eyes and limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest

from streams.console import memory, sample
from streams.console.port import Desk
from streams.operate.worklist.case import Wanted, key_of
from streams.operate.worklist.handling import MOST, Said
from tests.console import Somebody, chosen, findings, signed_in

SOON = (date.today() + timedelta(days=3)).isoformat()


@pytest.fixture
def desk() -> Desk:
    return memory.desk(150)


@pytest.fixture
def pat(desk: Desk) -> Iterator[Somebody]:
    with signed_in(desk, "admin") as found:
        yield found


def assign(boxes: list[str], **more: str) -> dict[str, Any]:
    return {"do": "assign", "to": "pat", "reason": "I know the clinic", "chosen": boxes, **more}


# ---- findings ----


def test_a_finding_is_assigned_and_stands_in_the_audit(desk: Desk, pat: Somebody) -> None:
    text = pat.post("/findings/say", assign(chosen(pat.get("/findings"))[:1]))
    assert "1 finding assigned to pat." in text
    assert [c.handling.assignee for c in desk.worklist.page(Wanted("mine", "pat")).cases] == ["pat"]
    [entry] = desk.audit.entries("", 10)
    assert (entry.who, entry.what, entry.why) == ("pat", "finding.assign", "I know the clinic")
    assert "unassigned" in str(entry.detail["before"])
    assert "finding.assign" in pat.get("/audit")


def test_a_deferred_finding_is_out_of_the_way_until_its_day(desk: Desk, pat: Somebody) -> None:
    before = desk.worklist.page(Wanted()).total
    pat.post("/findings/say", assign(chosen(pat.get("/findings"))[:1], do="defer", until=SOON))
    assert desk.worklist.page(Wanted()).total == before - 1
    assert desk.worklist.page(Wanted("deferred")).total == 1
    assert SOON in pat.get("/findings?whose=deferred")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"reason": " "}, "a reason has 1 to 500"),
        ({"reason": "x" * 501}, "a reason has 1 to 500"),
        ({"to": " "}, "nobody is named"),
        ({"do": "defer", "until": "2020-01-01"}, "a day that lies ahead"),
        ({"do": "defer", "until": "soon"}, "a day that lies ahead"),
        ({"do": "delete"}, "there is no such act"),
        ({"chosen": []}, "no finding is chosen"),
    ],
)
def test_a_word_that_cannot_be_meant_does_nothing(
    desk: Desk, pat: Somebody, wrong: dict[str, Any], says: str
) -> None:
    text = pat.post("/findings/say", {**assign(chosen(pat.get("/findings"))[:1]), **wrong}, 422)
    assert says in text.lower()
    assert desk.worklist.sums().assigned == 0
    assert desk.audit.entries("", 10) == []


def test_many_are_shown_first_and_then_done_at_once(desk: Desk, pat: Somebody) -> None:
    boxes = chosen(pat.get("/findings"))[:20]
    preview = pat.post("/findings/preview", {"chosen": boxes})
    assert "Nothing has been done yet" in preview
    assert chosen(preview) == boxes
    assert "20 findings assigned" in pat.post("/findings/say", assign(chosen(preview)))
    assert desk.worklist.sums().assigned == 20


def test_a_bulk_act_over_its_limit_is_refused_whole(desk: Desk, pat: Somebody) -> None:
    cases = desk.worklist.page(Wanted(limit=MOST + 1)).cases
    boxes = [f"{case.id} {case.seen}" for case in cases]
    for path in ("/findings/preview", "/findings/say"):
        assert "choose fewer" in pat.post(path, assign(boxes), 422)
    assert desk.worklist.sums().assigned == 0


def test_a_form_that_somebody_else_was_faster_than_does_nothing_of_it(desk: Desk, pat: Somebody) -> None:
    boxes = chosen(pat.get("/findings"))[:3]
    with signed_in(desk, "steward", "mo") as mo:
        mo.post("/findings/say", assign(boxes[1:2], to="mo"))
    text = pat.post("/findings/say", assign(boxes), 409)
    assert "Somebody was first" in text
    assert "mo was first" in text
    assert desk.worklist.sums().assigned == 1


def test_a_form_about_a_finding_that_has_closed_does_nothing(desk: Desk, pat: Somebody) -> None:
    boxes = chosen(pat.get("/findings"))[:2]
    gone = desk.worklist.one(boxes[0].split()[0])
    assert gone is not None
    desk.worklist.index.take([(key_of(gone.finding), None)])  # type: ignore[attr-defined]
    assert "no longer open" in pat.post("/findings/say", assign(boxes), 409)
    assert desk.worklist.sums().assigned == 0


def test_a_finding_that_changed_meanwhile_is_looked_at_again(pat: Somebody, desk: Desk) -> None:
    boxes = chosen(pat.get("/findings"))[:1]
    case = desk.worklist.one(boxes[0].split()[0])
    assert case is not None
    newer = {**case.finding, "position": "9/9/9", "state": "changed"}
    desk.worklist.index.take([(key_of(newer), memory.record(newer))])  # type: ignore[attr-defined]
    assert "has changed since you looked at it" in pat.post("/findings/say", assign(boxes), 409)


# ---- proposals ----


def proposal(desk: Desk, level: str = "A1") -> int:
    return next(
        int(row["proposal_id"]) for row in desk.proposals.listed(everything=False) if row["level"] == level
    )


def ruling(desk: Desk, number: int, **more: str) -> dict[str, str]:
    found = desk.proposals.show(number)
    seen = f"{found['state']} {len(found['approvals'])}"
    return {"decision": "approve", "role": "data_steward", "reason": "diploma seen", "seen": seen, **more}


def test_a_proposal_is_approved_with_its_reason(desk: Desk, pat: Somebody) -> None:
    number = proposal(desk)
    assert "approved as data_steward" in pat.post(f"/proposals/{number}/say", ruling(desk, number))
    assert desk.proposals.show(number)["state"] == "approved"
    assert [e.what for e in desk.audit.entries("pat", 10)] == ["proposal.approve"]


def test_four_eyes_are_two_people(desk: Desk) -> None:
    number = proposal(desk, "A2")
    with signed_in(desk, "steward", "pat", "credentialing_manager") as pat:
        pat.post(f"/proposals/{number}/say", ruling(desk, number))
        second = ruling(desk, number, role="credentialing_manager")
        assert "has signed already" in pat.post(f"/proposals/{number}/say", second, 409)
    assert desk.proposals.show(number)["state"] == "awaiting_approval_1"
    with signed_in(desk, "steward", "mo", "credentialing_manager") as mo:
        mo.post(f"/proposals/{number}/say", ruling(desk, number, role="credentialing_manager"))
    assert desk.proposals.show(number)["state"] == "approved"


def test_nobody_signs_in_a_role_that_is_not_theirs(desk: Desk, pat: Somebody) -> None:
    number = proposal(desk)
    assert (
        "you do not sign in this role"
        in pat.post(f"/proposals/{number}/say", ruling(desk, number, role="compliance"), 403).lower()
    )
    assert desk.proposals.show(number)["approvals"] == []


def test_a_ruling_on_what_somebody_ruled_on_meanwhile_is_refused(desk: Desk, pat: Somebody) -> None:
    number = proposal(desk)
    stale = ruling(desk, number, decision="reject")
    with signed_in(desk, "steward", "mo") as mo:
        mo.post(f"/proposals/{number}/say", ruling(desk, number))
    assert "Somebody was first" in pat.post(f"/proposals/{number}/say", stale, 409)
    assert desk.proposals.show(number)["state"] == "approved"


def test_a_finding_about_a_proposal_is_ruled_on_where_it_stands(desk: Desk, pat: Somebody) -> None:
    case = next(c for c in desk.worklist.page(Wanted(entity=f"provider/{sample.ANN}")).cases)
    text = pat.get(f"/findings/{case.id}")
    assert re.search(r'action="/proposals/\d+/say"', text)
    assert "Side by side" in text


# ---- quarantine ----


def test_records_are_tried_first_and_then_sent_back(desk: Desk, pat: Somebody) -> None:
    boxes = chosen(pat.get("/quarantine"))
    word = {"do": "replay", "reason": "the mapping knows it now", "chosen": boxes}
    preview = pat.post("/quarantine/preview", word)
    assert "2 would be quarantined again" in preview
    assert desk.audit.entries("", 10) == []
    assert "3 records sent back" in pat.post("/quarantine/apply", {**word, "expected": "3"})
    assert [e.what for e in desk.audit.entries("", 10)] == ["quarantine.replay"]
    assert "Nothing stands here" in pat.get("/quarantine")


def test_what_somebody_handled_meanwhile_is_not_handled_again(desk: Desk, pat: Somebody) -> None:
    boxes = chosen(pat.get("/quarantine"))
    word = {"do": "discard", "reason": "test rows", "chosen": boxes, "expected": "3"}
    with signed_in(desk, "operator", "mo") as mo:
        mo.post("/quarantine/apply", {**word, "chosen": boxes[:1], "expected": "1"})
    assert "2 of the 3" in pat.post("/quarantine/apply", word, 409)


# ---- reveal ----


def reveal(pat: Somebody, **more: str) -> dict[str, str]:
    text = pat.get(f"/providers/provider/{sample.ANN}")
    place = next(unescape(found) for found in re.findall(r'<option value="([^"]*\|date_of_birth)"', text))
    return {"entity": f"provider/{sample.ANN}", "place": place, "reason": "the payer asks", **more}


def test_a_masked_value_is_revealed_to_who_may_with_a_reason(desk: Desk) -> None:
    with signed_in(desk, "steward") as pat:
        text = pat.post("/providers/reveal", reveal(pat))
    assert "1980-01-01" in text
    [entry] = desk.audit.entries("", 10)
    assert (entry.what, entry.why) == ("value.reveal", "the payer asks")
    assert "1980" not in str(entry)


@pytest.mark.parametrize(
    "wrong", [{"reason": ""}, {"place": "x"}, {"place": "credentialing|provider|x|first_name"}]
)
def test_nothing_is_revealed_without_a_reason_or_where_nothing_is_masked(
    pat: Somebody, wrong: dict[str, str]
) -> None:
    assert "1980-01-01" not in pat.post("/providers/reveal", reveal(pat, **wrong), 422)


def test_a_value_whose_reveal_is_not_audited_stays_masked() -> None:
    with signed_in(memory.desk(0, memory.Audit(refuses=True)), "admin") as pat:
        assert "1980-01-01" not in pat.post("/providers/reveal", reveal(pat), 503)


def test_a_finding_keeps_what_was_said_of_it_when_it_changes() -> None:
    worklist = memory.Worklist(findings())
    [case, *_] = worklist.page(Wanted()).cases
    worklist.say([case], Said("assign", "pat", "mine", "pat"))
    newer = {**case.finding, "position": "9/9/9"}
    worklist.index.take([(key_of(newer), memory.record(newer))])
    found = worklist.one(case.id)
    assert found is not None
    assert found.handling.assignee == "pat"
