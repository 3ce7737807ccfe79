"""A roll-out of rules, authority or mapping: who may decide on a partition, and how far it is."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from streams.agents import rollout
from streams.agents.decide import Decide
from streams.agents.rollout import Version, parse
from streams.engine.partition import Unit
from streams.errors import InvalidInput
from streams.operate.rollout import progress
from tests.fixtures.decider import Bench, person
from tests.world import belongings, row

pytestmark = pytest.mark.usefixtures("logs")

OLD = "rules=1 authority=3 mapping.billing=1 digest=aaa"
NEW = "rules=2 authority=3 mapping.billing=1 digest=bbb"


@pytest.mark.parametrize(
    ("own", "other", "relation"),
    [
        (NEW, NEW, "same"),
        (NEW, OLD, "newer"),
        (OLD, NEW, "older"),
        (NEW, NEW.replace("bbb", "ccc"), "edited"),
        (NEW, OLD.replace("authority=3", "authority=4"), "crossed"),
        (NEW, "2", "newer"),
        (NEW, "", "newer"),
        (OLD, OLD.replace("mapping.billing=1 ", ""), "newer"),
    ],
)
def test_versions_are_ordered_only_where_no_number_says_the_opposite(
    own: str, other: str, relation: str
) -> None:
    assert parse(own).to(parse(other)) == relation


def test_a_version_is_read_as_it_is_written() -> None:
    installed = rollout.installed()
    assert parse(str(installed)) == installed
    assert installed.numbers.keys() >= {"rules", "authority", "mapping.credentialing"}
    assert str(Version()) == ""


def decided(known: Bench) -> None:
    """Two providers, decided under the old version."""
    known.restart(rules=OLD)
    known.commit(person(), *belongings())
    known.commit(row("provider", provider_id="provider-1", npi="1245319599"))
    known.settle()


def test_the_first_decision_under_another_version_is_noted_in_its_own_transaction(known: Bench) -> None:
    decided(known)
    known.restart(rules=NEW)
    known.work()
    assert (known.state.rules, known.state.toward) in {(OLD, NEW), (NEW, "")}
    assert known.producer.written > 0


def test_an_older_worker_never_decides_where_a_newer_one_has_begun(known: Bench) -> None:
    decided(known)
    known.restart(rules=NEW)
    interrupted(known)
    before = known.partition.store.state()
    error = refused(known, OLD)
    assert error.code == "rollout.older"
    assert "newer" in error.next_step
    assert known.partition.store.state() == before, "left untouched"
    known.restart(rules=NEW)
    known.settle()
    assert (known.state.rules, known.state.toward) == (NEW, "")


def refused(known: Bench, version: str) -> InvalidInput:
    """What a worker of this version says when the partition is given to it."""
    handler = Decide(0, replace(known.context, rules=version))
    with pytest.raises(InvalidInput) as caught:
        handler.load(known.partition.store)
    return caught.value


def interrupted(known: Bench) -> None:
    """One entity decided again and committed, then nothing more."""
    unit: Unit = known.unit()
    for item in known.handler.due(unit, known.now, 1):
        known.handler.decide(unit, item, known.now)
    assert known.handler.close_unit(unit)
    known.partition.store.apply(unit.batch)


def test_a_worker_that_takes_over_half_way_decides_everybody_again(known: Bench) -> None:
    decided(known)
    known.restart(rules=NEW)
    interrupted(known)
    before = known.handler.state.decided
    known.restart(rules=NEW)
    assert known.handler.again.total == 2
    known.settle()
    assert known.handler.state.decided == before + 2
    assert (known.handler.again.done, known.handler.again.running) == (2, False)


@pytest.mark.parametrize("other", [NEW.replace("bbb", "ccc"), OLD.replace("authority=3", "authority=4")])
def test_edited_or_crossed_files_are_refused_until_somebody_accepts_them(known: Bench, other: str) -> None:
    decided(known)
    known.restart(rules=NEW)
    known.settle()
    assert "partition 0 was decided under" in refused(known, other).message
    known.restart(rules=other, accept=True)
    known.settle()
    assert known.state.rules == other


def test_a_roll_back_is_accepted_by_hand_and_decides_everybody_again(known: Bench) -> None:
    decided(known)
    known.restart(rules=NEW)
    interrupted(known)
    before = known.handler.state.decided
    known.restart(rules=OLD, accept=True)
    known.settle()
    assert (known.state.rules, known.state.toward) == (OLD, "")
    assert known.handler.state.decided == before + 2


def told(number: int, **more: Any) -> dict[str, Any]:
    return {"partition": number, "rules": OLD, "toward": "", "again": None, **more}


def test_status_tells_how_many_of_how_many_are_decided_again_by_partition() -> None:
    rows = [told(1, toward=NEW, again={"done": 3, "total": 10}), told(0, rules=NEW)]
    found = progress(rows, NEW)
    assert (found.running, found.done, found.total, found.why) == (True, 3, 10, "")
    assert [(p.partition, p.done, p.total) for p in found.partitions] == [(0, None, None), (1, 3, 10)]


def test_status_says_why_no_worker_of_this_installation_decides_and_what_to_do() -> None:
    found = progress([told(0, toward=NEW)], OLD)
    assert (found.done, found.total) == (None, None), "nobody counts where no worker has the partition"
    assert re.search("partition 0 was decided under a newer version: .*; next: install the newer", found.why)


def test_the_memory_of_a_roll_out_is_one_key_and_it_skips_nobody(bench: Bench) -> None:
    for n in range(7):
        bench.commit(row("provider", provider_id=f"provider-{n}", npi=None))
    bench.settle()
    store, again = bench.partition.store, rollout.Again(bench.partition.store)
    taken = []
    while again.running:
        taken += again.take(store, 3)
    assert taken == list(store.entity_keys())
    assert (again.done, again.total) == (len(taken), len(taken))


def test_a_refused_worker_leaves_for_good_with_the_code_its_supervisor_does_not_start_again() -> None:
    program = (
        "from streams.engine.worker import refuse; from streams.errors import InvalidInput;"
        "refuse(InvalidInput('rollout.older', 'partition 0', 'install'))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 2
    assert "rollout.older" in ended.stdout + ended.stderr
