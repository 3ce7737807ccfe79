"""A table read beside the stream, on a real source: what is written after it is read right, or not at all.

Debezium takes such rows for ones with every column of the table, by position, until it starts anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from connectors import backfill, misread, sources
from connectors.connect import Connect
from connectors.source import Names
from connectors.sources import Source
from schemas.catalog import load_mapping
from stack.environment import Environment
from streams import topics
from streams.errors import EnvironmentFault
from streams.systems import SYSTEMS
from tests.fixtures.databases import Database, NewDatabase
from tests.fixtures.waiting import wait_until

SYSTEM, TABLE = "enrollment", "roster_row"
"""Its last column may hold an SSN, and isn't published."""
INSERT = """
with p as (insert into payer (name, payer_code) values ('Example Mutual', 'EX') returning payer_id),
     s as (insert into roster_submission (payer_id, mapping_version, mode, format)
           select payer_id, 1, 'full', '834' from p returning submission_id),
     e as (insert into enr_provider (prov_last) values ('Example') returning enr_provider_id)
insert into roster_row (submission_id, row_no, enr_provider_id, action, row_state)
select submission_id, 1, enr_provider_id, 'add', 'new' from s, e
"""
COLUMNS = "roster_row_id, enr_provider_id, submission_id, row_no, enrollment_id, action, row_state"


@dataclass(frozen=True)
class Captured:
    source: Source
    database: Database
    connect: Connect
    consumer: Consumer

    def run(self, statement: str, *values: Any) -> None:
        with closing(self.database.connect()) as connection:
            connection.execute(statement, values or None)

    def writes(self, value: str) -> Any:
        """What the table's next record says after this was written."""
        self.run("update roster_row set row_state = %s", value)
        return self.next()["after"]["row_state"]

    def next(self) -> Any:
        """The table's next record."""

        def found() -> Any:
            message = self.consumer.poll(2.0)
            said = json.loads(message.value() or b"{}") if message and message.error() is None else {}
            return said if said.get("source", {}).get("table") == TABLE else None

        return wait_until(found, 60, self.runs, f"a record of {TABLE}")

    def runs(self) -> bool:
        [found] = sources.status(self.connect, [self.source])
        return all(task.state != "FAILED" for task in found.tasks)


@pytest.fixture
def captured(
    stack: Environment,
    database: NewDatabase,
    kafka_admin: AdminClient,
    topic_prefix: str,
) -> Iterator[Captured]:
    mine = [t for t in topics.CATALOGUE if t.name.endswith(SYSTEM) or t.name.startswith(SYSTEM)]
    topics.apply(kafka_admin, topics.Layout(partitions=1, prefix=topic_prefix), mine)
    found = database(SYSTEM)
    source = Source(Names(SYSTEM, topic_prefix), found.capture, stack.capture_address)
    reader = {"bootstrap.servers": stack.kafka, "group.id": topic_prefix, "auto.offset.reset": "earliest"}
    with Connect(stack.connect) as connect, closing(Consumer(reader)) as consumer:
        consumer.subscribe([source.names.topic])
        captured = Captured(source, found, connect, consumer)
        captured.run(INSERT)
        sources.apply(connect, stack.kafka, [source])
        name = source.names.connector
        wait_until(lambda: sources.snapshot_finished(connect, name), 60, what="the snapshot")
        yield captured
        connect.stop(name)
        connect.forget_offset(name)
        connect.delete(name)
    kafka_admin.delete_topics([f"__debezium-heartbeat.{name}"], operation_timeout=30)


def test_what_is_written_after_a_reading_is_read_by_its_own_columns(captured: Captured) -> None:
    assert captured.next()["op"] == "r"
    assert captured.writes("before") == "before"  # from here on Debezium knows what is published
    backfill.signal_reading(captured.source, "reading-1", {f"public.{TABLE}": ""})
    assert captured.next()["source"]["snapshot"] == "incremental"
    assert captured.writes("after") == "after"


def test_a_table_of_which_what_follows_would_be_misread_in_silence_is_not_read(captured: Captured) -> None:
    """A column that was given back stands behind the one that isn't published."""
    captured.run(
        f"alter publication concord drop table {TABLE}; alter table {TABLE} drop column row_state;"
        f" alter table {TABLE} add column row_state text; alter publication concord add table {TABLE} ({COLUMNS})"
    )
    with pytest.raises(EnvironmentFault) as caught:
        backfill.signal_reading(captured.source, "reading-1", {f"public.{TABLE}": ""})
    assert (caught.value.code, f"public.{TABLE}" in caught.value.message) == ("backfill.misread", True)
    assert "--resnapshot" in caught.value.next_step
    with closing(captured.database.connect()) as connection:
        assert connection.execute("select count(*) from concord_signal").fetchone() == (0,)


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_table_of_the_reference_systems_may_be_read(system: str, database: NewDatabase) -> None:
    found = database(system)
    tables = [table.qualified for table in load_mapping(system).tables.values()]
    source = Source(Names(system), found.capture, found.capture)
    seen = misread.look(source, tables)
    assert seen.keys() == set(tables)
    assert [name for name, places in seen.items() if misread.is_silent(places)] == []
