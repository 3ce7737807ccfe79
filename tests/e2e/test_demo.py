"""`concord demo` as a newcomer runs it: the story reaches every system, and Ctrl-C leaves nothing running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stack import process
from stack.layout import PROJECT
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import take_ctrl_c

pytestmark = pytest.mark.timeout(600)
LOAD = ("--providers", "30", "--seed", "11")


@pytest.fixture(scope="module")
def result(platform: Platform) -> Any:
    return platform.ask("demo", *LOAD)


def test_the_story_is_told_by_every_system_it_concerns(result: Any) -> None:
    told = {scene["event"]["title"]: {d["system"] for d in scene["deliveries"]} for scene in result["scenes"]}
    assert told == {
        "moves to another practice": {"directory", "enrollment", "billing"},
        "renews a licence": {"enrollment"},
        "is hired": {"directory", "enrollment", "billing"},
        "leaves": {"directory", "enrollment", "billing"},
        "moves across town": {"directory", "billing"},
        "lets the only licence lapse": {"directory"},
        "is suspended for it": {"directory", "enrollment", "billing"},
        "is listed under another group by the directory: overruled": {"directory"},
        "takes new patients, says the directory: its own, accepted": set(),
        "has another degree in the directory: proposed, and restored": {"directory"},
        "has another name in the directory: proposed, and restored": {"directory"},
        "has the name that was proposed: two people signed, the master took it over": {
            "directory",
            "enrollment",
            "billing",
        },
    }
    assert all(d["applied_ms"] > 0 for scene in result["scenes"] for d in scene["deliveries"])
    assert {"commit -> sink", "sink -> applied", "commit -> applied"} == {
        f["hop"] for f in result["latencies"]
    }
    assert result["status"]["balanced"]


def test_who_leaves_is_withdrawn_from_every_system(result: Any) -> None:
    (leaves,) = [scene for scene in result["scenes"] if scene["event"]["title"] == "leaves"]
    assert {d["status"] for d in leaves["deliveries"]} == {"withdrawn"}


def test_a_lapse_hides_a_provider_and_a_suspension_takes_it_out_of_all_systems(
    platform: Platform, result: Any
) -> None:
    lapse, suspended = (
        next(s for s in result["scenes"] if s["event"]["title"] == title)
        for title in ("lets the only licence lapse", "is suspended for it")
    )
    assert lapse["event"]["key"] == suspended["event"]["key"]
    assert {d["status"] for s in (lapse, suspended) for d in s["deliveries"]} == {"withdrawn"}
    shown = """select count(*) from dir_listing join dir_provider using (dir_provider_id)
               where cred_provider_ref::text = %s and (listed_to is null or listed_to > current_date)"""
    billed = """select count(*) from bil_affiliation join bil_rendering using (rend_id)
                where cred_ref::text = %s and (end_dt is null or end_dt > current_date)"""
    assert platform.rows("directory", shown, lapse["event"]["key"]) == [(0,)]
    assert platform.rows("billing", billed, lapse["event"]["key"]) == [(0,)]


def test_a_name_is_approved_by_two_people_and_held_by_every_system(platform: Platform, result: Any) -> None:
    (approved,) = [s for s in result["scenes"] if s["event"]["system"] == "stewardship"]
    who = approved["event"]["key"]
    ((name,),) = platform.rows("credentialing", "select last_name from provider where provider_id = %s", who)
    assert name.endswith("-Vale")
    for system, column, table, reference in (
        ("directory", "last_name", "dir_provider", "cred_provider_ref"),
        ("enrollment", "prov_last", "enr_provider", "cred_ref"),
        ("billing", "last_nm", "bil_rendering", "cred_ref"),
    ):
        ((held,),) = platform.rows(system, f"select {column} from {table} where {reference}::text = %s", who)
        assert held.upper() == name.upper(), system
    signed = platform.rows(
        "stewardship", "select approver, role from approval where entity_id = %s order by approval_id", who
    )
    assert signed[-2:] == [("pat", "data_steward"), ("mo", "credentialing_manager")]


def test_who_was_overruled_is_told_with_when_why_and_from_what_to_what(
    platform: Platform, result: Any
) -> None:
    renamed, _, proposed, _ = (s for s in result["scenes"] if s["event"]["system"] == "directory")
    for scene, was, outcome in (
        (renamed, '"The Other Medical Group"', "rejected"),
        (proposed, None, "pending_approval"),
    ):
        who = scene["event"]["key"]
        told = platform.ask("audit", "overruled", who, "--system", "directory")
        assert all(each["at"] and each["rule"] and each["owner"] for each in told)
        found = [each for each in told if was in (None, each["was"]) and each["outcome"] == outcome]
        assert found, told
        assert all(each["became"] not in (None, each["was"]) for each in found)


def test_no_write_of_ours_comes_back_as_an_edit(result: Any) -> None:
    assert {scene["event"]["title"]: scene["echoes"] for scene in result["scenes"] if scene["echoes"]} == {}


def test_an_overruled_edit_costs_one_write_and_an_edit_of_ones_own_none(result: Any) -> None:
    edits = [s for s in result["scenes"] if s["event"]["system"] == "directory"]
    assert [s["sent"] for s in edits] == [1, 0, 1, 1]


def test_what_the_directory_may_not_say_is_restored_there_and_its_proposal_kept(
    platform: Platform, result: Any
) -> None:
    renamed, accepting, proposed, _ = (s for s in result["scenes"] if s["event"]["system"] == "directory")
    for scene in (renamed, proposed):
        (back,) = scene["deliveries"]
        print(f"restored {back['applied_ms']:,.0f} ms after the commit: {scene['event']['title']}")
    ((count,),) = platform.rows(
        "directory", "select count(*) from dir_listing where group_name = 'The Other Medical Group'"
    )
    assert count == 0
    ((degree,),) = platform.rows(
        "directory",
        "select credential_text from dir_provider where cred_provider_ref::text = %s",
        proposed["event"]["key"],
    )
    assert degree == "MD"
    (found,) = platform.ask("explain", proposed["event"]["key"], "--field", "degree")["entities"]
    assert [(said["system"], said["value"]) for said in found["fields"][0]["lost"]] == [("directory", "DO")]
    ((kept,),) = platform.rows(
        "directory",
        """select count(*) from dir_listing join dir_provider using (dir_provider_id)
        where cred_provider_ref::text = %s and accepting_cd in ('newpt', 'existptonly')""",
        accepting["event"]["key"],
    )
    assert kept > 0


DENY = """
with denied as (
    insert into bil_claim (rend_id, dos_from, status)
    select rend_id, current_date - 30, 'denied' from bil_rendering where cred_ref = %(who)s::uuid
    returning claim_id, rend_id)
insert into bil_denial (rend_id, claim_id, group_code, carc) select rend_id, claim_id, 'CO', %(carc)s from denied
"""


def test_a_denial_is_told_with_what_was_known_before_it(platform: Platform, result: Any) -> None:
    lapsed, hired = (
        next(s["event"]["key"] for s in result["scenes"] if s["event"]["title"] == title)
        for title in ("lets the only licence lapse", "is hired")
    )
    with platform.databases["billing"].connect() as billing:
        for who, carc in ((lapsed, "B7"), (hired, "206"), (hired, "45")):
            billing.execute(DENY, {"who": who, "carc": carc})
    found = platform.ask("kpi", "--since", "1h")
    assert found["unknown"] == []
    denials = found["denials"]
    assert (denials["received"], denials["provider_data"], denials["unflagged_share"]) == (3, 2, 0.5)
    unflagged, flagged = denials["cases"]
    assert (unflagged["provider"], unflagged["reason"]) == (f"provider/{hired}", "NPI or TIN")
    assert unflagged["caught"] in ("unflagged", "otherwise")
    assert (flagged["provider"], flagged["caught"]) == (f"provider/{lapsed}", "flagged")
    assert flagged["findings"][0].startswith("licence.lapsed ")
    shown = platform.concord("kpi", "--since", "1h").text
    assert "claims denied since" in shown
    assert f"of provider/{hired}: NPI or TIN (206)" in shown


def test_parity_says_that_every_difference_is_explained(platform: Platform, result: Any) -> None:
    found = platform.ask("parity", "--deep")
    assert found["scanned"] == []
    for system in found["systems"]:
        assert (system["unexplained"], system["in_flight"]) == (0, 0), system
        assert system["equal"] > 0


def test_ctrl_c_in_the_middle_of_the_story_leaves_nothing_running(platform: Platform) -> None:
    command = [sys.executable, "-m", "streams.cli", "demo", *LOAD]
    with subprocess.Popen(
        command,
        env=dict(platform.environ),
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=take_ctrl_c,
    ) as demo:
        assert demo.stdout is not None
        seen = []
        for line in demo.stdout:
            seen.append(line)
            if line.startswith("1. "):
                os.killpg(demo.pid, signal.SIGINT)
        text = "".join(seen)
        assert demo.wait(60) == 130, text
    records = list((Path(platform.environ["CONCORD_STATE"]) / "run").glob("concord-*.json"))
    assert not [record for record in records if process.recall(record)], text
    assert "2. " not in text
    platform.ask("up")  # other modules share it
