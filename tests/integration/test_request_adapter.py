"""Approved changes in the master's database, and proposals in stewardship's: with the adapters' own roles."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import pytest

from connectors.credentialing import adapter as credentialing
from connectors.receipt import Receipt
from connectors.sink import Applied, Batch, Failed, Partition, Superseded, View
from connectors.stewardship import adapter as stewardship
from streams.errors import EnvironmentFault
from tests import views
from tests.fixtures.databases import Database, NewDatabase

WHO, PLACE = views.entity(1), views.entity(2)
AT = Partition("sink.credentialing.request", 0, "first")


class Heard:
    """Receipts, kept."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def write(self, receipts: Iterable[Receipt]) -> None:
        self.receipts += receipts


@pytest.fixture
def master(database: NewDatabase) -> Database:
    found = database("credentialing")
    with found.connect() as connection:
        connection.execute(
            "insert into provider (provider_id, degree, sex, languages) values (%s, 'MD', 'F', '[]')", [WHO]
        )
        connection.execute(
            "insert into practice_location (location_id, phone, accessibility) values (%s, '1', '{ramp}')",
            [PLACE],
        )
    return found


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def target(master: Database, heard: Heard) -> Iterator[credentialing.RequestTarget]:
    made = credentialing.target(master.adapter, heard)
    yield made
    made.close()


def asked(*changes: tuple[str, str, Any, Any], entity_id: str = WHO, kind: str = "provider") -> View:
    """A view of these approved changes: (id, field, value, expected)."""
    requests = [
        {
            "id": number, "record": kind, "row_id": entity_id, "field": field, "value": json.dumps(value),
            "expected": json.dumps(expected) if expected is not None else None,
        }
        for number, field, value, expected in changes
    ]  # fmt: skip
    content = {"revision": 1, "status": "active", "kind": kind, "entity_id": entity_id, "requests": requests}
    return View("request", entity_id, 1, content)


def one(database: Database, query: str, *values: Any) -> Any:
    with database.connect() as connection:
        row = connection.execute(query, values).fetchone()
    return row and row[0]


def test_an_approved_change_is_made_once(target: credentialing.RequestTarget, master: Database) -> None:
    view = asked(("1", "degree", "DO", "MD"), ("2", "languages", ["en"], []))
    assert target.apply(Batch([view], {AT: 5})) == [Applied()]
    assert one(master, "select degree || languages::text from provider") == 'DO["en"]'
    with master.connect() as connection:
        connection.execute("update provider set degree = 'MD'")
    assert target.apply(Batch([view])) == [Applied()]
    assert one(master, "select degree from provider") == "MD", "sent again, it does nothing"
    assert target.offsets([AT]) == {AT: 5}


def test_a_place_keeps_its_columns_types(target: credentialing.RequestTarget, master: Database) -> None:
    view = asked(("3", "accessibility", ["ramp", "lift"], ["ramp"]), entity_id=PLACE, kind="location")
    assert target.apply(Batch([view])) == [Applied()]
    assert one(master, "select accessibility from practice_location") == ["ramp", "lift"]


def test_a_miss_changes_nothing_and_is_told(
    target: credentialing.RequestTarget, master: Database, heard: Heard
) -> None:
    [outcome] = target.apply(Batch([asked(("1", "degree", "DO", "PhD"), ("2", "no_such_field", "x", None))]))
    assert isinstance(outcome, Failed)
    assert one(master, "select degree from provider") == "MD"
    assert one(master, "select array_agg(outcome) from concord_request") == ["missed", "missed"]
    assert [receipt.code for receipt in heard.receipts] == ["request.missed"]
    assert "DO" not in heard.receipts[0].message


def below(number: str, record: str, row_id: str, field: str, value: Any, expected: Any) -> View:
    """A view that asks for one change of a row below a provider's own."""
    request = {
        "id": number, "record": record, "row_id": row_id, "field": field, "value": json.dumps(value),
        "expected": json.dumps(expected) if expected is not None else None,
    }  # fmt: skip
    content = {"revision": 1, "status": "active", "kind": "provider", "entity_id": WHO, "requests": [request]}
    return View("request", WHO, 1, content)


def test_a_row_below_the_root_is_changed_by_its_own_id_and_only_while_it_says_what_was_approved_against(
    target: credentialing.RequestTarget, master: Database
) -> None:
    with master.connect() as connection:
        statement = (
            "insert into license (license_id, provider_id, state, license_type, number, expires)"
            " values (%s, %s, 'IL', 'MD', %s, '2026-12-31')"
        )
        for number in (3, 4):
            connection.execute(statement, [views.entity(number), WHO, f"036-{number}"])
        connection.execute(
            "insert into organization (org_id, legal_name) values (%s, 'Example')", [views.entity(5)]
        )
        connection.execute(
            "insert into affiliation (affiliation_id, provider_id, org_id, role) values (%s, %s, %s, 'member')",
            [views.entity(6), WHO, views.entity(5)],
        )
    asked_for = [
        below("1", "license", views.entity(3), "expires", "2028-12-31", "2026-12-31"),
        below("2", "license", views.entity(4), "expires", "2028-12-31", "2027-12-31"),
        below("3", "affiliation", views.entity(6), "effective_to", "2026-12-31", None),
    ]
    outcomes = [target.apply(Batch([view]))[0] for view in asked_for]
    assert [type(outcome) for outcome in outcomes] == [Applied, Failed, Applied]
    ends = "select string_agg(expires::text, ' ' order by number) from license"
    assert one(master, ends) == "2028-12-31 2026-12-31"
    assert one(master, "select effective_to::text from affiliation") == "2026-12-31"


def test_no_mark_is_written_so_that_the_change_comes_back_as_the_masters_own(
    target: credentialing.RequestTarget, master: Database
) -> None:
    target.apply(Batch([asked(("1", "degree", "DO", "MD"))]))
    assert one(master, "select count(*) from concord_applied") == 0


def test_what_nobody_may_propose_the_role_may_not_write(
    target: credentialing.RequestTarget, master: Database
) -> None:
    with pytest.raises(EnvironmentFault):
        target.apply(Batch([asked(("1", "npi", "1234567893", None))]))
    assert one(master, "select count(*) from concord_request") == 0


def test_a_narrowed_column_of_the_master_pauses_its_adapter_and_loses_no_approved_change(
    target: credentialing.RequestTarget, master: Database, heard: Heard
) -> None:
    """Refused for itself, the change would be lost until its entity changes; a new column is no matter here."""
    assert target.offsets([AT]) == {}, "the tables as they are"
    alter(master, "alter column phone type varchar(3)", "add column rank int not null default 0")
    alter(master, "alter column rank drop default")
    wider = asked(("1", "phone", "3125550123", "1"), entity_id=PLACE, kind="location")
    for call in (lambda: target.apply(Batch([wider], {AT: 5})), lambda: target.offsets([AT])):
        with pytest.raises(EnvironmentFault) as fault:
            call()
        assert fault.value.code == "target.schema"
        assert fault.value.message == (
            "credentialing: practice_location.phone is character varying(3), was text"
        )
    alter(master, "alter column phone type text")
    assert target.offsets([AT]) == {}, "it goes on where it was"
    assert target.apply(Batch([wider], {AT: 5})) == [Applied()]
    assert one(master, "select phone from practice_location") == "3125550123"
    assert heard.receipts == []


def alter(master: Database, *actions: str) -> None:
    with master.connect() as connection:
        connection.execute(f"alter table practice_location {', '.join(actions)}")


# ---- stewardship ----


def worklist(revision: int, *states: str, ended: tuple[str, ...] = ()) -> View:
    tasks: list[dict[str, Any]] = [
        {
            "id": str(number), "system": "directory", "record": "provider", "row_id": "1", "field": "degree",
            "value": '"DO"', "current": '"MD"', "position": f"1/2/{number}", "opened": "2026-06-01",
            "expires": "2026-06-15", "level": "A1", "approvers": [], "owner": "credentialing", "state": state,
            "requires": [], "way": "asked", "rule": "4 sex, degree", "edited_by": None, "edited_at": None,
        }
        for number, state in enumerate(states, 1)
    ]  # fmt: skip
    gone = [{"id": str(number), "state": state} for number, state in enumerate(ended, 1)]
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
def desk(database: NewDatabase) -> Database:
    return database("stewardship")


def states(desk: Database) -> list[str]:
    with desk.connect() as connection:
        return [state for (state,) in connection.execute("select state from proposal order by proposal_id")]


def test_proposals_come_change_and_end_and_what_people_wrote_stays(desk: Database) -> None:
    target = stewardship.target(desk.adapter)
    assert target.apply(Batch([worklist(1, "awaiting_approval_1", "awaiting_approval_1")])) == [Applied()]
    with desk.connect() as connection:
        connection.execute("update proposal set author = 'kim' where proposal_id = 1")
    assert target.apply(Batch([worklist(2, "approved")])) == [Applied()]
    assert states(desk) == ["approved", "voided"], "what is in no list any more has ended"
    assert target.apply(Batch([worklist(1, "awaiting_approval_1")])) == [Superseded()]
    assert target.apply(Batch([worklist(3, ended=("applied",))])) == [Applied()]
    assert states(desk) == ["applied", "voided"]
    assert one(desk, "select author from proposal where proposal_id = 1") == "kim"
    assert one(desk, "select author from proposal where proposal_id = 2") == "directory"
    assert one(desk, "select local_id from concord_applied") == WHO
    target.close()


def test_a_narrowed_column_of_the_stewards_pauses_their_adapter_and_loses_no_proposal(desk: Database) -> None:
    target = stewardship.target(desk.adapter)
    assert target.offsets([AT]) == {}, "the tables as they are"
    narrow, back = ("alter table proposal alter column rule type " + kind for kind in ("varchar(5)", "text"))
    with desk.connect() as connection:
        connection.execute(narrow)
    with pytest.raises(EnvironmentFault, match=r"proposal\.rule is character varying\(5\), was text"):
        target.apply(Batch([worklist(1, "awaiting_approval_1")]))
    with desk.connect() as connection:
        connection.execute(back)
    assert target.offsets([AT]) == {}
    assert target.apply(Batch([worklist(1, "awaiting_approval_1")])) == [Applied()]
    assert states(desk) == ["awaiting_approval_1"]
    target.close()


def test_the_adapter_rules_on_nothing(desk: Database) -> None:
    statement = "insert into approval (kind, entity_id, proposal_id, level, approver, role, verdict) values ('provider', 'p', 1, 'A1', 'x', 'x', 'approve')"
    with (
        psycopg.connect(desk.adapter) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)
