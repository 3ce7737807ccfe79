"""One provider's change reaches every system, through the real services and the real commands.

The tests share one platform and go in order: they build on each other's rows and leave it running and equal.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schemas.authority import load_authority
from stack import process
from streams.operate import announced
from streams.operate import explain as explaining
from streams.operate.find import Finder, Located
from streams.operate.presence import PEOPLE, kept_back, presence
from streams.operate.provenance import PROVENANCE
from streams.operate.told import plain_path
from streams.systems import ADAPTERS, WORK
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

COUNT = 50
CANARIES = 10
"""More than come between two commits of offsets, on a slow machine too."""
PARTS = ("worker", *(f"adapter-{system}" for system in ADAPTERS), "reference", "verify", "guard", "metrics")
SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "nppes_sample.csv"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    """Fifty invented providers, everywhere."""
    platform.ask("load", "generated", "--count", str(COUNT), "--seed", "7")
    everywhere(platform)
    return platform


def everywhere(platform: Platform) -> None:
    eventually(platform, lambda: presence(platform.settings).equal, "every system to hold every provider")
    eventually(platform, platform.quiet, "nothing to be pending")


def eventually(platform: Platform, condition: Callable[[], Any], what: str) -> Any:
    """The first true value, while the processes live; at the end their status says why not."""
    try:
        return wait_until(condition, 120, lambda: running(platform), what)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{platform.concord('status').text}") from None


def becomes(platform: Platform, system: str, query: str, key: str, wanted: Any) -> None:
    """Wait for a value in a system's own table."""
    eventually(platform, lambda: platform.rows(system, query, key) == [(wanted,)], f"{system}: {wanted}")


def running(platform: Platform) -> bool:
    return all(process.recall(record(platform, name)) for name in PARTS)


def record(platform: Platform, name: str) -> Path:
    return Path(platform.environ["CONCORD_STATE"]) / "run" / f"concord-{name}.json"


def somebody(platform: Platform) -> tuple[str, str]:
    """(id, NPI) of an active provider that the directory lists."""
    listed = """
        select cred_provider_ref::text from dir_listing join dir_provider using (dir_provider_id)
        where listed_to is null order by 1 limit 1
    """
    ((who,),) = platform.rows("directory", listed)
    ((npi,),) = platform.rows("credentialing", "select npi from provider where provider_id = %s", who)
    return who, npi


def test_up_again_starts_nothing_twice(platform: Platform) -> None:
    pids = {part["name"]: part["pid"] for part in platform.ask("up") if part["running"]}
    assert set(pids) == set(PARTS)
    assert pids == {part["name"]: part["pid"] for part in platform.ask("up")}


def test_preparing_again_changes_nothing(platform: Platform) -> None:
    assert platform.ask("topics", "plan") == []
    assert {plan["action"] for plan in platform.ask("sources", "plan")} == {"none"}
    assert not any(schema["created"] for schema in platform.ask("schema", "publish"))
    assert not any(platform.ask("mapping", "check").values())


def test_all_three_systems_equal_the_master(loaded: Platform) -> None:
    active = "select provider_id::text, npi, last_name, first_name from provider where status = 'active'"
    master = {row[0]: row[1:] for row in loaded.rows("credentialing", active)}
    names = {
        "directory": "npi_number, last_name, first_name",
        "enrollment": "prov_npi, prov_last, prov_first",
        "billing": "rendering_npi, last_nm, first_nm",
    }
    for system, columns in names.items():
        table, reference = PEOPLE[system]
        held = {
            row[0]: row[1:]
            for row in loaded.rows(system, f"select {reference}::text, {columns} from {table}")
        }
        for who in master.keys() & held.keys():
            npi, last, first = master[who]
            wanted = (npi, last.upper(), first.upper()) if system == "billing" else (npi, last, first)
            assert held[who] == wanted, f"{system} {who}"
        assert master.keys() - held.keys() <= kept_back(loaded.settings)[system]


def test_the_directory_lists_each_current_place_and_network(loaded: Platform) -> None:
    wanted = loaded.rows(
        "credentialing",
        """
        select distinct p.provider_id::text, l.location_id::text, n.payer, n.network
        from provider p join provider_location l using (provider_id) join network_participation n using (provider_id)
        where p.status = 'active' and n.par_status = 'par'
          and daterange(coalesce(l.effective_from, '-infinity'), l.effective_to) @> current_date
          and coalesce(n.effective, '-infinity') <= current_date and coalesce(n.term, 'infinity') >= current_date
        """,
    )
    listed = loaded.rows(
        "directory",
        """
        select p.cred_provider_ref::text, l.cred_location_ref::text, n.payer_name, n.network_name
        from dir_listing join dir_provider p using (dir_provider_id) join dir_location l using (dir_location_id)
        join dir_network n using (network_id) where listed_to is null or listed_to > current_date
        """,
    )
    there = {row[0] for row in loaded.rows("directory", "select cred_provider_ref::text from dir_provider")}
    assert sorted(row for row in wanted if row[0] in there) == sorted(listed)


def test_a_new_name_reaches_every_system(loaded: Platform) -> None:
    who, _ = somebody(loaded)
    loaded.write(f"update provider set last_name = 'Windlestraw' where provider_id = '{who}'")
    for system, column in (("directory", "last_name"), ("enrollment", "prov_last"), ("billing", "last_nm")):
        table, reference = PEOPLE[system]
        query = f"select upper({column}) from {table} where {reference} = %s"
        becomes(loaded, system, query, who, "WINDLESTRAW")


def test_a_clinics_new_address_reaches_it_everywhere(loaded: Platform) -> None:
    busiest = "select location_id::text from provider_location group by 1 order by count(*) desc limit 1"
    ((place,),) = loaded.rows("credentialing", busiest)
    loaded.write(f"update practice_location set line1 = '12 Thistledown Way' where location_id = '{place}'")
    for system, query in (
        ("directory", "select street_1 from dir_location where cred_location_ref = %s"),
        ("billing", "select addr1 from bil_service_location where cred_location_ref = %s"),
    ):
        becomes(loaded, system, query, place, "12 Thistledown Way")


def test_who_leaves_is_listed_nowhere(loaded: Platform) -> None:
    who, _ = somebody(loaded)
    loaded.write(f"update provider set status = 'terminated' where provider_id = '{who}'")
    open_listings = """
        select count(*) from dir_listing join dir_provider using (dir_provider_id)
        where cred_provider_ref = %s and (listed_to is null or listed_to > current_date)
    """
    becomes(loaded, "directory", open_listings, who, 0)
    (found,) = loaded.ask("explain", who)["entities"]
    assert found["verdict"] == {"state": "withdrawn", "because": ["provider.terminated"]}


def test_explain_tells_where_each_value_of_each_provider_came_from(loaded: Platform) -> None:
    everywhere(loaded)
    people = [who for (who,) in loaded.rows("credentialing", "select provider_id::text from provider")]
    with Finder(loaded.settings) as finder:
        # A clinic's new address reaches its last doctor a moment after everything else is quiet.
        eventually(loaded, lambda: not without_origin(finder, people), "every value to have its origin")
        assert without_origin(finder, people) == []


def without_origin(finder: Finder, people: list[str]) -> list[str]:
    return [
        f"{sink} {path} = {value!r}"
        for who in people
        for sink, path, value, origins in told(finder, finder.find(who)[0])
        if value is not None and not origins and PROVENANCE[sink, "provider"][plain_path(path)].sources
    ]


def told(finder: Finder, located: Located) -> list[tuple[str, str, Any, Any]]:
    references = {found.name: found.entity for found in finder.get_many(located.entity.depends)}
    found = explaining.explanation(located, references, load_authority(), finder.as_of(located.entity.id))
    assert {sink.system for sink in found.sinks} == located.entity.sent.keys() - set(WORK)
    return [(sink.system, v.path, v.value, v.origins) for sink in found.sinks for v in sink.values]


def test_explain_by_npi_names_rows_that_the_master_has(loaded: Platform) -> None:
    who, npi = somebody(loaded)
    (found,) = loaded.ask("explain", npi)["entities"]
    assert (found["id"], found["npi"]) == (who, npi)
    origins = [o for sink in found["sinks"] for value in sink["values"] for o in value["origins"]]
    assert {o["system"] for o in origins} == {"credentialing"}
    keys = {
        "provider": "provider_id",
        "practice_location": "location_id",
        "organization": "org_id",
    }
    for table, key in keys.items():
        named = {o["row"] for o in origins if o["table"] == table}
        there = {row[0] for row in loaded.rows("credentialing", f"select {key}::text from {table}")}
        assert named
        assert named <= there


def test_explain_shows_no_restricted_value(loaded: Platform) -> None:
    tins = {
        tin for (tin,) in loaded.rows("credentialing", "select tin from organization where tin is not null")
    }
    born = "select dob::text, npi, provider_id::text from provider where dob is not null limit 3"
    for dob, _, who in loaded.rows("credentialing", born):
        for answer in (loaded.concord("explain", who), loaded.concord("explain", who, "--json")):
            assert dob not in answer.text
            assert not [tin for tin in tins if tin in answer.text]


def test_trace_follows_a_change_hop_by_hop(loaded: Platform) -> None:
    who, npi = somebody(loaded)
    loaded.write(f"update provider set middle_name = 'Fernsby' where provider_id = '{who}'")
    query = "select display_name from dir_provider where cred_provider_ref = %s"
    eventually(loaded, lambda: " F. " in loaded.rows("directory", query, who)[0][0], "the directory's name")
    everywhere(loaded)
    (found,) = loaded.ask("trace", npi)["entities"]
    newest = found["revisions"][0]
    assert newest["system"] == "credentialing"
    for arrival in newest["sinks"]:
        assert arrival["state"] == "applied", arrival
        times = [m["us"] for m in (*newest["moments"], *arrival["moments"])]
        assert None not in times
        assert times == sorted(times)
    assert newest["total_ms"] > 0


def caught_up(found: dict[str, Any]) -> dict[str, Any] | None:
    """A status that says so of every hop; what follows from an answer may come a moment after all was quiet."""
    states = {hop["state"] for hop in (found["decide"], *found["adapters"], *found["capture"])}
    return found if found["quiet"] and states == {"caught_up"} else None


def test_status_balances_and_lags_nowhere(loaded: Platform) -> None:
    everywhere(loaded)
    found = eventually(loaded, lambda: caught_up(loaded.ask("status")), "every hop to have caught up")
    assert found["balanced"]
    topic = loaded.settings.topic("cdc.credentialing")
    consumed = found["decide"]["outcomes"][topic]["consumed"]
    committed = sum(i["position"] for i in found["decide"]["inputs"] if i["topic"] == topic)
    assert 0 <= consumed - committed <= CANARIES, "read since offsets were committed: nothing but canaries"
    assert found["quarantined"] == 0


def test_a_stopped_adapter_is_stopped_and_not_behind_by_zero(loaded: Platform) -> None:
    loaded.stop("adapter-billing")
    who, _ = somebody(loaded)
    loaded.write(f"update provider set first_name = 'Orrin' where provider_id = '{who}'")
    wait_until(lambda: billing(loaded)["lag_records"], 60, what="a record to wait for billing")
    found = billing(loaded)
    assert (found["state"], found["processes"]) == ("stopped", [])
    assert "no adapter answers" in found["why"]
    assert found["lag_seconds"] > 0
    loaded.ask("up")
    query = "select first_nm from bil_rendering where cred_ref = %s"
    becomes(loaded, "billing", query, who, "ORRIN")


def test_who_tells_what_the_witnesses_say_has_a_line_in_status(loaded: Platform) -> None:
    eventually(loaded, lambda: loaded.ask("status")["reference"]["state"] == "caught_up", "it to catch up")
    found = loaded.ask("status")["reference"]
    assert (found["lag_records"], len(found["processes"])) == (0, 1)
    assert found["counters"]["holders"] > 0
    assert "reference follow" in loaded.concord("status").text


@pytest.mark.parametrize(("name", "role"), [("adapter-billing", "adapter/billing"), ("reference", "witness")])
def test_what_is_killed_comes_back_by_itself(loaded: Platform, name: str, role: str) -> None:
    """As the worker does: its supervisor starts it again."""
    (answer,) = announced.answering(loaded.settings, role)
    os.kill(answer.party.pid, signal.SIGKILL)

    def another() -> bool:
        found = announced.answering(loaded.settings, role)
        return [a.party.pid for a in found] not in ([], [answer.party.pid])

    eventually(loaded, another, f"another {name}")
    everywhere(loaded)
    assert process.recall(record(loaded, name)), "its supervisor is still the same"


def test_without_a_worker_the_topics_answer(loaded: Platform) -> None:
    who, npi = somebody(loaded)
    loaded.stop("worker")
    (found,) = loaded.ask("explain", npi)["entities"]
    assert found["id"] == who
    assert "entity[" in found["found_in"]
    assert loaded.ask("trace", npi)["entities"][0]["revisions"]
    status = loaded.ask("status")
    assert (status["decide"]["state"], status["quiet"], status["balanced"]) == ("stopped", False, True)
    assert "no worker answers" in status["decide"]["why"]
    loaded.ask("up")
    everywhere(loaded)


def billing(platform: Platform) -> Any:
    return next(hop for hop in platform.ask("status")["adapters"] if hop["name"] == "billing")


def test_an_unknown_npi_says_so(loaded: Platform) -> None:
    answer = loaded.concord("explain", "1999999984", "--json")
    assert answer.code == 1
    assert "entity.unknown" in answer.text


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"{SAMPLE.name} is not here")
def test_real_nppes_rows_reach_every_system(loaded: Platform) -> None:
    before = presence(loaded.settings).active
    loaded.ask("load", "nppes", str(SAMPLE), "--limit", "150")
    everywhere(loaded)
    assert presence(loaded.settings).active > before


def test_every_partition_is_told_the_day_without_being_asked(loaded: Platform) -> None:
    eventually(loaded, lambda: _ticked(loaded) >= loaded.settings.partitions * [_day(0)], "a tick of today")


def test_what_ends_today_is_listed_until_the_clock_says_tomorrow(loaded: Platform) -> None:
    """The last test: for this platform it is tomorrow from here on."""
    who, _ = somebody(loaded)
    loaded.write(f"update network_participation set term = '{_day(0)}' where provider_id = '{who}'")
    everywhere(loaded)
    shown = """
        select count(*) > 0 from dir_listing join dir_provider using (dir_provider_id)
        where cred_provider_ref = %s and listed_to is null
    """
    assert loaded.rows("directory", shown, who) == [(True,)]
    assert loaded.concord("clock", "tick", "--as-of", _day(2)).code == 2
    counted = loaded.ask("clock", "tick", "--as-of", _day(1), "--dry-run")
    assert (counted["outcome"], sum(counted["due"].values()) > 0) == ("counted", True)
    told = loaded.ask("clock", "tick", "--as-of", _day(1))
    assert (told["as_of"], told["outcome"], told["due"]) == (_day(1), "told", counted["due"])
    becomes(loaded, "directory", shown, who, False)
    everywhere(loaded)
    assert _ticked(loaded) == loaded.settings.partitions * [_day(1)]


def _day(ahead: int) -> str:
    return (datetime.now(UTC) + timedelta(ahead)).date().isoformat()


def _ticked(platform: Platform) -> list[str]:
    """The last date each partition was told."""
    answers = announced.answering(platform.settings, "worker")
    return [partition["ticked"] for answer in answers for partition in answer.status["partitions"]]
