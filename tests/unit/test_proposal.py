"""A tick in two phases: what a date would withdraw is counted, then it is told, or it stops and asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.envelope import Change as Row
from streams.agents import control
from streams.agents.control import Tick, TickCounted
from streams.agents.proposal import asked
from streams.cli.show import status_text
from streams.core import entity as core_entity
from streams.engine.partition import DECISIONS
from streams.engine.producer import Output
from streams.operate.clock import judge
from streams.operate.findings import OpenFindings
from streams.operate.rollout import Rollout
from streams.operate.standing import hop
from streams.operate.status import Status
from tests.fixtures.decider import Bench, bench_at, views
from tests.world import golden, row

DAY = 20_605
"""2026-06-01"""
LAPSE = "2026-07-02"
"""The first day after the licences' last one."""


@pytest.fixture
def asking(tmp_path: Path, logs: list[Any]) -> Iterator[Bench]:
    """Asks from two withdrawals on, beyond half of the providers."""
    made = bench_at(tmp_path, withdraw_least=2, withdraw_share=0.5)
    made.source.day = DAY
    made.references.put(
        "location/location-0", golden("practice_location", "location-0", org_id="organization-0")
    )
    made.references.put("organization/organization-0", golden("organization", "organization-0"))
    yield made
    made.partition.store.close()


def people(bench: Bench, expires: list[str]) -> None:
    """A provider for each licence that ends on that day."""
    for n, day in enumerate(expires):
        bench.commit(*one(n, day))
    bench.settle()


def one(n: int, expires: str) -> list[Row]:
    mine = {"provider_id": f"provider-{n}"}
    return [
        row("provider", **mine),
        row("license", license_id=f"license-{n}", number="036-1", expires=expires, **mine),
        row("taxonomy", taxonomy_id=f"taxonomy-{n}", license_id=f"license-{n}", **mine),
        row("provider_location", id=f"provider_location-{n}", **mine),
        row("affiliation", affiliation_id=f"affiliation-{n}", org_id="organization-0", **mine),
    ]


def told(outputs: list[Output]) -> list[Any]:
    """What was said on `clock`."""
    return [control.decode(o.value, 4_000_000_000_000) for o in outputs if o.topic == "clock"]


def withdrawn(outputs: list[Output]) -> int:
    return len([name for name in views(outputs) if name.startswith("directory.provider")])


def test_a_date_that_withdraws_little_is_counted_and_then_told(asking: Bench) -> None:
    people(asking, ["2026-07-01", "2028-01-01", "2028-01-01"])
    said = asking.propose(LAPSE)
    assert told(said) == [TickCounted(LAPSE, "test", 0, 1, 1, 3), Tick(LAPSE, "proposal")]
    assert withdrawn(said) == 1
    assert (asking.state.ticked, asked(asking.state)) == (LAPSE, None)


def test_counting_keeps_nothing_of_what_it_looks_at(asking: Bench) -> None:
    people(asking, ["2026-07-01", "2026-07-01"])
    keys = [f"provider/provider-{n}".encode() for n in range(2)]
    before = [asking.partition.store.get(key) for key in keys]
    decided = asking.state.decided
    said = asking.propose(LAPSE)
    assert {o.topic for o in said} == {"clock", "entity"}
    assert [asking.partition.store.get(key) for key in keys] == before
    assert asking.state.decided == decided
    assert asking.partition.store.due_count(LAPSE) == 2


def test_a_date_that_would_withdraw_too_much_stops_and_asks_once(asking: Bench, logs: list[Any]) -> None:
    people(asking, ["2026-07-01", "2026-07-01", "2028-01-01"])
    for _ in range(3):
        assert told(asking.propose(LAPSE)) == [TickCounted(LAPSE, "test", 0, 2, 2, 3)]
    assert [(e["event"], e["withdrawn"], e["providers"]) for e in logs if e["log_level"] == "error"] == [
        ("clock.stopped", 2, 3)
    ]
    assert (asking.state.ticked, asking.state.stopped) == ("", LAPSE)


def test_a_confirmed_tick_goes_on_from_there(asking: Bench) -> None:
    people(asking, ["2026-07-01", "2026-07-01", "2028-01-01"])
    asking.propose(LAPSE)
    said = asking.clock(LAPSE) + asking.settle()
    assert withdrawn(said) == 2
    assert asked(asking.state) is None


def test_a_date_proposed_again_after_a_correction_is_told(asking: Bench) -> None:
    people(asking, ["2026-07-01", "2026-07-01", "2028-01-01"])
    asking.propose(LAPSE, "first")
    asking.commit(*one(0, "2028-01-01"))
    asking.settle()
    said = asking.propose(LAPSE, "second")
    assert told(said)[-1] == Tick(LAPSE, "proposal")
    assert (asking.state.stopped, withdrawn(said)) == ("", 1)


def test_a_restart_in_the_middle_of_counting_counts_anew(asking: Bench) -> None:
    people(asking, ["2026-07-01", "2028-01-01", "2028-01-01"])
    asking.handler.state.proposed = (LAPSE, "before")
    unit = asking.unit()
    asking.handler._moved = True
    asking.handler.calendar.tally.counting = True
    assert asking.handler.close_unit(unit)
    asking.partition.store.apply(unit.batch)
    asking.restart()
    assert told(asking.settle()) == [TickCounted(LAPSE, "before", 0, 1, 1, 3)]


def test_an_older_date_or_an_answer_told_twice_changes_nothing(asking: Bench) -> None:
    people(asking, ["2026-07-01", "2028-01-01", "2028-01-01"])
    [counted, _] = told(asking.propose(LAPSE))
    assert told(asking.hear([counted], LAPSE)) == []
    assert told(asking.propose("2026-07-01")) == []
    assert asking.state.outcomes["clock"] == {"applied": 3, "superseded": 2}


def test_nothing_is_told_before_every_partition_has_answered(tmp_path: Path, logs: list[Any]) -> None:
    bench = bench_at(tmp_path, partitions=2, withdraw_least=2, withdraw_share=0.05)
    assert told(bench.propose(LAPSE)) == [TickCounted(LAPSE, "test", 0, 0, 0, 0)]
    other = TickCounted(LAPSE, "test", 1, 9, 3, 100)
    said = bench.hear([other], LAPSE)
    assert [o.partition for o in said if o.topic == "clock"] == [0, 1], "3 of 100 is no more than the share"
    bench.partition.store.close()


def test_a_proposal_costs_what_is_due_and_is_paced(asking: Bench) -> None:
    count = DECISIONS + 3
    for n in range(count):
        asking.commit(
            row("provider", provider_id=f"p{n}"),
            row("affiliation", affiliation_id=f"a{n}", provider_id=f"p{n}", effective_from="2026-09-01"),
        )
    asking.commit(row("provider", provider_id="never"))
    asking.settle()
    said = told(asking.propose("2026-09-01"))
    assert said[0] == TickCounted("2026-09-01", "test", 0, count, 0, count + 1)


def test_a_state_of_a_version_that_did_not_count_providers_is_counted_once(asking: Bench) -> None:
    people(asking, ["2028-01-01", "2028-01-01"])
    assert asking.state.providers == 2
    old = msgspec.structs.replace(asking.state, providers=-1)
    unit = asking.unit()
    unit.batch.put_state(msgspec.msgpack.encode(old))
    asking.partition.store.apply(unit.batch)
    asking.restart()
    assert asking.handler.state.providers == 2


def test_an_entity_in_the_middle_of_a_transaction_is_not_counted(asking: Bench) -> None:
    people(asking, ["2026-07-01"])
    first, *_ = asking.source.transaction([row("provider", provider_id="provider-0", degree="DO")] * 2)
    asking.feed(first)
    assert core_entity.decode(asking.partition.store.get(b"provider/provider-0") or b"").dirty is not None
    assert told(asking.propose(LAPSE))[0] == TickCounted(LAPSE, "test", 0, 1, 0, 1)


# ---- what an operator is told ----


def rows(ticked: str = "", **different: Any) -> list[dict[str, Any]]:
    found = {"as_of": LAPSE, "ids": ["me"], "answered": [0], "withdrawn": 2, "providers": 3, "stopped": True}
    return [{"ticked": ticked, "asked": None}, {"ticked": ticked, "asked": {**found, **different}}]


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (rows(ticked=LAPSE), "told"),
        (rows(), "stopped"),
        (rows(stopped=False), "pending"),
        (rows(ids=["before", "me"]), "pending"),
        (rows(as_of="2026-07-01"), "pending"),
        (rows(ticked=LAPSE)[:1], "pending"),
    ],
)
def test_the_command_waits_for_the_answer_to_its_own_proposal(
    status: list[dict[str, Any]], outcome: str
) -> None:
    assert judge(status, 2, LAPSE, "me", {}).outcome == outcome


def test_status_says_where_the_clock_has_stopped_and_what_to_do() -> None:
    counters: Any = {
        "dirty": 0, "due": 0, "ticked": "", "asked": rows()[1]["asked"], "decided": 0, "emitted": 0, "late": 0,
        "rollout": Rollout("", False, None, None, [], ""), "unconfirmed": {"directory": 2},
    }  # fmt: skip
    decide = hop("decide", [], counters=counters)
    text = status_text(Status(0, True, [], decide, [], OpenFindings(0), 0, True, hop("reference", [])))
    assert f"STOPPED: {LAPSE} would withdraw 2 of 3 providers" in text
    assert f"concord clock tick --as-of {LAPSE} --confirm" in text
