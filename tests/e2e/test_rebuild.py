"""Topic `entity` and every store are gone: the steps of docs/rebuild.md bring the platform back, with the same golden
records and the same rows in every system, and what people do afterwards flows as before. The tests go in order."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from connectors.connect import Connect
from connectors.directory import story
from schemas.authority import load_authority
from stack.layout import PROJECT
from streams.core import entity as core_entity
from streams.core.advance import REBUILT
from streams.core.parity import EQUAL
from streams.core.view import VIEWS
from streams.operate import reading
from streams.operate.presence import presence
from streams.systems import REKEYED, SYSTEMS
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.timeout(900)

COUNT = 100
AUTHORITY = load_authority()
KINDS = tuple(VIEWS)
MASTER = "credentialing"
DERIVED = (
    "entity", "reference", "finding", "claims.npi",
    *(f"claims.{system}" for system in REKEYED), *(f"cdc.{system}" for system in SYSTEMS),
)  # fmt: skip
"""What docs/rebuild.md has deleted: the state, what follows from it alone, and the logs it was read from."""
HELD: Mapping[str, tuple[str, ...]] = {
    "directory": (
        "select cred_provider_ref::text, last_name, first_name, credential_text, npi_number from dir_provider",
        "select dir_provider_id::text, dir_location_id, listed_from, listed_to, group_name from dir_listing",
    ),
    "enrollment": (
        "select cred_ref::text, prov_last, prov_first, prov_npi, lic_no, lic_exp from enr_provider",
    ),
    "billing": (
        "select cred_ref::text, last_nm, first_nm from bil_rendering",
        "select rend_id::text, be_id, eff_dt, end_dt from bil_affiliation",
    ),
}


def entities(platform: Platform) -> dict[str, core_entity.Entity]:
    """Every entity that has views, as topic `entity` has it."""
    topic, partitions = platform.settings.topic("entity"), range(platform.settings.partitions)
    newest = reading.newest(platform.settings.kafka, reading.beginnings(topic, partitions))
    return {
        key.decode(): core_entity.decode(message.value() or b"")
        for key, message in newest.items()
        if message.value() and key.decode().partition("/")[0] in KINDS
    }


def golden(entity: core_entity.Entity) -> dict[tuple[str, str, str], Any]:
    """What the master alone says, by record, row and field."""
    record = core_entity.golden(entity, AUTHORITY)
    return {
        (name, row_id, field): getattr(row, field)
        for name in record.records
        for row_id, row in record.named(name).items()
        for field, rule in AUTHORITY.rules.get(name, {}).items()
        if rule.owners == (MASTER,)
    }


def views(entity: core_entity.Entity) -> dict[str, bytes]:
    """What every system that holds its view was sent last."""
    return {s: bytes(entity.sent[s].content) for s, p in entity.parity.items() if p.state == EQUAL}


def tables(platform: Platform) -> dict[str, list[tuple[Any, ...]]]:
    """What the systems hold."""
    return {
        query: sorted(platform.rows(system, query), key=str)
        for system, queries in HELD.items()
        for query in queries
    }


def quiet(platform: Platform) -> None:
    try:
        wait_until(lambda: presence(platform.settings).equal, 240, what="every system to hold every provider")
        wait_until(platform.quiet, 240, what="nothing to be pending")
    except AssertionError as error:
        raise AssertionError(f"{error}\n{platform.concord('status').text}") from None


def proposals(platform: Platform) -> dict[str, tuple[int, str]]:
    query = "select entity_id::text, proposal_id, state from proposal"
    return {who: (number, state) for who, number, state in platform.rows("stewardship", query)}


def edit(platform: Platform, what: Any) -> str:
    with closing(platform.databases["directory"].connect()) as connection:
        return str(what(connection).key)


def approved(platform: Platform) -> str:
    who = edit(platform, story.change_degree)
    wait_until(lambda: who in proposals(platform), 60, what="the proposal")
    words = ("--by", "pat", "--role", "data_steward")
    platform.ask("proposals", "approve", str(proposals(platform)[who][0]), *words)
    wait_until(lambda: proposals(platform)[who][1] == "applied", 60, what="the master to have made it")
    return who


def opened(platform: Platform) -> str:
    who = edit(platform, story.change_name)
    wait_until(lambda: who in proposals(platform), 60, what="the proposal")
    return who


def lose(platform: Platform, admin: AdminClient) -> None:
    """The disaster, and the first steps: nothing runs, nothing is captured, and what is derived is deleted."""
    platform.concord("down")
    prefix = platform.settings.topic_prefix
    with Connect(platform.settings.connect) as connect:
        for system in platform.settings.sources:
            connect.stop(f"{prefix}{system}")
    gone = [platform.settings.topic(name) for name in DERIVED]
    for future in admin.delete_topics(gone, operation_timeout=30).values():
        future.result()
    wait_until(
        lambda: not {*gone} & {*admin.list_topics(timeout=30).topics}, 60, what="the topics to be gone"
    )
    shutil.rmtree(Path(platform.environ["CONCORD_STATE"]) / "data" / "concord-worker")


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    platform.ask("load", "generated", "--count", str(COUNT), "--seed", "23")
    quiet(platform)
    return platform


def test_the_page_names_the_topics_that_are_deleted() -> None:
    page = (PROJECT / "docs" / "rebuild.md").read_text()
    assert all(f"`{name}`" in page for name in ("entity", "reference", "finding", "claims.npi", "cdc.*"))


def test_a_rebuild_gives_the_same_golden_records_and_the_systems_keep_their_rows(
    loaded: Platform, kafka_admin: AdminClient
) -> None:
    edit(loaded, story.rename_group)
    done, waiting = approved(loaded), opened(loaded)
    quiet(loaded)
    before, held = entities(loaded), tables(loaded)
    said = loaded.ask("explain", f"provider/{done}")["entities"][0]["fields"]
    number = proposals(loaded)[waiting][0]

    lose(loaded, kafka_admin)
    loaded.ask("topics", "apply")
    loaded.ask("sources", "apply", "--resnapshot", "--reason", "topic entity was lost")
    assert loaded.concord("up").code == 0
    wait_until(lambda: {*before} <= {*entities(loaded)}, 240, what="everybody to be known again")
    quiet(loaded)

    after = entities(loaded)
    assert {*after} == {*before}
    assert {key: golden(found) for key, found in after.items()} == {
        key: golden(found) for key, found in before.items()
    }
    assert {key: views(found) for key, found in after.items()} == {
        key: views(found) for key, found in before.items()
    }
    assert tables(loaded) == held
    again = loaded.ask("explain", f"provider/{done}")["entities"][0]["fields"]
    names = ("record", "row", "field", "value")
    owned = [{name: each[name] for name in names} for each in said if each["owners"] == [MASTER]]
    assert [{name: each[name] for name in names} for each in again if each["owners"] == [MASTER]] == owned
    below = {
        (key, system): (sent.revision, before[key].confirmed[system].revision)
        for key, found in after.items()
        for system, sent in found.sent.items()
        if system in before[key].confirmed and sent.revision <= before[key].confirmed[system].revision
    }
    assert not below, "a system refuses them as older than what it holds"
    assert any(found.revision > REBUILT for found in after.values())
    # What can't be known again is told: somebody proposes it once more.
    assert proposals(loaded)[waiting] == (number, "expired")
    told = [(found["code"], found["subject"]) for found in loaded.ask("findings")["findings"]]
    assert ("proposal.expired", f"proposal/{number}") in told
    parity = {each["system"]: each for each in loaded.ask("parity")["systems"]}
    assert all(each["unexplained"] == each["in_flight"] == 0 for each in parity.values())


def test_afterwards_changes_of_the_master_reach_all_three_and_edits_are_judged(loaded: Platform) -> None:
    ((who,),) = loaded.rows(
        "directory",
        "select cred_provider_ref::text from dir_listing join dir_provider using (dir_provider_id)"
        " where listed_to is null order by 1 desc limit 1",
    )
    loaded.write(f"update provider set last_name = 'Afterwards' where provider_id = '{who}'")
    shown = {
        "directory": "select last_name from dir_provider where cred_provider_ref::text = %s",
        "enrollment": "select prov_last from enr_provider where cred_ref::text = %s",
        "billing": "select last_nm from bil_rendering where cred_ref::text = %s",
    }
    for system, query in shown.items():
        wait_until(
            lambda s=system, q=query: [v.upper() for (v,) in loaded.rows(s, q, who)] == ["AFTERWARDS"],  # type: ignore[misc]
            60,
            what=f"{system} to show it",
        )
    known = {*proposals(loaded)}
    proposer = edit(loaded, story.change_degree)
    wait_until(lambda: proposer in {*proposals(loaded)} - known, 60, what="an edit to be proposed")
    assert loaded.ask("verify", "source") is not None
