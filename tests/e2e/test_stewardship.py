"""A proposal from its edit to its end, through the real services: the directory says it, people sign, the master makes it.

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
    eventually(platform, lambda: platform.ask("status")["quiet"], "nothing to be pending")
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
    said = platform.rows(
        "stewardship", "select actor, action, previous_hash, hash from audit order by audit_id"
    )
    assert [action for _, action, _, _ in said][-6:] == ["approve", *["refused"] * 3, "approve", "refused"]
    assert [before for _, _, before, _ in said[1:]] == [link for _, _, _, link in said[:-1]]


def test_nothing_is_left_open_and_every_system_is_quiet(platform: Platform, who: str) -> None:
    eventually(platform, lambda: platform.ask("status")["quiet"], "nothing to be pending")
    assert [row for row in platform.ask("proposals", "list") if row["entity_id"] == who] == []
