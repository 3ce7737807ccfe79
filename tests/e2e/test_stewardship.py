"""A proposal from its edit to its end, through the real services: a system says it, people sign, the master makes it.

Shares the platform with the other tests of this ring and leaves it running and equal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
LISTED = """
select cred_provider_ref::text from dir_listing join dir_provider using (dir_provider_id)
where listed_to is null order by 1 desc limit 1
"""


DEGREE = ("credentialing", "provider", "degree", "provider_id")
SHOWN = ("directory", "dir_provider", "credential_text", "cred_provider_ref")
NAMES = (
    ("credentialing", "provider", "last_name", "provider_id"),
    ("directory", "dir_provider", "last_name", "cred_provider_ref"),
    ("enrollment", "enr_provider", "prov_last", "cred_ref"),
    ("billing", "bil_rendering", "last_nm", "cred_ref"),
)


def shows(platform: Platform, at: tuple[str, str, str, str], who: str, name: str) -> Callable[[], bool]:
    return lambda: held(platform, at, who).upper() == name


@pytest.fixture(scope="module")
def who(platform: Platform) -> str:
    """The master's id of a provider whom the directory lists."""
    if not platform.rows("credentialing", "select from provider limit 1"):
        platform.ask("load", "generated", "--count", "20", "--seed", "7")
    eventually(platform, lambda: platform.rows("directory", LISTED), "the directory to list somebody")
    eventually(platform, platform.quiet, "nothing to be pending")
    ((found,),) = platform.rows("directory", LISTED)
    return str(found)


def eventually(platform: Platform, condition: Callable[[], Any], what: str) -> Any:
    try:
        return wait_until(condition, 120, what=what)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{platform.concord('status').text}") from None


def edit(platform: Platform, who: str, column: str, value: str) -> None:
    """Somebody in the directory types over what the master owns."""
    statement = f"update dir_provider set {column} = %s where cred_provider_ref = %s returning true"
    assert platform.rows("directory", statement, value, who) == [(True,)]


def open_one(platform: Platform, who: str, field: str) -> dict[str, Any]:
    """The open proposal of a field, once it stands in the stewardship database."""

    def found() -> list[dict[str, Any]]:
        rows = platform.ask("proposals", "list")
        return [row for row in rows if row["entity_id"] == who and row["field"] == field]

    rows: list[dict[str, Any]] = eventually(platform, found, f"a proposal of {field}")
    return rows[0]


def state(platform: Platform, number: int) -> str:
    ((found,),) = platform.rows("stewardship", "select state from proposal where proposal_id = %s", number)
    return str(found)


def approve(platform: Platform, number: int, by: str, role: str) -> Any:
    return platform.concord("proposals", "approve", str(number), "--by", by, "--role", role, "--json")


def held(platform: Platform, at: tuple[str, str, str, str], who: str) -> Any:
    """What a system has in (system, table, column, cross reference)."""
    system, table, column, reference = at
    ((found,),) = platform.rows(system, f"select {column} from {table} where {reference} = %s", who)
    return found


def test_a_degree_approved_by_one_steward_is_made_by_the_master_and_shown_everywhere(
    platform: Platform, who: str
) -> None:
    before = held(platform, DEGREE, who)
    edit(platform, who, "credential_text", "DNP")
    row = open_one(platform, who, "degree")
    assert (row["value"], row["current_value"], row["level"]) == ("DNP", before, "A1")
    eventually(
        platform,
        lambda: held(platform, SHOWN, who) == before,
        "the directory to have the owner's value again",
    )
    assert approve(platform, row["proposal_id"], "pat", "data_steward").code == 0
    eventually(
        platform, lambda: state(platform, row["proposal_id"]) == "applied", "the proposal to have come true"
    )
    assert held(platform, DEGREE, who) == "DNP"
    eventually(
        platform,
        lambda: held(platform, SHOWN, who) == "DNP",
        "the directory to show it",
    )
    asked = "select outcome from concord_request where request_id = %s"
    assert platform.rows("credentialing", asked, str(row["proposal_id"])) == [("applied",)]
    hops = {hop["name"] for hop in platform.ask("status")["adapters"]}
    assert {"stewardship", "credentialing"} <= hops


def test_a_name_takes_two_people_and_every_refused_word_is_in_the_audit(platform: Platform, who: str) -> None:
    edit(platform, who, "last_name", "Thistlewood")
    number = open_one(platform, who, "last_name")["proposal_id"]
    assert approve(platform, number, "pat", "data_steward").code == 0
    refused = [
        approve(platform, number, "pat", "credentialing_manager"),
        approve(platform, number, "mo", "billing_lead"),
        approve(platform, 1, "mo", "data_steward"),
    ]
    assert [answer.code for answer in refused] == [2, 2, 2]
    assert approve(platform, number, "mo", "credentialing_manager").code == 0
    eventually(platform, lambda: state(platform, number) == "applied", "the proposal to have come true")
    for at in NAMES:
        eventually(platform, shows(platform, at, who, "THISTLEWOOD"), f"{at[0]} to show it")
    assert approve(platform, number, "kim", "data_steward").code == 2, "it is over"
    answer = platform.ask("proposals", "audit", str(number))
    assert answer["whole"]
    assert [(entry["actor"], entry["action"]) for entry in reversed(answer["entries"])] == [
        ("platform", "proposal.awaiting_approval_1"),
        ("pat", "approve"),
        *answer_of(answer["entries"], "proposal.awaiting_approval_2"),
        ("pat", "refused"),
        ("mo", "refused"),
        ("mo", "approve"),
        ("mo", "ruling.approve"),
        ("platform", "proposal.approved"),
        ("platform", "proposal.applied"),
        ("kim", "refused"),
    ]


PLACE = """
select l.cred_location_ref::text, phone10 from dir_location l join dir_listing using (dir_location_id)
join dir_provider p using (dir_provider_id) where p.cred_provider_ref = %s and listed_to is null order by 1 limit 1
"""
AFFILIATED = """
select ba_id from bil_affiliation join bil_rendering using (rend_id)
where cred_ref = %s and end_dt is null order by 1 limit 1
"""


def test_a_telephone_number_is_accepted_by_authority_itself(platform: Platform, who: str) -> None:
    ((place, _),) = platform.rows("directory", PLACE, who)
    statement = "update dir_location set phone10 = '2175550191' where cred_location_ref = %s returning true"
    assert platform.rows("directory", statement, place) == [(True,)]
    at = ("credentialing", "practice_location", "phone", "location_id")
    eventually(platform, lambda: held(platform, at, place) == "2175550191", "the master to have it")
    shown = ("directory", "dir_location", "phone10", "cred_location_ref")
    eventually(
        platform, lambda: held(platform, shown, place) == "2175550191", "the directory to have it back"
    )
    query = "select proposal_id, state from proposal where entity_id = %s and field = 'phone'"
    eventually(
        platform,
        lambda: [state for _, state in platform.rows("stewardship", query, place)] == ["applied"],
        "the proposal to end",
    )
    ((number, _),) = platform.rows("stewardship", query, place)
    entries = platform.ask("proposals", "audit", str(number))["entries"]
    assert ("authority", "proposal.auto_approved") in {(e["actor"], e["action"]) for e in entries}


def test_an_affiliations_end_is_made_in_the_masters_own_row_of_it(platform: Platform, who: str) -> None:
    ((number,),) = platform.rows("billing", AFFILIATED, who)
    platform.rows(
        "billing", "update bil_affiliation set end_dt = '2035-12-31' where ba_id = %s returning true", number
    )
    row = open_one(platform, who, "effective_to")
    assert row["way"] == "asked"
    assert approve(platform, row["proposal_id"], "pat", "data_steward").code == 0
    eventually(
        platform, lambda: state(platform, row["proposal_id"]) == "applied", "the proposal to come true"
    )
    ends = "select count(*) from affiliation where provider_id = %s and effective_to = '2035-12-31'"
    assert platform.rows("credentialing", ends, who) == [(1,)]


def test_what_the_owner_says_meanwhile_voids_an_approval_that_waits_for_its_adapter(
    platform: Platform, who: str
) -> None:
    edit(platform, who, "credential_text", "PhD")
    number = open_one(platform, who, "degree")["proposal_id"]
    platform.stop("adapter-credentialing")
    hops = {hop["name"]: hop["state"] for hop in platform.ask("status")["adapters"]}
    assert hops["credentialing"] == "stopped"
    assert approve(platform, number, "pat", "data_steward").code == 0
    eventually(platform, lambda: state(platform, number) == "approved", "the approval to count")
    assert not platform.quiet(), "a request waits for its adapter"
    platform.write(f"update provider set degree = 'DDS' where provider_id = '{who}'")
    eventually(platform, lambda: state(platform, number) == "voided", "the owner's value to void it")
    assert approve(platform, number, "kim", "data_steward").code == 2, "it is stale"
    platform.ask("up")
    eventually(platform, platform.quiet, "nothing to be pending")
    assert held(platform, DEGREE, who) == "DDS"


STUBBORN = """
create or replace function stubborn() returns trigger language plpgsql as $$ begin return null; end $$;
create trigger stubborn before update on provider for each row when (new.degree = 'MBBS') execute function stubborn()
"""


def test_a_request_that_misses_voids_its_proposal_until_somebody_has_looked(
    platform: Platform, who: str
) -> None:
    """A trigger of the master's refuses the value: compare-and-set changes no row."""
    platform.write(STUBBORN)
    edit(platform, who, "credential_text", "MBBS")
    number = open_one(platform, who, "degree")["proposal_id"]
    assert approve(platform, number, "pat", "data_steward").code == 0
    eventually(platform, lambda: state(platform, number) == "voided", "the proposal to be void")
    asked = "select outcome from concord_request where request_id = %s"
    assert platform.rows("credentialing", asked, str(number)) == [("missed",)]

    def told() -> list[dict[str, Any]]:
        found = platform.ask("findings", "--code", "request.missed")["findings"]
        return [finding for finding in found if finding["subject"] == f"proposal/{number}"]

    eventually(platform, told, "a finding of the miss")
    platform.ask("proposals", "comment", str(number), "looked at", "--by", "pat")
    eventually(platform, lambda: not told(), "the finding to close")
    platform.write("drop trigger stubborn on provider")


def answer_of(entries: list[dict[str, Any]], action: str) -> list[tuple[str, str]]:
    """Whether the platform said so: a second signature may come before it has noticed the first."""
    return [("platform", action) for entry in entries if entry["action"] == action]


def test_nothing_is_left_open_and_every_system_is_quiet(platform: Platform, who: str) -> None:
    eventually(platform, platform.quiet, "nothing to be pending")
    assert [row for row in platform.ask("proposals", "list") if row["entity_id"] == who] == []
