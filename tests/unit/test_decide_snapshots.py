"""The decide hop in an initial snapshot: one decision an entity, references first, nothing forgotten by a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.envelope import Change as Row
from connectors.envelope import Message, Source
from schemas.tables import decoders
from streams import codec
from streams.agents.snapshots import Snapshots
from streams.agents.state import PartitionState, Snapshot
from streams.engine.memory import MemoryReferences
from streams.engine.pending import Pending
from streams.engine.producer import Output
from tests.fixtures.decider import (
    ALL_THREE,
    PROVIDER,
    Bench,
    bench_at,
    directory_root,
    findings,
    person,
    rekeyed_root,
    views,
)
from tests.world import belongings, row

pytestmark = pytest.mark.usefixtures("logs")


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


class Counted(Pending):
    """Counts how often everybody who waits is gone through."""

    times = 0

    def waiting(self, system: str) -> list[bytes]:
        self.times += 1
        return super().waiting(system)


def test_a_look_at_whether_other_partitions_are_done_costs_the_same_however_many_wait(bench: Bench) -> None:
    """It is one every 50 ms; with a million providers each took longer than that."""
    shared, pending = replace(bench.context, references=MemoryReferences(2)), Counted()
    pending.touch_snapshot("credentialing", PROVIDER)
    state = PartitionState(snapshots={"credentialing": Snapshot(1, 0)})
    snapshots = Snapshots(0, shared, state, pending)
    for look in range(20):
        snapshots.advance([], look * 50.0)
    assert pending.times == 1
    shared.references._done |= {"done/credentialing/1/0", "done/credentialing/1/1"}
    assert snapshots.advance([], 2_000.0)
    assert pending.due(2_000.0, 9) == [(PROVIDER, True)]


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


def test_a_restart_forgets_no_snapshot_for_another_systems_word(tmp_path: Path) -> None:
    """What touched an entity last names one system; the snapshot that it waits for may be of another."""
    bench = bench_at(tmp_path, decoders=decoders(("credentialing", "directory")))
    bench.snapshot_complete(until=0, system="directory")
    bench.settle()
    first, *rest = snapshot_rows(bench)
    bench.feed(first)
    bench.feed(rekeyed_root(5), topic="claims.directory")
    bench.restart()
    assert bench.settle() == [], "its licence is still to be read"
    bench.feed(*rest)
    assert views(bench.snapshot_complete() + bench.settle())[-3:] == ALL_THREE
    bench.partition.store.close()


def test_rows_under_a_local_id_wait_for_the_masters_snapshot_also_after_a_restart(tmp_path: Path) -> None:
    bench = bench_at(tmp_path, decoders=decoders(("credentialing", "directory")))
    bench.feed(*directory_root(Source("directory")), topic="cdc.directory")
    for _ in range(2):
        assert findings(bench.settle()) == []
        bench.restart()
    bench.snapshot_complete(until=0)
    assert findings(bench.settle()) == ["directory.provider/7 identity.unlinked directory.provider"]
    bench.partition.store.close()


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


def test_a_snapshot_behind_streamed_rows_of_its_epoch_is_told_to_a_person_once(
    bench: Bench, logs: list[Any]
) -> None:
    """Connect died before it had ever noted where it was: what it then reads loses against what it had streamed."""
    bench.feed(*snapshot_rows(bench))
    bench.snapshot_complete()
    bench.settle()
    assert bench.state.read_again == {}, "a first reading, whole or in parts, is none"
    bench.commit(person(last_name="Streamed"))
    bench.feed(*bench.source.snapshot([person(last_name="Read")]), *snapshot_rows(bench))
    assert bench.state.read_again == {"credentialing": 1}
    [told] = [entry for entry in logs if entry["event"] == "capture.read_again"]
    assert told["log_level"] == "error"
    assert told["next_step"] == "concord sources apply credentialing --resnapshot"


def test_a_new_epoch_and_an_old_record_sent_back_are_no_second_reading(bench: Bench, logs: list[Any]) -> None:
    [read] = bench.source.snapshot([person(last_name="Read")])
    bench.commit(person(last_name="Streamed"))
    key, value, headers = read
    bench.feed((key, value, [*headers, (codec.REPLAYED, b"cdc.credentialing/0/0")]))
    bench.source.epoch = 2
    bench.feed(*snapshot_rows(bench))
    assert bench.state.read_again == {}
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == []
