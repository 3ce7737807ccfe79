"""Parity: counted unit by unit, the same as counting everything; and no difference that nobody says."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.core import entity as core_entity
from streams.core import parity as states
from streams.core.entity import Entity, Parity
from streams.operate import parity, scenario
from streams.operate.sandbox import Sandbox
from tests.fixtures.decider import Bench, person
from tests.world import belongings

TWO_WAY = sorted((Path(__file__).parents[1] / "behavior" / "two_way").glob("*.toml"))
PROPOSED = next(path for path in TWO_WAY if "degree_is_proposed" in path.stem)


def stored(sandbox: Sandbox) -> dict[bytes, dict[str, Parity]]:
    store = sandbox.partition.store
    keys = list(store.entity_keys())
    return {k: core_entity.decode(v or b"").parity for k, v in zip(keys, store.get_many(keys), strict=True)}


@pytest.mark.parametrize("path", TWO_WAY, ids=lambda path: path.stem)
def test_what_is_counted_unit_by_unit_is_what_a_count_of_everything_finds(path: Path, tmp_path: Path) -> None:
    found = scenario.load(path)
    sandbox = Sandbox(tmp_path, found.targets)
    list(scenario.play(found, sandbox))
    told, scanned = sandbox.handler.parity(sandbox.partition.store), parity.counted(stored(sandbox))
    sandbox.close()
    assert told["systems"] == scanned["systems"]
    assert {s: f for s, f in told["fields"].items() if f} == {s: f for s, f in scanned["fields"].items() if f}
    assert not any(counts.get(states.UNEXPLAINED) for counts in told["systems"].values())


def test_a_restart_tells_the_same(tmp_path: Path) -> None:
    found = scenario.load(PROPOSED)
    sandbox = Sandbox(tmp_path, found.targets)
    list(scenario.play(found, sandbox))
    store = sandbox.partition.store
    before = sandbox.handler.parity(store)
    sandbox.handler.load(store)
    assert sandbox.handler.parity(store) == before
    assert before["systems"]["directory"][states.EQUAL] > 0
    sandbox.close()


def test_what_was_sent_is_in_flight_until_it_is_confirmed(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    told = known.handler.parity(known.partition.store)
    assert told["systems"]["directory"][states.IN_FLIGHT] == 1
    [[since, who]] = told["longest"]["directory"][states.IN_FLIGHT]
    assert who == "provider/provider-0"
    assert since > 0


def test_the_age_is_that_of_the_first_view_that_is_not_confirmed(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    before = known.entity().parity["directory"]
    known.commit(person(last_name="Other"))
    known.settle()
    assert known.entity().parity["directory"] == before
    told = known.handler.parity(known.partition.store)
    assert len(told["longest"]["directory"][states.IN_FLIGHT]) == 1


def test_who_was_sent_another_view_is_counted_once(known: Bench) -> None:
    for name in ("One", "Two", "Three"):
        known.commit(person(last_name=name), *belongings())
        known.settle()
    assert known.state.parity["directory"] == {states.IN_FLIGHT: 1}


def test_partitions_are_summed_and_the_oldest_of_all_is_named() -> None:
    parts = [
        {
            "systems": {"directory": {states.EQUAL: 2, states.IN_FLIGHT: 1}},
            "fields": {"directory": {"provider.degree": 1}},
            "longest": {"directory": {states.IN_FLIGHT: [[since, who]]}},
        }
        for since, who in ((3_000_000, "provider/late"), (1_000_000, "provider/early"))
    ]
    found = parity.summed("directory", parts, 4_000_000)
    assert (found.equal, found.in_flight, found.fields) == (4, 2, {"provider.degree": 2})
    assert found.oldest_in_flight == parity.Waiting("provider/early", states.IN_FLIGHT, 1_000_000, 3.0)
    assert found.oldest is None


def test_what_nobody_explains_is_named_and_fails_the_check() -> None:
    apart = {"directory": Parity(states.UNEXPLAINED, 1_000_000, ["provider.degree"])}
    part = parity.counted({b"provider/p": apart, b"provider/q": {"directory": Parity(states.EQUAL)}})
    found = parity.summed("directory", [part], 2_000_000)
    assert (found.unexplained, found.equal, found.named) == (1, 1, ["provider/p"])
    assert found.oldest == parity.Waiting("provider/p", states.UNEXPLAINED, 1_000_000, 1.0)
    assert not parity.Parity([found], 1, []).explained


def test_an_entity_of_no_system_has_no_standing() -> None:
    assert Entity("npi", "1234567893").parity == {}
