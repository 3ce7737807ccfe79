"""The decide hop on the engine in memory: a real store, real contracts, time and Kafka by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.envelope import Change as Row
from connectors.envelope import Message, Source
from streams.agents.decide import Context, Decide, Holder, SnapshotComplete, encode_json
from streams.agents.state import PartitionState
from streams.agents.state import decode as decode_state
from streams.core import entity as core_entity
from streams.core.entity import Entity
from streams.core.malformed import REASONS
from streams.engine.memory import MemoryPartition, MemoryProducer, MemoryReferences, Record
from streams.engine.partition import Partition
from streams.engine.pending import Heard
from streams.engine.producer import Fenced, Output, Refused
from streams.engine.store import Shared, Store
from streams.operate.sandbox import Sandbox, context
from tests.fixtures.waiting import wait_until
from tests.strategies import changes, transactions
from tests.world import belongings, golden, row

SHARED = Shared(1024 * 1024, 1024 * 1024)
TOPIC = "cdc.credentialing"
PROVIDER = b"provider/provider-0"
LINGER, WITHDRAW = 20.0, 2_000.0


@dataclass
class Bench:
    """One partition by hand: its store survives `restart`, its memory doesn't."""

    folder: Path
    context: Context
    references: MemoryReferences
    source: Source
    producer: MemoryProducer
    partition: MemoryPartition
    offset: int = 0
    now: float = 0.0

    @property
    def handler(self) -> Decide:
        found = self.partition.handler
        assert isinstance(found, Decide)
        return found

    @property
    def state(self) -> PartitionState:
        """As it stands in the store: what a successor would find."""
        return decode_state(self.partition.store.state() or b"\x90")

    def entity(self, key: bytes = PROVIDER) -> Entity:
        value = self.partition.store.get(key)
        assert value is not None, key
        return core_entity.decode(value)

    def feed(self, *messages: Message, topic: str = TOPIC) -> list[Output]:
        """These records as one chunk."""
        records = []
        for key, value, headers in messages:
            records.append(Record(topic, 0, self.offset, key, value, [*headers], 1_000 + self.offset))
            self.offset += 1
        return self.work(records)

    def commit(self, *rows: Row) -> list[Output]:
        """One transaction as one chunk."""
        return self.feed(*self.source.transaction(rows))

    def work(self, records: list[Record] | None = None) -> list[Output]:
        outputs = self.partition.work(records or [], self.now)
        self.references.hear(o for o in outputs if o.topic == "reference")
        return outputs

    def tick(self, ms: float = LINGER) -> list[Output]:
        self.now += ms
        return self.work()

    def settle(self) -> list[Output]:
        """Let time pass until nothing is due."""
        found: list[Output] = []
        while (due := self.handler.next_ms(self.now)) is not None:
            self.now = max(self.now, due)
            found += self.work()
        return found

    def snapshot_complete(self, until: int | None = None, epoch: int = 1) -> list[Output]:
        notice = SnapshotComplete("credentialing", epoch, self.offset if until is None else until)
        return self.work([Record("clock", 0, 0, b"credentialing", encode_json(notice))])

    def restart(self, **different: Any) -> None:
        """Another process: the store as it was flushed, everything else anew."""
        self.partition.store.close()
        self.context = replace(self.context, heard=Heard(), **different)
        store = Store(self.folder / "store", SHARED)
        self.partition = MemoryPartition(store, Decide(0, self.context), self.producer)


def bench_at(folder: Path, **different: Any) -> Bench:
    references = MemoryReferences()
    shared = replace(context(references), **different)
    producer = MemoryProducer()
    partition = MemoryPartition(Store(folder / "store", SHARED), Decide(0, shared), producer)
    return Bench(folder, shared, references, Source("credentialing"), producer, partition)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What was logged, kept off the terminal: passing tests print nothing."""
    with structlog.testing.capture_logs() as kept:
        yield kept


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = bench_at(tmp_path)
    yield made
    made.partition.store.close()


@pytest.fixture
def known(bench: Bench) -> Bench:
    """With the place and the group the provider's rows name."""
    bench.references.put(
        "location/location-0", golden("practice_location", "location-0", org_id="organization-0")
    )
    bench.references.put("organization/organization-0", golden("organization", "organization-0"))
    return bench


def views(outputs: list[Output]) -> list[str]:
    """'sink kind key revision' of the views among these outputs."""
    return [
        f"{o.topic.removeprefix('sink.')} {(o.key or b'').decode()} {dict(o.headers)['concord-revision']!s}"
        for o in outputs
        if o.topic.startswith("sink.")
    ]


def findings(outputs: list[Output]) -> list[str]:
    return [(o.key or b"").decode() for o in outputs if o.topic == "finding"]


def person(**columns: Any) -> Row:
    return row("provider", provider_id="provider-0", **columns)


ALL_THREE = [f"{sink}.provider provider-0 1" for sink in ("directory", "enrollment", "billing")]


# ---- once a transaction is over ----


def test_half_a_transaction_is_decided_by_nobody(known: Bench) -> None:
    first, *rest = known.source.transaction([person(), *belongings()])
    assert views(known.feed(first)) == []
    known.now += LINGER - 1
    assert views(known.feed(*rest)) == []
    assert views(known.tick(LINGER - 1)) == []
    assert views(known.tick(1)) == ALL_THREE
    assert known.state.late == 0


def test_a_record_of_the_next_transaction_ends_the_one_before(known: Bench) -> None:
    known.commit(person(), *belongings())
    assert views(known.commit(row("provider", provider_id="provider-1", npi="1245319599"))) == ALL_THREE


def test_a_view_of_half_a_transaction_is_counted_when_its_rest_comes(known: Bench) -> None:
    first, *rest = known.source.transaction([person(), *belongings()])
    known.feed(first)
    assert len(views(known.tick())) == 3
    known.feed(*rest)
    known.settle()
    assert known.state.late == 1
    assert known.entity().revision == 2


def test_every_touched_entity_is_stored_with_its_dirty_mark_before_any_view_is_due(known: Bench) -> None:
    outputs = known.commit(person())
    assert [(o.topic, o.key) for o in outputs] == [("entity", PROVIDER), ("entity", b"partition/0")]
    assert known.partition.store.dirty() == [PROVIDER]
    known.settle()
    assert known.partition.store.dirty() == []


def test_the_state_record_is_the_last_output_of_every_transaction(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    assert [tx[-1].key for tx in known.producer.transactions] == [b"partition/0"] * len(
        known.producer.transactions
    )


def test_a_withdrawal_on_silence_waits_two_seconds_and_on_proof_none(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.commit(person(status="terminated"))
    assert views(known.tick(LINGER)) == []
    assert known.entity().dirty is not None
    assert views(known.tick(WITHDRAW - 1)) == []
    assert len(views(known.tick(1))) == 3
    known.commit(person(status="active"))
    known.settle()
    known.commit(person(status="suspended"))
    assert len(views(known.commit(row("provider", provider_id="provider-1")))) == 3


def test_a_withdrawal_that_its_transaction_takes_back_is_never_told(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    gone, back = known.source.transaction(
        [Row("provider", person().row, "d"), Row("provider", person().row, "c")]
    )
    known.feed(gone)
    assert views(known.tick(LINGER)) == []
    known.feed(back)
    assert views(known.settle()) == []
    assert known.entity().revision == 1


def test_a_decision_that_waits_leaves_no_trace_of_having_been_made(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.commit(person(status="terminated"))
    before = core_entity.encode(known.entity())
    assert known.tick(LINGER) == []
    assert core_entity.encode(known.entity()) == before


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
        assert {s: v.content for s, v in one.sent.items()} == {s: v.content for s, v in other.sent.items()}
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


def test_entity_bytes_in_the_store_are_those_of_the_topic(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    newest = {o.key: o for tx in known.producer.transactions for o in tx if o.topic == "entity"}
    for key in known.partition.store.entity_keys():
        assert newest[key].value == known.partition.store.get(key)
        assert newest[key].partition == 0
    assert newest[b"partition/0"].value == known.partition.store.state()


# ---- counts ----

garbage = st.sampled_from(
    [
        (b"k", b"\xff", []),
        (b"provider-0", b"{}", []),
        (None, None, []),
        (b"provider-1", *Source("credentialing").message(person(), 1, 2)[1:]),
        (b"provider-0", *Source("credentialing").message(person(), 1, 2)[1:2], []),
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(history=st.lists(st.one_of(changes(), garbage), min_size=1, max_size=12), data=st.data())
def test_every_record_ends_in_exactly_one_counted_outcome(
    tmp_path_factory: pytest.TempPathFactory, history: list[Any], data: st.DataObject
) -> None:
    """Invariant 5, for any mix of good, bad and repeated records in chunks of any size."""
    bench = bench_at(tmp_path_factory.mktemp("counts"))
    messages: list[Message] = []
    for item in history:
        messages += bench.source.transaction([item]) if isinstance(item, Row) else [item]
        if data.draw(st.booleans()):
            messages.append(data.draw(st.sampled_from(messages)))
    while messages:
        size = data.draw(st.integers(1, len(messages)))
        bench.feed(*messages[:size])
        messages = messages[size:]
    quarantined = [o for tx in bench.producer.transactions for o in tx if o.topic == "quarantine"]
    state = bench.state
    assert state.consumed == {TOPIC: bench.offset}
    assert sum(state.outcomes[TOPIC].values()) == bench.offset
    assert state.outcomes[TOPIC].get("quarantined", 0) == len(quarantined)
    assert state.inputs == {TOPIC: bench.offset}
    assert state.outcomes[TOPIC].keys() <= {"applied", "unchanged", "superseded", "quarantined", "unmapped"}
    bench.partition.store.close()


def test_the_records_of_a_log_table_and_of_our_own_tables_are_counted_as_unmapped(bench: Bench) -> None:
    key, value, headers = bench.source.message(person(), 1, 2)
    control = json.loads(value)
    control["source"]["table"] = "concord_applied"
    bench.feed((key, json.dumps(control).encode(), headers))
    bench.commit(row("malpractice_claim", id="m", provider_id="provider-0"))
    assert bench.state.outcomes == {TOPIC: {"unmapped": 2}}


def test_a_unit_that_failed_counts_its_records_once_when_it_is_done_again(known: Bench) -> None:
    messages = known.source.transaction([person(), *belongings()])
    known.producer.failures.extend([Refused("the broker is away"), Refused("still")])
    for _ in range(2):
        offset = known.offset
        with pytest.raises(Refused):
            known.feed(*messages)
        known.offset = offset
        assert known.partition.store.state() is None
    known.feed(*messages)
    assert known.state.consumed == {TOPIC: len(messages)}
    assert views(known.settle()) == ALL_THREE


def test_a_decision_that_failed_to_be_written_is_made_again_the_same(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.producer.failures.append(Refused("the broker is away"))
    known.now += LINGER
    with pytest.raises(Refused):
        known.work()
    assert known.partition.store.dirty() == [PROVIDER]
    assert views(known.settle()) == ALL_THREE
    assert known.entity().revision == 1


# ---- bad records ----


def test_quarantine_keeps_the_original_bytes_headers_and_where_it_came_from(bench: Bench) -> None:
    """Invariant 6."""
    headers: Any = [("concord-epoch", b"1"), ("other", b"\x00\xff"), ("other", None)]
    bench.feed((b"\xfe", b"\xff\x00", headers))
    [bad] = [o for tx in bench.producer.transactions for o in tx if o.topic == "quarantine"]
    assert (bad.key, bad.value) == (b"\xfe", b"\xff\x00")
    assert bad.headers[:3] == headers
    told = dict(bad.headers[3:])
    assert told["concord-code"] == "change.undecodable"
    assert told["concord-origin"] == "cdc.credentialing/0/0"
    assert told["concord-code"] in REASONS


def test_the_records_after_a_bad_one_flow_on(known: Bench) -> None:
    rows = known.source.transaction([person(), *belongings()])
    known.feed((b"x", b"nonsense", []), rows[0], (b"x", None, []), *rows[1:])  # type: ignore[arg-type]
    assert views(known.settle()) == ALL_THREE
    assert known.state.outcomes[TOPIC] == {"quarantined": 2, "applied": 6}


def test_a_key_of_another_partition_is_quarantined_and_makes_no_entity(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, places=lambda key: 1)
    outputs = bench.commit(person())
    assert [dict(o.headers)["concord-code"] for o in outputs if o.topic == "quarantine"] == [
        "change.partition_wrong"
    ]
    assert list(bench.partition.store.entity_keys()) == []
    holder = encode_json(Holder("1234567893", "provider", "p", True, (1, 2, 3)))
    bench.feed((b"1234567893", holder, []), topic="claims.npi")
    assert list(bench.partition.store.entity_keys()) == []
    bench.partition.store.close()


@pytest.mark.parametrize(
    ("topic", "value", "code"),
    [
        ("clock", b"tick", "clock.undecodable"),
        ("clock", b'{"type":"another"}', "clock.undecodable"),
        ("clock", None, "clock.undecodable"),
        ("claims.npi", b"{}", "npi.undecodable"),
        (
            "claims.npi",
            b'{"npi":"\\ud800","kind":"p","id":"x","holds":true,"position":[1,2,3]}',
            "npi.undecodable",
        ),
        ("cdc.unheard_of", b"{}", "change.topic_unknown"),
    ],
)
def test_a_bad_record_of_another_topic_has_its_code(
    bench: Bench, topic: str, value: bytes | None, code: str
) -> None:
    outputs = bench.feed((b"k", value, []), topic=topic)  # type: ignore[arg-type]
    assert [dict(o.headers)["concord-code"] for o in outputs if o.topic == "quarantine"] == [code]
    assert bench.state.outcomes == {topic: {"quarantined": 1}}


def broken_row(source: Source) -> Message:
    [(key, value, headers)] = source.transaction(
        [row("license", license_id="license-0", provider_id="provider-0")]
    )
    bad = json.loads(value)
    bad["after"]["state"] = 7
    return key, json.dumps(bad).encode(), headers


def test_a_quarantined_row_opens_a_finding_and_a_good_one_closes_it(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    known.feed(broken_row(known.source))
    assert known.partition.store.dirty() == [PROVIDER], "the mark outlives a restart"
    assert findings(known.settle()) == ["provider/provider-0 capture.quarantined license/license-0"]
    known.commit(
        row("license", license_id="license-0", provider_id="provider-0", number="036-1", expires="2028-01-01")
    )
    assert findings(known.settle()) == ["provider/provider-0 capture.quarantined license/license-0"]
    assert known.entity().findings == {}


def test_a_bad_row_in_the_middle_of_a_transaction_does_not_end_it(known: Bench) -> None:
    rows = known.source.transaction([person(), *belongings()])
    key, value, headers = rows[1]
    bad = json.loads(value)
    bad["after"]["state"] = 7
    known.feed(rows[0], (key, json.dumps(bad).encode(), headers))
    assert known.work() == [], "its rest is still to come"
    known.feed(*rows[2:])
    assert views(known.settle()) == ALL_THREE
    assert known.state.late == 0


# ---- a defect of ours ----


class Defective(Decide):
    """Fails where a real defect could: while encoding what a decision said."""

    broken = True

    def _address(self, *args: Any) -> list[Output]:
        if self.broken:
            raise RuntimeError("1234567893 must not be told")
        return super()._address(*args)


def test_a_decision_that_raises_is_taken_back_said_once_and_made_when_the_defect_is_gone(
    known: Bench, logs: list[Any]
) -> None:
    handler = Defective(0, known.context)
    known.partition = MemoryPartition(known.partition.store, handler, known.producer)
    known.commit(person(), *belongings())
    outputs = known.settle()
    assert (views(outputs), findings(outputs)) == (
        [],
        ["provider/provider-0 internal.decide_failed provider"],
    )
    entity = known.entity()
    assert (entity.revision, entity.sent, entity.dirty) == (0, {}, None)
    assert [entry["error"] for entry in logs] == ["RuntimeError"], "its text may hold a value (Invariant 11)"
    handler.broken = False
    known.commit(person(degree="DO"))
    outputs = known.settle()
    assert (views(outputs), findings(outputs)) == (
        ALL_THREE,
        ["provider/provider-0 internal.decide_failed provider"],
    )
    assert known.entity().findings == {}


# ---- snapshots ----


def snapshot_rows(bench: Bench) -> list[Message]:
    return bench.source.snapshot(
        [
            person(),
            *belongings(),
            row("practice_location", location_id="location-0", org_id="organization-0"),
            row("organization", org_id="organization-0", npi="1245319599"),
        ]
    )


def test_a_snapshot_is_decided_once_an_entity_references_first(bench: Bench) -> None:
    for message in snapshot_rows(bench):
        assert views(bench.feed(message)) == []
    assert bench.settle() == []
    said = views(bench.snapshot_complete() + bench.settle())
    assert said == [
        "directory.location location-0 1",
        "billing.location location-0 1",
        "billing.organization organization-0 1",
        *ALL_THREE,
    ]
    assert bench.state.decided == 3
    assert bench.state.snapshots["credentialing"].done


def test_a_notice_that_comes_before_the_rows_is_kept(bench: Bench) -> None:
    rows = snapshot_rows(bench)
    bench.snapshot_complete(until=len(rows))
    assert bench.settle() == []
    bench.feed(*rows[:4])
    assert bench.settle() == []
    bench.restart()
    assert len(views(bench.feed(*rows[4:]) + bench.settle())) == 6


def test_providers_wait_until_every_partition_has_announced_its_references(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    bench.references = MemoryReferences(2)
    bench.restart(references=bench.references)
    bench.feed(*snapshot_rows(bench))
    said = views(bench.snapshot_complete())
    for _ in range(20):
        said += views(bench.tick(1_000))
    assert [v for v in said if "provider" in v] == []
    assert len(said) == 3
    bench.references.hear([Output("reference", b"done/credentialing/1/1", b"", [], 1)])
    assert [v for v in views(bench.settle()) if "provider" in v] == ALL_THREE
    bench.partition.store.close()


def test_the_wait_for_other_partitions_is_bounded_also_for_a_second_snapshot(tmp_path: Path) -> None:
    bench = bench_at(tmp_path)
    bench.references = MemoryReferences(2)
    bench.restart(references=bench.references)
    for epoch in (1, 2):
        bench.source.epoch = epoch
        bench.feed(*bench.source.snapshot([person(degree=f"D{epoch}")]))
        bench.snapshot_complete(epoch=epoch)
        for _ in range(10):
            bench.tick(60_000)
        assert bench.entity().revision == epoch - 1, "ten minutes are not enough"
        for _ in range(10):
            bench.tick(60_000)
        assert bench.entity().revision == epoch
    bench.partition.store.close()


def test_rows_of_a_snapshot_survive_a_restart_as_rows_that_wait(bench: Bench) -> None:
    bench.feed(*snapshot_rows(bench))
    bench.restart()
    assert bench.settle() == []
    assert len(views(bench.snapshot_complete() + bench.settle())) == 6


def test_a_change_streamed_while_the_snapshot_runs_waits_with_it(bench: Bench) -> None:
    bench.feed(*snapshot_rows(bench))
    bench.commit(person(degree="DO"))
    assert views(bench.settle()) == []
    said = views(bench.snapshot_complete() + bench.settle())
    assert said[-3:] == ALL_THREE


def test_an_incremental_read_waits_for_no_notice(known: Bench) -> None:
    known.commit(person(), *belongings())
    known.settle()
    reread = Row("provider", person(degree="DO").row, "r")
    known.feed(known.source.message(reread, known.source.prior, 0, "incremental"))
    assert views(known.settle()) == ["directory.provider provider-0 2"]


def test_a_notice_sent_twice_is_superseded(bench: Bench) -> None:
    bench.snapshot_complete()
    bench.snapshot_complete()
    assert bench.state.outcomes["clock"] == {"applied": 1, "superseded": 1}


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
    unit_decisions = iter(known.handler.due(_unit(known), known.now, 2))
    assert [item.mark for item in unit_decisions] == [None, None], "the mark stands with the third"
    known.restart()
    assert len(views(known.settle())) == 3


def _unit(bench: Bench) -> Any:
    from streams.engine.partition import Unit

    return Unit(bench.partition.store)


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
    first = known.handler.due(_unit(known), known.now, 1)
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


# ---- who holds an NPI ----


def holders(bench: Bench, npi: str) -> dict[str, Any]:
    rows = bench.entity(f"npi/{npi}".encode()).claims["platform"]["holder"]
    return {row_id: claim.held for row_id, claim in rows.items()}


def announced(outputs: list[Output]) -> list[Message]:
    return [(o.key or b"", o.value or b"", []) for o in outputs if o.topic == "claims.npi"]


def test_two_providers_of_one_npi_meet_at_the_npi_and_one_leaves_it(bench: Bench) -> None:
    for number in (0, 1):
        bench.commit(row("provider", provider_id=f"provider-{number}"))
        bench.feed(*announced(bench.settle()), topic="claims.npi")
    assert [h["id"] for h in holders(bench, "1234567893").values()] == ["provider-0", "provider-1"]
    bench.commit(row("provider", provider_id="provider-1", npi="1407071236"))
    bench.feed(*announced(bench.settle()), topic="claims.npi")
    assert holders(bench, "1234567893")["provider/provider-1"] is None
    assert holders(bench, "1407071236")["provider/provider-1"] == {"kind": "provider", "id": "provider-1"}
    assert bench.partition.store.dirty() == []


def test_an_announcement_sent_again_is_superseded(bench: Bench) -> None:
    bench.commit(person())
    said = announced(bench.settle())
    for _ in range(2):
        bench.feed(*said, topic="claims.npi")
    assert bench.state.outcomes["claims.npi"] == {"applied": 1, "superseded": 1}


# ---- the date ----


def test_today_is_the_newest_commit_date_and_never_goes_back(bench: Bench) -> None:
    bench.source.day = 20_605
    bench.commit(person())
    bench.source.day = 20_000
    bench.commit(person(degree="DO"))
    assert bench.state.as_of == "2026-06-01"


# ---- the real partition around the handler ----


@dataclass
class Chunk:
    """What the transport hands over."""

    records: list[Record]
    live: bool = True
    behind: int = 0

    @property
    def tp(self) -> Any:
        return self.records[0]


def with_partition(folder: Path, story: Callable[[Partition, MemoryProducer, Source, list[str]], Any]) -> Any:
    """Run a story against the engine's own Partition, with a producer in memory."""

    async def play() -> Any:
        producer, deaths = MemoryProducer(), []

        async def die(reason: str) -> None:
            deaths.append(reason)

        handler = Decide(0, context(MemoryReferences()))
        store = Store(folder / "store", SHARED)
        partition = Partition(0, store, producer, handler, "topic", die)  # type: ignore[arg-type]
        partition.start()
        try:
            return await story(partition, producer, Source("credentialing"), deaths)
        finally:
            await partition.close()

    return asyncio.run(play())


def chunk_of(source: Source, *rows: Row) -> Chunk:
    messages = source.transaction(rows)
    return Chunk([Record(TOPIC, 0, n, k, v, [*h]) for n, (k, v, h) in enumerate(messages)])


async def until(condition: Callable[[], Any]) -> None:
    await asyncio.to_thread(wait_until, condition, 10)


def test_a_refused_chunk_is_worked_again_whole_and_decided_by_time(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        producer.failures.extend([Refused("away"), OSError("disk")])
        assert await partition.work(chunk_of(source, person(), belongings()[0]))
        assert partition.retries == 2
        assert partition.last_error == ""
        await until(lambda: any(views(tx) for tx in producer.transactions))
        state = decode_state(partition.store.state() or b"")
        assert state.consumed == {TOPIC: 2}
        assert state.outcomes == {TOPIC: {"applied": 2}}
        assert deaths == []

    with_partition(tmp_path, story)


def test_a_fenced_partition_leaves_without_having_worked_the_chunk(tmp_path: Path) -> None:
    """The paused worker that wakes after its successor took over: nothing is acknowledged, the process goes."""

    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        producer.failures.append(Fenced("concord-0: fenced"))
        assert not await partition.work(chunk_of(source, person()))
        assert deaths == ["concord-0: fenced"]
        assert partition.store.state() is None
        assert producer.transactions == []

    with_partition(tmp_path, story)


def test_a_dead_chunk_is_not_worked(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        chunk = chunk_of(source, person())
        chunk.live = False
        assert not await partition.work(chunk)
        assert producer.transactions == []

    with_partition(tmp_path, story)


def test_the_checkpoint_stands_behind_the_units_last_output(tmp_path: Path) -> None:
    async def story(
        partition: Partition, producer: MemoryProducer, source: Source, deaths: list[str]
    ) -> None:
        await partition.work(chunk_of(source, person()))
        checkpoint = partition.store.checkpoint()
        assert checkpoint is not None
        assert (checkpoint.topic_id, checkpoint.offset) == ("topic", sum(map(len, producer.transactions)))

    with_partition(tmp_path, story)


# ---- the sandbox ----


def test_the_sandbox_tells_what_the_platform_told(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path / "store")
    sandbox.snapshot([person(), *belongings()])
    assert sandbox.told.findings["provider/provider-0"] == {"reference.unknown location/location-0"}
    place = row("practice_location", location_id="location-0", org_id="organization-0")
    sandbox.commit([place, row("organization", org_id="organization-0")])
    assert sandbox.told.findings["provider/provider-0"] == set()
    assert sandbox.told.views["directory/provider/provider-0"]["npi"] == "1234567893"
    assert sandbox.entity("npi/1234567893") is not None
    assert sandbox.verdict("provider/nobody") is None
    sandbox.send([(b"k", b"{", [])])
    assert sandbox.told.quarantined == ["change.undecodable"]
    sandbox.close()


def test_no_headers_and_no_keys_hold_restricted_values(known: Bench) -> None:
    """Invariant 11, over everything a provider with every restricted field makes the platform write."""
    dea = row("dea_registration", dea_id="d", provider_id="provider-0", number="AP5836727")
    known.commit(person(dob="1980-01-31"), *belongings(), dea)
    known.feed(broken_row(known.source))
    known.commit(person(dob="1980-01-31", npi="12"))
    known.settle()
    everything = [o for tx in known.producer.transactions for o in tx]
    for output in everything:
        told = (output.key or b"") + repr(output.headers).encode()
        assert b"1980-01-31" not in told
        assert b"AP5836727" not in told
    cleared = ("entity", "reference", "quarantine", "sink.enrollment", "sink.billing")
    for output in everything:
        if not output.topic.startswith(cleared):
            assert b"1980-01-31" not in (output.value or b"")
            assert b"AP5836727" not in (output.value or b"")
    assert msgspec.json.encode(sorted({o.topic for o in everything}))
