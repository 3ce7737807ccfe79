"""The stewardship database as people reach it: role concord_steward adds what is said, and the audit keeps itself."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from connectors.sink import Batch, View
from connectors.stewardship import adapter as stewardship
from connectors.stewardship.verdict import Word
from stack.environment import Environment
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import proposals
from streams.settings import Settings
from tests import views
from tests.fixtures.databases import Database, NewDatabase, with_database

WHO = views.entity(1)
REFUSED = (
    "update audit set actor = 'x'",
    "delete from audit",
    "truncate audit",
    "insert into audit (actor, action, hash) values ('x', 'x', 'x')",
    "alter table audit disable trigger all",
    "update proposal set state = 'applied'",
    "insert into proposal (kind, entity_id, system, record, field) values ('provider', 'p', 's', 'r', 'f')",
    "update approval set approver = 'x'",
    "delete from approval",
    "update ruling set decision = 'approve'",
    "delete from ruling",
    "update comment set body = 'x'",
    "delete from comment",
    "insert into ruling (kind, entity_id, decision, ruled_by, ruled_at) values ('provider', 'p', 'lock', 'x', '2020-01-01')",
    "insert into concord_applied values ('provider', 'p', '1', 1, 'h')",
)


@pytest.fixture
def desk(database: NewDatabase) -> Database:
    """With one proposal of each level: 1 and 2 need a steward, 3 needs two people, papers and a date."""
    found = database("stewardship")
    target = stewardship.target(found.adapter)
    tasks = [task(1), task(2), task(3, "tin", "A2", ["billing_lead"], ["w9_or_irs_letter", "effective_date"])]
    target.apply(Batch([worklist(1, tasks)]))
    target.close()
    return found


def task(
    number: int, field: str = "degree", level: str = "A1", approvers: list[str] | None = None,
    requires: list[str] | None = None, state: str = "awaiting_approval_1",
) -> dict[str, Any]:  # fmt: skip
    return {
        "id": str(number), "system": "directory", "record": "provider", "row_id": "1", "field": field,
        "value": '"DO"', "current": '"MD"', "position": f"1/2/{number}", "opened": "2026-06-01",
        "expires": "2026-06-15", "level": level, "approvers": approvers or [], "owner": "credentialing",
        "state": state, "requires": requires or [], "way": "asked", "rule": "4 sex, degree (version 2)",
        "edited_by": "kim", "edited_at": "2026-06-01T10:00:00Z",
    }  # fmt: skip


def worklist(revision: int, tasks: list[dict[str, Any]], *ended: tuple[int, str]) -> View:
    gone = [{"id": str(number), "state": state} for number, state in ended]
    content = {
        "revision": revision,
        "status": "active",
        "entity_id": WHO,
        "proposals": tasks,
        "ended": gone,
        "refused": [],
    }
    return View("provider", WHO, revision, content)


@pytest.fixture
def settings(stack: Environment, desk: Database) -> Settings:
    return Settings(steward=with_database(stack.steward, desk.name))


def said(settings: Settings, number: int | None = None) -> list[tuple[str, str]]:
    """(who, what) of the audit, the oldest first."""
    return [(e["actor"], e["action"]) for e in reversed(proposals.audited(settings, number)["entries"])]


@pytest.mark.parametrize("statement", REFUSED)
def test_a_steward_changes_and_takes_away_nothing(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.steward) as steward, pytest.raises(psycopg.errors.InsufficientPrivilege):
        steward.execute(statement)


def test_a_steward_enters_no_other_database(stack: Environment) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(with_database(stack.steward, "credentialing"))


def test_what_people_say_stands_in_its_tables_and_in_the_audit(settings: Settings) -> None:
    proposals.say(settings, 1, Word("pat", "data_steward", "approve", "diploma seen"))
    found = proposals.comment(settings, 1, "mo", "seen, too")
    assert [(c["author"], c["body"]) for c in found["comments"]] == [("mo", "seen, too")]
    assert said(settings, 1) == [
        ("platform", "proposal.awaiting_approval_1"),
        ("pat", "approve"),
        ("pat", "ruling.approve"),
        ("mo", "comment"),
    ]
    entries = proposals.audited(settings, 1)["entries"]
    assert {entry["detail"]["account"] for entry in entries} == {
        "concord_adapter_stewardship",
        "concord_steward",
    }
    assert entries[1]["detail"]["reason"] == "diploma seen"
    assert entries[-1]["detail"]["rule"] == "4 sex, degree (version 2)"
    assert "DO" not in str(entries), "where a value stands, never the value"


def test_a_word_that_does_not_count_is_refused_with_its_reason_and_audited(settings: Settings) -> None:
    for number, by, role, code in (
        (9, "pat", "data_steward", "proposal.unknown"),
        (1, "directory", "data_steward", "proposal.own"),
        (1, "pat", "billing_lead", "proposal.role"),
    ):
        with pytest.raises(InvalidInput) as refused:
            proposals.say(settings, number, Word(by, role, "approve"))
        assert refused.value.code == code
    refusals = [e for e in proposals.audited(settings)["entries"] if e["action"] == "refused"]
    assert [e["detail"]["code"] for e in refusals] == ["proposal.role", "proposal.own", "proposal.unknown"]
    assert proposals.show(settings, 1)["approvals"] == []


def test_a_stale_proposal_is_refused_clearly(settings: Settings, desk: Database) -> None:
    target = stewardship.target(desk.adapter)
    target.apply(Batch([worklist(2, [task(2, state="approved")], (1, "voided"))]))
    target.close()
    for number, code, words in (
        (1, "proposal.closed", "the value it was bound to has changed"),
        (2, "proposal.approved", "approved already"),
    ):
        with pytest.raises(InvalidInput, match=words) as refused:
            proposals.say(settings, number, Word("pat", "data_steward", "reject"))
        assert refused.value.code == code


def test_two_people_their_papers_and_a_date(settings: Settings) -> None:
    proposals.say(
        settings, 3, Word("lee", "billing_lead", "approve", evidence={"w9_or_irs_letter": "LETTER-17"})
    )
    assert proposals.show(settings, 3)["to_show"] == ["effective_date"]
    with pytest.raises(InvalidInput) as refused:
        proposals.say(settings, 3, Word("pat", "data_steward", "approve"))
    assert refused.value.code == "proposal.not_shown"
    found = proposals.say(settings, 3, Word("pat", "data_steward", "approve", effective_date="2026-07-01"))
    assert [ruling["effective_date"] for ruling in found["rulings"]] == ["2026-07-01"]


def test_what_authority_accepts_by_itself_is_audited_as_its_act(settings: Settings, desk: Database) -> None:
    target = stewardship.target(desk.adapter)
    target.apply(Batch([worklist(2, [task(7, "phone", "A0", state="auto_approved")], (7, "applied"))]))
    target.close()
    assert said(settings, 7) == [("authority", "proposal.auto_approved"), ("platform", "proposal.applied")]


def test_a_ruling_written_past_the_tool_is_refused_in_its_authors_sight_once(
    settings: Settings, desk: Database
) -> None:
    with psycopg.connect(settings.steward, autocommit=True) as steward:
        statement = "insert into ruling (kind, entity_id, proposal_id, decision, ruled_by) values ('provider', %s, 1, 'approve', 'zoe')"
        steward.execute(statement, [WHO])
    target = stewardship.target(desk.adapter)
    for revision in (2, 3):
        view = worklist(revision, [task(1)])
        view.content["refused"].append({"id": "1", "code": "ruling.unsigned"})
        target.apply(Batch([view]))
    target.close()
    assert said(settings, 1)[1:] == [("zoe", "ruling.approve"), ("zoe", "refused")]


def test_a_chain_that_somebody_broke_is_told(settings: Settings, desk: Database) -> None:
    assert proposals.audited(settings)["whole"]
    with desk.connect() as owner:
        owner.execute("alter table audit disable trigger all")
        owner.execute("update audit set actor = 'somebody else' where audit_id = 2")
        owner.execute("alter table audit enable trigger all")
    found = proposals.audited(settings)
    assert (found["whole"], found["broken_at"]) == (False, 2)


def test_without_its_address_nobody_is_asked() -> None:
    with pytest.raises(EnvironmentFault, match="CONCORD_STEWARD"):
        proposals.listed(Settings())


def test_how_many_wait_and_how_long_rulings_took_is_counted_in_the_database(settings: Settings) -> None:
    assert {(row["system"], row["state"], row["count"]) for row in proposals.waiting(settings)} == {
        ("directory", "awaiting_approval_1", 3)
    }
    assert proposals.ruled_since(settings, "2026-01-01") == []
    proposals.say(settings, 1, Word("pat", "data_steward", "approve"))
    proposals.say(settings, 2, Word("pat", "data_steward", "reject", "no diploma"))
    found = {row["decision"]: row for row in proposals.ruled_since(settings, "2026-01-01")}
    assert {name: row["count"] for name, row in found.items()} == {"approve": 1, "reject": 1}
    assert 0 <= found["approve"]["p50"] == found["approve"]["longest"] < 600
    assert proposals.ruled_since(settings, "2999-01-01") == []
