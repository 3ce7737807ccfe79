"""The engine on a real Kafka: fencing, one transaction for state and output, restore, references.

Each test has topics of its own; the decide handler, the store and the producer are the real ones.
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from connectors.envelope import Source
from stack.environment import Environment
from streams.agents.decide import Decide
from streams.core import entity as core_entity
from streams.core.canonical import Location
from streams.core.entity import Entity
from streams.engine.memory import MemoryPartition, MemoryReferences, Record
from streams.engine.partition import Partition
from streams.engine.producer import Fenced, Output, Refused, TransactionalProducer, config
from streams.engine.references import References, done_key
from streams.engine.restore import STRETCH, Restored, Restorer
from streams.engine.store import Batch, Checkpoint, Shared, Store, destroy
from streams.engine.topic import topic_id
from streams.engine.worker import EXIT_FENCED, Partitions, Places
from streams.operate.sandbox import context
from tests.fixtures.decider import Chunk
from tests.fixtures.faust_apps import until
from tests.world import belongings, golden_of, row

SHARED = Shared(1024 * 1024, 1024 * 1024)
TOPIC, PARTITION = "cdc.credentialing", 0
KEEP_MS = 3_600_000
TOO_LARGE = b"x" * (17 * 1024 * 1024)
MakeTopic = Callable[..., str]


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as kept:
        yield kept
    gc.collect()  # clients that a test dropped must not look for a broker that has stopped


@dataclass
class Site:
    """One test's topics, folder and names."""

    bootstrap: str
    entity: str
    prefix: str
    folder: Path

    @property
    def transactional_id(self) -> str:
        return f"{self.prefix}concord-0"

    @property
    def topic_id(self) -> str:
        return topic_id(self.bootstrap, self.entity)

    def producer(self) -> TransactionalProducer:
        return TransactionalProducer(self.bootstrap, self.transactional_id)

    def ready(self) -> TransactionalProducer:
        made = self.producer()
        made.init()
        return made

    def output(self, name: str, value: bytes | None = b"v", topic: str = "") -> Output:
        return Output(topic or self.entity, name.encode(), value, [], 0)

    def store(self, name: str) -> Store:
        return Store(self.folder / name, SHARED)

    def handler(self) -> Decide:
        shared = context(MemoryReferences())
        return Decide(0, replace(shared, prefix=self.prefix))

    def restore(
        self, store: Store, path: str, topic_id: str | None = None, stretch: int = STRETCH
    ) -> tuple[Store, Restored]:
        def empty() -> Store:
            store.close()
            destroy(self.folder / path)
            return self.store(path)

        restorer = Restorer(self.bootstrap, self.entity, topic_id or self.topic_id, 0, KEEP_MS, stretch)
        return restorer.run(store, empty)

    def committed(self, topic: str = "") -> list[tuple[bytes, bytes | None]]:
        """(key, value) of everything a reader of committed records sees, to the end."""
        return read(self.bootstrap, topic or self.entity, "read_committed")


def read(bootstrap: str, topic: str, isolation: str) -> list[tuple[bytes, bytes | None]]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "isolation.level": isolation,
            "enable.partition.eof": True,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    found: list[tuple[bytes, bytes | None]] = []
    try:
        while True:
            message = consumer.poll(30)
            assert message is not None, f"{topic}: no end within 30 s"
            if message.error():
                return found
            found.append((message.key() or b"", message.value()))
    finally:
        consumer.close()


@pytest.fixture
def site(stack: Environment, topic: MakeTopic, topic_prefix: str, tmp_path: Path) -> Site:
    for name in ("quarantine", "finding", "reference", "claims.npi", TOPIC):
        topic(name, 1)
    for sink in ("directory", "enrollment", "billing"):
        topic(f"sink.{sink}.provider", 1)
    entity = topic("entity", 1, {"cleanup.policy": "compact", "min.compaction.lag.ms": str(KEEP_MS)})
    return Site(stack.kafka, entity, topic_prefix, tmp_path)


# ---- fencing ----


def test_a_predecessor_that_was_only_asleep_can_write_nothing_more(site: Site) -> None:
    """The paused worker that wakes after its successor took over (Invariants 2, 7)."""
    asleep = site.ready()
    asleep.write([site.output("first")])
    successor = site.ready()
    with pytest.raises(Fenced):
        asleep.write([site.output("stale")])
    successor.write([site.output("second")])
    with pytest.raises(Fenced):
        asleep.write([site.output("stale again")])
    assert [key for key, _ in site.committed()] == [b"first", b"second"]
    for producer in (asleep, successor):
        producer.close()


class Sleeper(TransactionalProducer):
    """Falls asleep between its last record and its commit, and wakes when `meanwhile` has happened."""

    meanwhile: Callable[[], None] = staticmethod(lambda: None)

    def _commit(self) -> None:
        self._producer.flush(30)
        self.meanwhile()
        super()._commit()


def test_a_transaction_in_flight_when_the_successor_begins_is_never_seen(site: Site) -> None:
    asleep = Sleeper(site.bootstrap, site.transactional_id)
    asleep.init()
    successor = site.producer()
    asleep.meanwhile = successor.init
    with pytest.raises(Fenced):
        asleep.write([site.output("stale"), site.output("partition/0", b"state")])
    successor.write([site.output("fresh")])
    assert [key for key, _ in site.committed()] == [b"fresh"]
    assert [key for key, _ in read(site.bootstrap, site.entity, "read_uncommitted")] == [
        b"stale",
        b"partition/0",
        b"fresh",
    ], "it stands in the log, and no reader of committed records is shown it"
    for producer in (asleep, successor):
        producer.close()


def test_a_partition_that_was_fenced_dies_without_having_worked_its_chunk(site: Site) -> None:
    async def story() -> tuple[bool, list[str], bytes | None]:
        deaths: list[str] = []

        async def die(cause: Exception) -> None:
            deaths.append(str(cause))

        partition = Partition(0, site.store("asleep"), site.ready(), site.handler(), site.topic_id, die)
        partition.start()
        successor = site.ready()
        worked = await partition.work(chunk(site))
        state = partition.store.state()
        await partition.close()
        successor.close()
        return worked, deaths, state

    worked, deaths, state = asyncio.run(story())
    assert not worked, "the chunk is not acknowledged: the successor has it"
    assert len(deaths) == 1
    assert state is None
    assert site.committed() == []


def test_a_fenced_process_leaves_with_the_code_its_supervisor_knows() -> None:
    program = "import asyncio; from streams.engine.worker import Fenced, die; asyncio.run(die(Fenced()))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
    assert ended.returncode == EXIT_FENCED


def records(site: Site, source: Source, *changes: Any) -> list[Record]:
    return [
        Record(site.prefix + TOPIC, 0, n, key, value, [*headers])
        for n, (key, value, headers) in enumerate(source.transaction(changes))
    ]


def chunk(site: Site) -> Chunk:
    return Chunk(
        records(site, Source("credentialing"), row("provider", provider_id="provider-0"), *belongings())
    )


# ---- one transaction ----


def test_state_and_output_are_there_together_or_not_at_all(site: Site) -> None:
    """Invariant 2: the last output can't be written, so none of the others is, on any topic."""
    producer, sink = site.ready(), f"{site.prefix}sink.directory.provider"
    unit = [site.output("view", topic=sink), site.output("provider/a"), site.output("partition/0", b"state")]
    with pytest.raises(Refused):
        producer.write([*unit, site.output("too large", TOO_LARGE)])
    assert (site.committed(), site.committed(sink)) == ([], [])
    last = producer.write(unit)
    assert site.committed() == [(b"provider/a", b"v"), (b"partition/0", b"state")]
    assert site.committed(sink) == [(b"view", b"v")]
    assert last is not None
    producer.close()


def test_a_refused_unit_is_worked_again_by_its_partition_and_counted_once(site: Site) -> None:
    class Flaky(TransactionalProducer):
        refusals = 2

        def write(self, outputs: Any) -> int | None:
            if self.refusals:
                self.refusals -= 1
                return super().write([*outputs, site.output("too large", TOO_LARGE)])
            return super().write(outputs)

    async def story() -> tuple[int, Entity]:
        async def die(cause: Exception) -> None:
            raise AssertionError(cause)

        producer = Flaky(site.bootstrap, site.transactional_id)
        producer.init()
        partition = Partition(0, site.store("s"), producer, site.handler(), site.topic_id, die)
        partition.start()
        assert await partition.work(chunk(site))
        handler = partition.handler
        assert isinstance(handler, Decide)
        await until(lambda: handler.state.decided == 1)
        await until(lambda: not partition.store.dirty())
        consumed = handler.state.consumed[site.prefix + TOPIC]
        found = core_entity.decode(partition.store.get(b"provider/provider-0") or b"")
        await partition.close()
        return consumed, found

    consumed, found = asyncio.run(story())
    assert consumed == 6
    newest = dict(site.committed())[b"provider/provider-0"]
    assert newest == core_entity.encode(found)


# ---- restore ----


def work(site: Site, store: Store, producer: TransactionalProducer, transactions: range) -> MemoryPartition:
    """Decide some transactions of one source, each unit a Kafka transaction."""
    partition = MemoryPartition(store, site.handler(), producer, site.topic_id)
    source, now = Source("credentialing", prior=1_000 * (transactions.start + 1)), 0.0
    for number in transactions:
        ids = {"provider_id": f"provider-{number % 7}"}
        rows = [
            row("provider", degree=f"D{number}", **ids),
            row("provider_location", id=f"l{number % 7}", **ids),
        ]
        partition.work(records(site, source, *rows), now)
        now += 25
        if number % 3:
            partition.work([], now)
    return partition


def contents(store: Store) -> Any:
    keys = list(store.entity_keys())
    return keys, store.get_many(keys), store.dirty(), store.state(), store.dependents("location/location-0")


def test_a_restored_store_equals_the_one_it_replaces(site: Site) -> None:
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(40))
    assert store.dirty(), "what was still to be decided must come back too"
    restored, told = site.restore(site.store("second"), "second")
    assert contents(restored) == contents(store)
    assert told.from_offset == 0
    assert restored.checkpoint() is not None
    for held in (store, restored, producer):
        held.close()


@pytest.mark.parametrize("stretch", [20, 50])
def test_of_a_key_the_newest_record_counts_in_whichever_stretch_it_stands(site: Site, stretch: int) -> None:
    """Read backwards, an older record never comes over a newer one, nor one that was deleted since."""
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(20))
    with pytest.raises(Refused):
        producer.write([site.output("provider/never"), site.output("too large", TOO_LARGE)])
    behind, first = site.restore(site.store("second"), "second", stretch=stretch)
    work(site, store, producer, range(20, 30))
    value, gone = core_entity.encode(Entity("provider", "gone")), site.output("provider/gone", None)
    producer.write([site.output("provider/gone", value), gone])
    restored, second = site.restore(behind, "second", stretch=stretch)
    assert contents(restored) == contents(store)
    assert [second.end] == ends(site)
    assert first.records + second.records == len(site.committed())
    for held in (store, restored, producer):
        held.close()


def test_a_restore_goes_on_from_its_checkpoint(site: Site) -> None:
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(20))
    behind, first = site.restore(site.store("second"), "second")
    work(site, store, producer, range(20, 40))
    restored, second = site.restore(behind, "second")
    assert restored is behind
    assert contents(restored) == contents(store)
    assert second.from_offset == first.end
    assert 0 < second.records < first.records + second.records
    again, third = site.restore(restored, "second")
    assert (again, third.records) == (restored, 0)
    for held in (store, restored, producer):
        held.close()


def test_the_stores_own_checkpoint_needs_nothing_restored_but_markers(site: Site) -> None:
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(10))
    before = contents(store)
    same, told = site.restore(store, "first")
    assert (same, told.records) == (store, 0)
    assert contents(store) == before
    for held in (store, producer):
        held.close()


@pytest.mark.parametrize("why", ["another topic of the same name", "past the log's end", "slept too long"])
def test_a_checkpoint_that_cannot_be_trusted_has_the_store_built_anew(site: Site, why: str) -> None:
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(10))
    wrong, batch = site.store("second"), Batch()
    batch.put_entity(b"provider/of-another-life", core_entity.encode(Entity("provider", "x")), dirty=True)
    batch.put_checkpoint(
        {
            "another topic of the same name": Checkpoint("another", 3, 2**42),
            "past the log's end": Checkpoint(site.topic_id, 10**9, 2**42),
            "slept too long": Checkpoint(site.topic_id, 3, 0),
        }[why]
    )
    wrong.apply(batch)
    restored, told = site.restore(wrong, "second")
    assert contents(restored) == contents(store)
    assert told.from_offset == 0
    for held in (store, restored, producer):
        held.close()


def test_a_restore_ends_behind_markers_and_aborted_transactions(site: Site) -> None:
    """Transaction markers take offsets no record shows: the end is where the consumer's position says."""
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(5))
    for _ in range(3):
        with pytest.raises(Refused):
            producer.write([site.output("provider/never"), site.output("too large", TOO_LARGE)])
    restored, told = site.restore(site.store("second"), "second")
    assert contents(restored) == contents(store)
    [end] = ends(site)
    assert told.end == end
    for held in (store, restored, producer):
        held.close()


def test_a_restore_ends_before_a_transaction_that_stands_open(site: Site) -> None:
    """Nobody who was fenced has one; a stranger's must not hang the start."""
    producer, store = site.ready(), site.store("first")
    work(site, store, producer, range(5))
    stranger = Producer(config(site.bootstrap, f"{site.prefix}stranger"))
    stranger.init_transactions(30)
    stranger.begin_transaction()
    stranger.produce(site.entity, b"v", b"provider/open", partition=0)
    stranger.flush(30)
    restored, _ = site.restore(site.store("second"), "second", stretch=3)
    assert contents(restored) == contents(store)
    stranger.abort_transaction(30)
    for held in (store, restored, producer):
        held.close()


def test_an_empty_topic_restores_an_empty_store(site: Site) -> None:
    restored, told = site.restore(site.store("s"), "s")
    assert (told.records, list(restored.entity_keys()), restored.state()) == (0, [], None)
    restored.close()


def test_a_deleted_entity_stays_deleted(site: Site) -> None:
    producer = site.ready()
    entity = core_entity.encode(Entity("provider", "a"))
    producer.write([site.output("provider/a", entity), site.output("provider/b", entity)])
    producer.write([site.output("provider/a", None)])
    restored, _ = site.restore(site.store("s"), "s")
    assert list(restored.entity_keys()) == [b"provider/b"]
    for held in (restored, producer):
        held.close()


def ends(site: Site) -> list[int]:
    consumer = Consumer({"bootstrap.servers": site.bootstrap, "group.id": "ends"})
    try:
        return [consumer.get_watermark_offsets(TopicPartition(site.entity, 0), timeout=30)[1]]
    finally:
        consumer.close()


# ---- a worker's partitions ----


def test_an_opening_that_failed_leaves_nothing_that_keeps_the_next_from_succeeding(
    site: Site, topic: MakeTopic, kafka_admin: AdminClient
) -> None:
    """Partition 1 of the entity topic is not there yet: the store that was opened for it must not stay locked."""

    async def story() -> list[int]:
        references = MemoryReferences(2)
        places = Places(site.bootstrap, site.entity, site.folder, f"{site.prefix}concord")
        partitions = Partitions(places, references, lambda number: site.handler())
        with pytest.raises(Exception, match=r"."):
            await asyncio.to_thread(partitions._build, 1)
        for future in kafka_admin.create_partitions([NewPartitions(site.entity, 2)]).values():
            future.result()
        await partitions.assigned(frozenset({0, 1}))
        await until(lambda: partitions.ready(0) and partitions.ready(1))
        opened = sorted(partitions.open)
        await partitions.revoked(frozenset({0, 1}))
        assert not partitions.ready(0)
        return opened

    assert asyncio.run(story()) == [0, 1]


def test_a_partition_taken_away_and_given_back_opens_again(site: Site) -> None:
    async def story() -> int:
        places = Places(site.bootstrap, site.entity, site.folder, f"{site.prefix}concord")
        partitions = Partitions(places, MemoryReferences(1), lambda number: site.handler())
        for _ in range(3):
            await partitions.assigned(frozenset({0}))
            await partitions.revoked(frozenset({0}))  # perhaps while it is being opened
        await partitions.assigned(frozenset({0}))
        await until(lambda: partitions.ready(0))
        partition = partitions.get(0)
        assert partition is not None
        assert await partition.work(chunk(site))
        await partitions.revoked(frozenset({0}))
        return len(site.committed())

    assert asyncio.run(story()) >= 2


# ---- references ----


def golden_bytes(name: str) -> bytes:
    return core_entity.encode_golden(golden_of("location", name, {"location": {name: {"name": name}}}))


def follow(site: Site, story: Callable[[References], Any], partitions: int = 1) -> Any:
    async def play() -> Any:
        references = References(site.bootstrap, f"{site.prefix}reference", partitions)
        references.start()
        try:
            await asyncio.wait_for(references.ready.wait(), 60)
            return await story(references)
        finally:
            await asyncio.to_thread(references.stop)

    return asyncio.run(play())


def test_references_are_ready_on_an_empty_topic(site: Site) -> None:
    async def story(references: References) -> int:
        return len(references)

    assert follow(site, story) == 0


def test_references_are_read_to_their_end_before_they_are_ready(site: Site) -> None:
    topic = f"{site.prefix}reference"
    producer = site.ready()
    marker = done_key("credentialing", 1, 0)
    producer.write([site.output(f"location/{n % 50}", golden_bytes(str(n)), topic) for n in range(300)])
    producer.write([site.output(marker, b"", topic), site.output("location/0", None, topic)])
    with pytest.raises(Refused):
        producer.write(
            [site.output("location/never", golden_bytes("x"), topic), site.output("big", TOO_LARGE, topic)]
        )

    async def story(references: References) -> None:
        assert len(references) == 49
        assert references.get("location", "0") is None
        assert references.get("location", "never") is None, "only what was committed"
        newest = references.get("location", "1")
        assert newest is not None
        assert newest.one(Location) == Location(name="251")
        assert references.all_done("credentialing", 1)
        assert not references.all_done("credentialing", 2)
        sequence, changed = references.since(0)
        assert len(changed) == 50
        assert references.since(sequence) == (sequence, [])
        heard: list[int] = []
        references.listen(lambda: heard.append(1))
        await asyncio.to_thread(producer.write, [site.output("location/1", golden_bytes("new"), topic)])
        await until(lambda: bool(heard) and bool(references.since(sequence)[1]))
        [(name, partition, _)] = references.since(sequence)[1]
        assert (name, partition) == ("location/1", 0)

    follow(site, story)
    producer.close()
