"""The decide hop after restarts and replays, and the decisions nobody's row asked for: references and other rules."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.envelope import Change as Row
from connectors.envelope import Message
from streams.core import entity as core_entity
from streams.engine.memory import MemoryReferences
from tests.fixtures.decider import (
    ALL_THREE,
    LINGER,
    PROVIDER,
    Bench,
    bench_at,
    findings,
    person,
    rekeyed_root,
    views,
)
from tests.strategies import transactions
from tests.world import belongings, golden, row

pytestmark = pytest.mark.usefixtures("logs")


# ---- replay and restart ----


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(history=transactions(most=5), data=st.data())
def test_a_replay_is_a_no_op(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[Row]], data: st.DataObject
) -> None:
    """Invariant 3: sent again from any point, nothing is said and no entity's bytes change."""
    bench = bench_at(tmp_path_factory.mktemp("replay"))
    sent: list[list[Message]] = []
    for tx in history:
        sent.append(bench.source.transaction(tx))
        bench.feed(*sent[-1])
    bench.settle()
    keys = list(bench.partition.store.entity_keys())
    before = bench.partition.store.get_many(keys)
    said = []
    for messages in sent[data.draw(st.integers(0, len(sent) - 1)) :]:
        said += bench.feed(*messages)
    said += bench.settle()
    assert [o.topic for o in said if o.key != b"partition/0"] == []
    assert bench.partition.store.get_many(keys) == before
    bench.partition.store.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(history=transactions(most=4), data=st.data())
def test_a_restart_anywhere_loses_no_dirty_mark_and_ends_in_the_same_views(
    tmp_path_factory: pytest.TempPathFactory, history: list[list[Row]], data: st.DataObject
) -> None:
    """Invariant 7: stopped after any record, with or without having it replayed."""
    through, stopped = (bench_at(tmp_path_factory.mktemp(name)) for name in ("through", "stopped"))
    messages = [message for tx in history for message in through.source.transaction(tx)]
    cut = data.draw(st.integers(0, len(messages)))
    replay = data.draw(st.integers(0, cut))
    through.feed(*messages)
    through.settle()
    stopped.feed(*messages[:cut])
    stopped.restart()
    stopped.feed(*messages[replay:])
    stopped.settle()
    for bench in (through, stopped):
        assert bench.partition.store.dirty() == []
    keys = list(through.partition.store.entity_keys())
    assert list(stopped.partition.store.entity_keys()) == keys
    for key in keys:
        one, other = through.entity(key), stopped.entity(key)
        assert (one.claims, one.findings.keys(), one.gaps) == (
            other.claims,
            other.findings.keys(),
            other.gaps,
        )
        # A sink on hold keeps its last view, and the one that stopped may have been decided in between.
        if not any("hold" in finding.effect for finding in one.findings.values()):
            assert {s: v.content for s, v in one.sent.items()} == {
                s: v.content for s, v in other.sent.items()
            }
    through.partition.store.close()
    stopped.partition.store.close()


def test_after_a_restart_in_the_middle_of_a_transaction_its_rest_is_waited_for(known: Bench) -> None:
    first, *rest = known.source.transaction([person(), *belongings()])
    known.feed(first)
    known.restart()
    assert views(known.work()) == []
    known.now += LINGER - 1
    assert views(known.feed(*rest)) == []
    assert views(known.settle()) == ALL_THREE


def test_after_a_restart_one_partitions_rekeyed_rows_prove_nothing_of_anothers(known: Bench) -> None:
    """Transactions are in order among those that were re-keyed in one partition; which one that was is not kept."""
    known.feed(rekeyed_root(5), rekeyed_root(9, "provider-1", origin=4), topic="claims.directory")
    known.restart()
    assert known.handler.pending.due(known.now, 9) == []
    due = known.handler.pending.due(known.now + LINGER, 9)
    assert [proven for _, proven in due] == [False, False]


def test_entity_bytes_in_the_store_are_those_of_the_topic(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    newest = {o.key: o for tx in known.producer.transactions for o in tx if o.topic == "entity"}
    for key in known.partition.store.entity_keys():
        assert newest[key].value == known.partition.store.get(key)
        assert newest[key].partition == 0
    assert newest[b"partition/0"].value == known.partition.store.state()


# ---- references ----


def moved(line1: str) -> core_entity.Golden:
    return golden("practice_location", "location-0", org_id="organization-0", line1=line1)


def test_a_changed_reference_decides_its_dependents_again(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.references.put("location/location-0", moved("40 Cedar Ave"))
    assert known.handler.next_ms(known.now) == known.now
    assert views(known.settle()) == ["directory.provider provider-0 2"]


def test_a_reference_that_was_unknown_decides_whoever_looked_for_it(bench: Bench) -> None:
    bench.references.put("organization/organization-0", golden("organization", "organization-0"))
    bench.commit(person(), *belongings())
    assert findings(bench.settle()) == ["provider/provider-0 reference.unknown location/location-0"]
    bench.restart()
    bench.references.put("location/location-0", moved("1 Main St"))
    assert views(bench.settle()) == ALL_THREE
    assert bench.entity().findings == {}


def test_a_reference_nobody_looks_at_decides_nobody(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    decided = known.state.decided
    known.references.put("location/location-7", golden("practice_location", "location-7"))
    assert views(known.settle()) == []
    assert known.handler.state.decided == decided


def test_references_known_before_their_dependents_decide_nobody_after_a_restart(known: Bench) -> None:
    """A snapshot's references come first: without a mark, each restart would decide every provider again."""
    known.commit(person(), *belongings())
    known.settle()
    assert known.state.references == {0: 2}
    decided = known.handler.state.decided
    known.restart()
    known.settle()
    assert known.handler.state.decided == decided


def test_dependents_that_were_decided_are_not_decided_again_after_a_restart(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.references.put("location/location-0", moved("40 Cedar Ave"))
    known.settle()
    decided = known.handler.state.decided
    known.restart()
    known.settle()
    assert known.handler.state.decided == decided


def test_marks_move_only_with_the_last_dependent_so_that_a_crash_repeats_and_never_skips(
    known: Bench,
) -> None:
    for number in range(3):
        ids = {"provider_id": f"p{number}"}
        known.commit(row("provider", **ids), row("provider_location", id=f"l{number}", **ids),
                     row("network_participation", id=f"n{number}", **ids))  # fmt: skip
    known.settle()
    known.references.put("location/location-0", moved("40 Cedar Ave"))
    unit_decisions = iter(known.handler.due(known.unit(), known.now, 2))
    assert [item.mark for item in unit_decisions] == [None, None], "the mark stands with the third"
    known.restart()
    assert len(views(known.settle())) == 3


def test_a_dirty_dependent_is_left_to_its_own_transaction(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.references.put("location/location-0", moved("40 Cedar Ave"))
    known.commit(person(degree="DO"))
    assert known.entity().revision == 1, "its transaction may go on"
    known.settle()
    assert known.entity().revision == 2


# ---- other rules ----


def test_other_rules_decide_everyone_again_and_are_noted_with_the_last(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.commit(row("provider", provider_id="provider-1", npi="1245319599"))
    known.settle()
    decided = known.handler.state.decided
    known.restart(rules="2")
    first = known.handler.due(known.unit(), known.now, 1)
    assert [item.key for item in first] == [PROVIDER]
    known.restart(rules="2")
    assert known.state.rules == "1", "a restart in between begins again"
    known.settle()
    assert known.state.rules == "2"
    assert known.handler.state.decided == decided + 2
    known.restart(rules="2")
    known.settle()
    assert known.handler.state.decided == decided + 2, "once is enough"


def test_a_fresh_store_is_born_with_the_rules_of_today(bench: Bench) -> None:
    assert bench.handler.next_ms(0) is None
    bench.commit(person())
    assert bench.state.rules == "1"


# ---- topic `reference` made anew ----


def test_a_topic_reference_made_anew_is_told_everything_again_and_heard_from_its_start(bench: Bench) -> None:
    """Its offsets begin at 0 again: compared with those of the old one, its changes would be passed over."""
    bench.references.topic_id = "one"
    bench.restart()
    bench.commit(row("practice_location", location_id="location-0", org_id="organization-0"))
    bench.commit(row("organization", org_id="organization-0"))
    bench.settle()
    bench.commit(person(), *belongings())
    bench.settle()
    assert bench.state.reference_topic == "one"
    assert bench.state.references[0] > 0

    bench.references = MemoryReferences(topic_id="two")
    bench.restart(references=bench.references)
    told = [(o.key or b"").decode() for o in bench.settle() if o.topic == "reference"]
    assert sorted(told) == ["location/location-0", "organization/organization-0"]
    assert bench.state.reference_topic == "two"
    assert bench.references.get("location", "location-0") is not None
    revision = bench.entity().revision
    bench.commit(
        row("practice_location", location_id="location-0", org_id="organization-0", line1="9 Elm St")
    )
    assert views(bench.settle())
    assert bench.entity().revision > revision, "a low offset of the new topic is a change all the same"


def test_a_restart_with_the_same_topic_reference_tells_it_nothing(bench: Bench) -> None:
    bench.commit(row("organization", org_id="organization-0"))
    bench.settle()
    bench.restart()
    assert [o for o in bench.settle() if o.topic == "reference"] == []
