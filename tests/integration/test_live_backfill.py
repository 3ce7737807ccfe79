"""A newly mapped column, on a real source: the table is said anew, and its values arrive in the entities."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient

from connectors import origin, sources
from connectors.connect import Connect
from connectors.source import Names
from connectors.sources import Source
from schemas.tables import decoders, mapped_tables
from stack.environment import Environment
from streams import topics
from streams.core import canonical
from streams.core.change import Change, Position
from streams.core.decode import Decoder
from streams.core.entity import Entity
from streams.engine.memory import Record
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import backfill
from streams.settings import Settings
from tests.fixtures.databases import Database, NewDatabase
from tests.fixtures.decider import TOPIC, Bench, bench_at
from tests.fixtures.waiting import wait_until

SYSTEM = "credentialing"
PEOPLE = [f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2)]
INSERT = """
insert into provider (provider_id, npi, last_name, caqh_id, status) values (%s, %s, 'Example', %s, 'active')
"""


class Site:
    """A source whose capture leaves `provider.caqh_id` out, and a partition that decides on what it captures."""

    def __init__(self, connect: Connect, stack: Environment, source: Source, database: Database) -> None:
        self.connect, self.kafka, self.source, self.database = connect, stack.kafka, source, database

    def capture_without_the_column(self) -> None:
        wanted = sources.wanted(self.source, 1, origin.identity(self.source.dsn))
        columns = wanted["column.include.list"].split(",")
        columns.remove("public.provider.caqh_id")
        self.connect.create_stopped(self.name, {**wanted, "column.include.list": ",".join(columns)})
        self.connect.resume(self.name)
        wait_until(lambda: sources.snapshot_finished(self.connect, self.name), 60, what="the snapshot")

    @property
    def name(self) -> str:
        return self.source.names.connector

    def run(self, statement: str, *values: Any) -> None:
        with self.database.connect() as connection:
            connection.execute(statement, values)

    def plan(self, table: str = "provider") -> backfill.Backfill:
        return backfill.plan(self.settings, self.connect, self.source, table)

    def backfill(self) -> backfill.Backfill:
        return backfill.apply(self.settings, self.connect, self.source, "provider", "test", lambda text: None)

    @property
    def settings(self) -> Settings:
        return Settings(kafka=self.kafka, partitions=1)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    """What was logged, kept off the terminal."""
    with structlog.testing.capture_logs() as kept:
        yield kept


@pytest.fixture
def site(
    stack: Environment, database: NewDatabase, kafka_admin: AdminClient, topic_prefix: str
) -> Iterator[Site]:
    mine = [t for t in topics.CATALOGUE if t.name.endswith(SYSTEM) or t.name.startswith(SYSTEM)]
    topics.apply(kafka_admin, topics.Layout(partitions=1, prefix=topic_prefix), mine)
    found = database(SYSTEM)
    source = Source(Names(SYSTEM, topic_prefix), found.capture, stack.capture_address)
    with Connect(stack.connect) as connect:
        yield Site(connect, stack, source, found)
        connect.stop(source.names.connector)
        connect.forget_offset(source.names.connector)
        connect.delete(source.names.connector)


@pytest.fixture
def read(site: Site, unique: Callable[[str], str]) -> Iterator[Callable[[int], list[Message]]]:
    """`read(3)`: the next three records."""
    consumer = Consumer(
        {"bootstrap.servers": site.kafka, "group.id": unique("read"), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([site.source.names.topic])

    def take(count: int) -> list[Message]:
        found: list[Message] = []

        def complete() -> bool:
            found.extend(m for m in consumer.consume(count - len(found), 0.1) if m.error() is None)
            return len(found) == count

        wait_until(complete, 60, what=f"{count} records")
        return found

    yield take
    consumer.close()


def before_the_column_was_mapped() -> Decoder:
    tables = mapped_tables(SYSTEM)
    person = next(table for table in tables if table.name == "provider")
    columns = tuple(column for column in person.columns if column.name != "caqh_id")
    return Decoder(
        SYSTEM, [msgspec.structs.replace(person, columns=columns) if t is person else t for t in tables]
    )


def feed(bench: Bench, messages: list[Message]) -> None:
    bench.work(
        [
            Record(TOPIC, 0, m.offset() or 0, m.key(), m.value(), [*(m.headers() or [])], 1_000)
            for m in messages
        ]
    )
    bench.settle()


def caqh(bench: Bench, person: str) -> Any:
    entity: Entity = bench.entity(f"provider/{person}".encode())
    held = entity.claims[SYSTEM]["provider"][person].image("provider")
    assert isinstance(held, canonical.Provider)
    return held.caqh_id


def test_a_newly_mapped_column_is_backfilled_and_its_values_arrive_in_the_entities(
    site: Site, read: Callable[[int], list[Message]], tmp_path: Path, logs: list[Any]
) -> None:
    for n, person in enumerate(PEOPLE):
        site.run(INSERT, person, None, f"1234567{n}")
    site.capture_without_the_column()
    bench = bench_at(tmp_path, decoders={SYSTEM: before_the_column_was_mapped()})
    feed(bench, read(2))
    bench.snapshot_complete()
    bench.settle()
    assert [caqh(bench, person) for person in PEOPLE] == [None, None]

    with pytest.raises(EnvironmentFault) as caught:
        site.plan()
    assert caught.value.code == "backfill.not_captured", "the rows would come without the column"
    assert "sources apply" in caught.value.next_step
    sources.apply(site.connect, site.kafka, [site.source])
    bench.restart(decoders=decoders([SYSTEM]), rules="2")
    bench.settle()
    assert site.plan().columns == tuple(mapped_tables_columns())

    done = site.backfill()
    assert (done.applied, done.said, done.by) == (True, 2, "test")
    [audited] = [entry for entry in logs if entry["event"] == "sources.backfill"]
    assert (audited["table"], audited["by"]) == ("public.provider", "test")
    again = read(2)
    assert {json.loads(m.value() or b"")["source"]["snapshot"] for m in again} == {"incremental"}
    feed(bench, again)
    assert [caqh(bench, person) for person in PEOPLE] == ["12345670", "12345671"]


def mapped_tables_columns() -> list[str]:
    person = next(table for table in mapped_tables(SYSTEM) if table.name == "provider")
    return list(dict.fromkeys([person.entity, person.row, *(column.name for column in person.columns)]))


def test_a_row_that_was_read_never_undoes_a_change_streamed_after_it(
    site: Site, read: Callable[[int], list[Message]], tmp_path: Path
) -> None:
    """Invariant 1: whichever arrives first, the change of a later commit wins; read twice, the second reading does."""
    site.run(INSERT, PEOPLE[0], None, "1")
    sources.apply(site.connect, site.kafka, [site.source])
    wait_until(lambda: sources.snapshot_finished(site.connect, site.name), 60, what="the snapshot")
    read(1)
    for _ in range(2):
        site.backfill()
    site.run("update provider set caqh_id = '2'")
    first, second, changed = read(3)
    bench = bench_at(tmp_path)
    feed(bench, [changed, second, first])
    assert caqh(bench, PEOPLE[0]) == "2"
    one, two, three = (position(message) for message in (first, second, changed))
    assert one < two < three
    assert (one[2], two[2]) == (0, 0)


def position(message: Message) -> Position:
    said = decoders([SYSTEM])[SYSTEM].decode(message.key(), message.value(), message.headers() or [])
    assert isinstance(said, Change)
    return said.position


def test_an_unknown_table_is_answered_with_the_nearest(site: Site) -> None:
    sources.apply(site.connect, site.kafka, [site.source])
    with pytest.raises(InvalidInput) as caught:
        site.plan("provder")
    assert caught.value.next_step == "did you mean 'provider'?"
