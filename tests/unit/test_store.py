"""The partition store: a batch is one moment, an index never misses, and a copy equals its original."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.core import entity as core_entity
from streams.core.entity import Entity, Parity, Touch
from streams.engine import store as engine_store
from streams.engine.restore import _take, trusted_offset
from streams.engine.store import Batch, Checkpoint, Lost, Shared, Store

SHARED = Shared(1024 * 1024, 1024 * 1024)
TOUCH = Touch("credentialing", (1, 2, 3), 4, 5, 6, 7)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "store", SHARED)
    yield opened
    opened.close()


def put(store: Store, key: bytes, entity: Entity, before: list[str] | None = None) -> None:
    batch = Batch()
    batch.put_entity(key, core_entity.encode(entity), dirty=entity.dirty is not None)
    batch.depend(key, before or [], entity.depends)
    store.apply(batch)


def test_what_is_put_is_there_and_dirty_until_it_is_not(store: Store) -> None:
    entity = Entity("provider", "a", dirty=TOUCH)
    put(store, b"provider/a", entity)
    assert store.get(b"provider/a") == core_entity.encode(entity)
    assert store.dirty() == [b"provider/a"]
    entity.dirty = None
    put(store, b"provider/a", entity)
    assert store.dirty() == []


def test_many_are_read_in_the_order_they_are_asked_for(store: Store) -> None:
    for name in ("a", "b"):
        put(store, f"provider/{name}".encode(), Entity("provider", name))
    found = store.get_many([b"provider/b", b"provider/none", b"provider/a"])
    assert [core_entity.decode(v).id if v else None for v in found] == ["b", None, "a"]
    assert store.get_many([]) == []


def test_nothing_of_a_batch_shows_before_it_is_applied(store: Store) -> None:
    batch = Batch()
    batch.put_entity(b"provider/a", b"x", dirty=True)
    batch.put_state(b"state")
    batch.put_checkpoint(Checkpoint("topic", 4, 5))
    assert (store.get(b"provider/a"), store.dirty(), store.state(), store.checkpoint()) == (
        None,
        [],
        None,
        None,
    )
    store.apply(batch)
    assert (store.get(b"provider/a"), store.dirty(), store.state()) == (b"x", [b"provider/a"], b"state")
    assert store.checkpoint() == Checkpoint("topic", 4, 5)


def test_a_dropped_entity_is_gone_with_its_mark(store: Store) -> None:
    put(store, b"provider/a", Entity("provider", "a", dirty=TOUCH))
    batch = Batch()
    batch.drop_entity(b"provider/a")
    store.apply(batch)
    assert (store.get(b"provider/a"), store.dirty(), list(store.entity_keys())) == (None, [], [])


def test_dependents_are_found_by_reference_and_forgotten_when_they_look_elsewhere(store: Store) -> None:
    put(store, b"provider/a", Entity("provider", "a", depends=["location/1", "location/2"]))
    put(store, b"provider/b", Entity("provider", "b", depends=["location/1"]))
    assert store.dependents("location/1") == [b"provider/a", b"provider/b"]
    put(store, b"provider/a", Entity("provider", "a", depends=["location/2"]), ["location/1", "location/2"])
    assert store.dependents("location/1") == [b"provider/b"]
    assert store.dependents("location/2") == [b"provider/a"]


ids = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=6)


def test_who_waits_is_found_oldest_first_and_by_state_and_system(store: Store) -> None:
    for name, since in (("late", 30), ("early", 4)):
        stand(store, name, {}, {"directory": Parity("in_flight", since), "billing": Parity("equal")})
    assert list(store.apart("in_flight", "directory")) == [(4, b"provider/early"), (30, b"provider/late")]
    assert list(store.apart("in_flight", "billing")) == []
    before = {"directory": Parity("in_flight", 4)}
    stand(store, "early", before, {"directory": Parity("differing", 4, ["provider.degree"])})
    assert list(store.apart("in_flight", "directory")) == [(30, b"provider/late")]
    assert list(store.apart("differing", "directory")) == [(4, b"provider/early")]


def test_what_a_restore_left_in_the_index_is_told_to_nobody(store: Store) -> None:
    """A restore knows the entity as it is, not as the store before it had it."""
    stand(store, "p", {}, {"directory": Parity("in_flight", 4)})
    batch = Batch()
    now = Entity("provider", "p", parity={"directory": Parity("equal")})
    _take(batch, b"provider/p", core_entity.encode(now))
    store.apply(batch)
    assert list(store.apart("in_flight", "directory")) == []


def stand(store: Store, name: str, before: dict[str, Parity], after: dict[str, Parity]) -> None:
    batch, key = Batch(), f"provider/{name}".encode()
    batch.put_entity(key, core_entity.encode(Entity("provider", name, parity=after)), dirty=False)
    batch.stand(key, before, after)
    store.apply(batch)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(wanted=st.dictionaries(ids, st.sets(ids, max_size=3), max_size=5))
def test_keys_never_run_into_each_other(store: Store, wanted: dict[str, set[str]]) -> None:
    """Injective by round trip: whatever ids stand in a key, each dependent comes back under its own reference only."""
    for key in list(store.entity_keys()):
        batch = Batch()
        batch.drop_entity(key)
        batch.depend(key, core_entity.decode(store.get(key) or b"").depends, [])
        store.apply(batch)
    for name, references in wanted.items():
        put(
            store,
            f"provider/{name}".encode(),
            Entity("provider", name, depends=[f"location/{r}" for r in references]),
        )
    assert sorted(store.entity_keys()) == sorted(f"provider/{name}".encode() for name in wanted)
    for reference in {r for references in wanted.values() for r in references}:
        expected = sorted(
            f"provider/{n}".encode() for n, references in wanted.items() if reference in references
        )
        assert sorted(store.dependents(f"location/{reference}")) == expected


def test_a_store_opened_again_holds_what_it_flushed(tmp_path: Path) -> None:
    first = Store(tmp_path / "s", SHARED)
    put(first, b"provider/a", Entity("provider", "a"))
    first.close()
    again = Store(tmp_path / "s", SHARED)
    assert again.get(b"provider/a") is not None
    again.close()
    engine_store.destroy(tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_store_restored_from_its_topic_equals_the_one_it_replaces(tmp_path: Path, store: Store) -> None:
    entities = [
        Entity("provider", "a", dirty=TOUCH, depends=["location/1"]),
        Entity("location", "1"),
        Entity("npi", "2"),
    ]
    restored, batch = Store(tmp_path / "restored", SHARED), Batch()
    for entity in entities:
        key = f"{entity.kind}/{entity.id}".encode()
        put(store, key, entity)
        _take(batch, key, core_entity.encode(entity))
    _take(batch, b"provider/gone", core_entity.encode(Entity("provider", "gone", dirty=TOUCH)))
    _take(batch, b"provider/gone", None)
    _take(batch, b"partition/0", b"state")
    restored.apply(batch)
    keys = list(store.entity_keys())
    assert list(restored.entity_keys()) == keys
    assert restored.get_many(keys) == store.get_many(keys)
    assert (restored.dirty(), restored.dependents("location/1")) == (
        store.dirty(),
        store.dependents("location/1"),
    )
    assert restored.state() == b"state"
    restored.close()


GOOD = Checkpoint("topic", 50, 1_000)


@pytest.mark.parametrize(
    ("checkpoint", "low", "end", "now_ms", "expected"),
    [
        (GOOD, 0, 60, 1_100, 50),
        (GOOD, 50, 50, 1_100, 50),
        (None, 0, 60, 1_100, None),
        (Checkpoint("other", 50, 1_000), 0, 60, 1_100, None),
        (GOOD, 0, 49, 1_100, None),
        (GOOD, 51, 60, 1_100, None),
        (GOOD, 0, 60, 1_000 + 501, None),
    ],
    ids=[
        "goes on",
        "at the end",
        "fresh",
        "another topic",
        "past the log's end",
        "compacted away",
        "slept too long",
    ],
)
def test_a_checkpoint_is_trusted_only_where_nothing_can_have_been_missed(
    checkpoint: Checkpoint | None, low: int, end: int, now_ms: int, expected: int | None
) -> None:
    assert trusted_offset(checkpoint, "topic", low, end, now_ms, keep_ms=500) == expected


# ---- what the disk no longer gives back as it was written ----

MANY = 2000


def filled(folder: Path) -> Path:
    """A store with many dirty entities, closed: its files are on disk."""
    made, batch = Store(folder, SHARED), Batch()
    for number in range(MANY):
        batch.put_entity(b"provider/%d" % number, b"value %d " % number * 40, dirty=True)
    batch.put_checkpoint(Checkpoint("topic", 4, 5))
    made.apply(batch)
    made.close()
    return folder


def flip(file: Path, at: int) -> None:
    raw = bytearray(file.read_bytes())
    raw[at : at + 16] = bytes(byte ^ 0xFF for byte in raw[at : at + 16])
    file.write_bytes(raw)


def flip_a_footer(folder: Path) -> None:
    for file in folder.glob("*.sst"):
        flip(file, file.stat().st_size - 40)


def cut_a_table(folder: Path) -> None:
    for file in folder.glob("*.sst"):
        file.write_bytes(file.read_bytes()[:-1000])


def delete(pattern: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.unlink()

    return harm


def empty(pattern: str) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.write_bytes(b"")

    return harm


UNOPENABLE = {
    "a table's footer is another": flip_a_footer,
    "a table is cut off": cut_a_table,
    "its tables are gone": delete("*.sst"),
    "its manifest is gone": delete("MANIFEST*"),
    "its manifest is empty": empty("MANIFEST*"),
    "its pointer is gone": delete("CURRENT"),
    "its pointer is empty": empty("CURRENT"),
}


@pytest.mark.parametrize("harm", UNOPENABLE.values(), ids=UNOPENABLE)
def test_a_store_begins_empty_when(harm: Callable[[Path], None], tmp_path: Path) -> None:
    harm(filled(tmp_path / "store"))
    with structlog.testing.capture_logs() as told:
        opened = Store(tmp_path / "store", SHARED)
    assert [said["event"] for said in told] == ["store.corrupt"]
    assert (opened.checkpoint(), list(opened.entity_keys())) == (None, [])
    put(opened, b"provider/a", Entity("provider", "a"))
    opened.close()


READS: dict[str, Callable[[Store], object]] = {
    "one": lambda store: [store.get(b"provider/%d" % number) for number in range(MANY)],
    "many": lambda store: store.get_many([b"provider/%d" % number for number in range(MANY)]),
    "every key": lambda store: list(store.entity_keys()),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_corrupt_block_is_never_read_as_if_it_were_empty(
    read: Callable[[Store], object], tmp_path: Path
) -> None:
    """RocksDB ends a walk over keys at such a block as it does at the last key."""
    [table] = filled(tmp_path / "store").glob("*.sst")
    flip(table, table.stat().st_size // 2)
    opened = Store(tmp_path / "store", SHARED)
    with pytest.raises(Lost, match="Corruption"):
        read(opened)
    opened.close()
    again = Store(tmp_path / "store", SHARED)
    assert (again.checkpoint(), list(again.entity_keys())) == (None, []), "made anew from the topic"
    again.close()


def test_no_dirty_mark_is_overlooked_behind_a_corrupt_block(tmp_path: Path) -> None:
    [table] = filled(tmp_path / "store").glob("*.sst")
    flip(table, 4000)
    opened = Store(tmp_path / "store", SHARED)
    with pytest.raises(Lost):
        opened.dirty()
    opened.close()


def test_a_store_that_another_process_holds_is_left_alone(tmp_path: Path) -> None:
    held = Store(filled(tmp_path / "store"), SHARED)
    with pytest.raises(Exception, match="LOCK"):
        Store(tmp_path / "store", SHARED)
    assert held.checkpoint() == Checkpoint("topic", 4, 5)
    held.close()
