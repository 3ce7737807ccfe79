"""`concord sources` on real services: rows arrive as the platform expects them, and epochs rise on command only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from confluent_kafka import Consumer
from confluent_kafka.admin import AdminClient

from connectors import lenient, origin, sources
from connectors.connect import Connect
from connectors.source import IDENTITY, Names
from connectors.sources import Source
from stack.environment import Environment
from streams import topics
from streams.errors import EnvironmentFault, Unavailable
from streams.systems import SYSTEMS
from tests.fixtures.databases import Database, NewDatabase
from tests.fixtures.waiting import wait_until

PERSON = "00000000-0000-4000-8000-0000000000aa"
INSERT = "insert into provider (provider_id, npi, last_name, status) values (%s, '1234567893', 'Example', 'active')"


@dataclass(frozen=True)
class Capture:
    """One system's database with the topics and the connector of a test."""

    connect: Connect
    kafka: str
    source: Source
    database: Database

    @property
    def name(self) -> str:
        return self.source.names.connector

    def apply(self, **how: Any) -> sources.Plan:
        [plan] = sources.apply(self.connect, self.kafka, [self.source], **how)
        return plan

    def plan(self) -> sources.Plan:
        [plan] = sources.plan(self.connect, self.kafka, [self.source])
        return plan

    def status(self) -> sources.Status:
        [status] = sources.status(self.connect, [self.source])
        return status

    def run(self, statement: str, *values: Any) -> None:
        with self.database.connect() as connection:
            connection.execute(statement, values)

    def wait_for_snapshot(self) -> None:
        wait_until(lambda: sources.snapshot_finished(self.connect, self.name), 60, what="the snapshot")


@pytest.fixture
def capture(
    stack: Environment, database: NewDatabase, kafka_admin: AdminClient, topic_prefix: str
) -> Iterator[Capture]:
    system = "credentialing"
    layout = topics.Layout(partitions=2, prefix=topic_prefix)
    mine = [
        topic for topic in topics.CATALOGUE if topic.name.endswith(system) or topic.name.startswith(system)
    ]
    topics.apply(kafka_admin, layout, mine)
    found = database(system)
    source = Source(Names(system, topic_prefix), found.capture, stack.capture_address)
    with Connect(stack.connect) as connect:
        yield Capture(connect, stack.kafka, source, found)
        _remove(connect, source.names.connector)


def _remove(connect: Connect, name: str) -> None:
    if connect.config(name) is not None:
        connect.stop(name)
        connect.forget_offset(name)
        connect.delete(name)


@pytest.fixture
def read(capture: Capture, unique: Callable[[str], str]) -> Iterator[Callable[[int], list[Any]]]:
    """`read(3)`: the next three records of the data topic."""
    consumer = Consumer(
        {"bootstrap.servers": capture.kafka, "group.id": unique("read"), "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([capture.source.names.topic])

    def take(count: int) -> list[Any]:
        found: list[Any] = []

        def complete() -> bool:
            found.extend(consumer.consume(count - len(found), 0.1))
            return len(found) == count

        wait_until(complete, 60, what=f"{count} records")
        return found

    yield take
    consumer.close()


def test_rows_arrive_in_one_topic_keyed_by_their_entity(
    capture: Capture, read: Callable[[int], list[Any]]
) -> None:
    capture.run(INSERT, PERSON)
    assert capture.apply().action == "create"
    capture.run(
        "insert into license (provider_id, state, license_type, number) values (%s, 'IL', 'MD', '1')", PERSON
    )
    records = read(2)
    assert {record.key().decode() for record in records} == {PERSON}
    assert {dict(record.headers())["concord-epoch"] for record in records} == {b"1"}
    tables = [json.loads(record.value())["source"]["table"] for record in records]
    assert tables == ["provider", "license"]


def test_a_table_whose_name_begins_like_another_goes_to_the_same_topic(
    capture: Capture, read: Callable[[int], list[Any]]
) -> None:
    capture.apply()
    capture.run(INSERT, PERSON)
    history = "insert into provider_name_history (provider_id, last_name) values (%s, 'Former')"
    capture.run(history, PERSON)
    assert len(read(2)) == 2


def test_a_signal_makes_a_re_read_and_does_not_halt_capture(
    capture: Capture, read: Callable[[int], list[Any]]
) -> None:
    capture.run(INSERT, PERSON)
    capture.apply()
    capture.wait_for_snapshot()
    read(1)
    wanted = {"data-collections": ["public.provider"], "type": "incremental"}
    signal = "insert into concord_signal (id, type, data) values ('1', 'execute-snapshot', %s)"
    with psycopg.connect(
        capture.source.dsn, autocommit=True
    ) as connection:  # by the capture role's own right
        connection.execute(signal, [json.dumps(wanted)])
    assert json.loads(read(1)[0].value())["source"]["snapshot"] == "incremental"
    capture.run("update provider set degree = 'MD'")
    assert json.loads(read(1)[0].value())["op"] == "u"


def test_applying_twice_changes_nothing(capture: Capture) -> None:
    capture.apply()
    assert capture.plan().action == "none"
    assert capture.apply().action == "none"


def test_a_setting_changed_by_hand_is_shown_and_set_back(capture: Capture) -> None:
    capture.apply()
    config = capture.connect.config(capture.name)
    assert config is not None
    capture.connect.update(capture.name, {**config, "poll.interval.ms": "500"})
    assert capture.plan().settings == {"poll.interval.ms": ("500", "10")}
    assert capture.apply().action == "update"
    assert capture.plan().action == "none"


def test_what_the_guard_has_set_for_now_is_shown_and_left_and_a_new_snapshot_ends_it(
    capture: Capture,
) -> None:
    capture.apply()
    capture.wait_for_snapshot()
    lenient.begin(capture.connect, capture.name, 3_000, 4_000)
    for_now = {lenient.FAILURES: "warn", lenient.FROM: "3000", lenient.UNTIL: "4000"}
    assert (capture.plan().action, capture.plan().for_now) == ("none", for_now)
    config = capture.connect.config(capture.name)
    assert config is not None
    capture.connect.update(capture.name, {**config, "poll.interval.ms": "500"})
    assert capture.apply().settings == {"poll.interval.ms": ("500", "10")}
    assert capture.plan().for_now == for_now
    capture.apply(resnapshot=True)
    assert (capture.plan().action, capture.plan().for_now) == ("none", {})


def test_status_tells_snapshot_position_and_slot(capture: Capture) -> None:
    assert capture.status().state == "MISSING"
    capture.run(INSERT, PERSON)
    capture.apply()
    capture.wait_for_snapshot()
    status = capture.status()
    assert (status.state, [task.state for task in status.tasks]) == ("RUNNING", ["RUNNING"])
    assert status.epoch == 1
    assert status.lsn
    assert status.identity == origin.identity(capture.source.dsn)
    assert status.slot is not None
    assert status.slot.active


def test_an_empty_database_finishes_its_snapshot_too(capture: Capture) -> None:
    capture.apply()
    capture.wait_for_snapshot()
    assert sources.snapshot(capture.connect, capture.name) == sources.Snapshot(1, finished=True)


def test_a_new_snapshot_is_a_command_and_raises_the_epoch(
    capture: Capture, read: Callable[[int], list[Any]]
) -> None:
    capture.run(INSERT, PERSON)
    capture.apply()
    capture.wait_for_snapshot()
    assert capture.apply(resnapshot=True).epoch == 2
    capture.wait_for_snapshot()
    first, second = read(2)
    assert [dict(r.headers())["concord-epoch"] for r in (first, second)] == [b"1", b"2"]
    assert json.loads(second.value())["op"] == "r"
    assert capture.plan().action == "none"


def test_another_server_pauses_capture_until_a_new_snapshot(capture: Capture) -> None:
    capture.apply()
    capture.wait_for_snapshot()
    config = capture.connect.config(capture.name)
    assert config is not None
    capture.connect.update(capture.name, {**config, IDENTITY: "1/1"})
    assert capture.plan().action == "resnapshot"
    with pytest.raises(EnvironmentFault) as caught:
        capture.apply()
    assert caught.value.code == "source.resnapshot_needed"
    wait_until(lambda: capture.status().state == "PAUSED", what="the pause")
    assert capture.apply(resnapshot=True).epoch == 2
    assert capture.status().state == "RUNNING"
    assert capture.plan().action == "none"


def test_a_slot_that_is_gone_is_no_silent_gap(capture: Capture) -> None:
    capture.run(INSERT, PERSON)
    capture.apply()
    capture.wait_for_snapshot()
    capture.connect.stop(capture.name)
    origin.wait_released(capture.source.dsn)
    origin.drop_slot(capture.source.dsn, capture.source.names.slot_name)
    [reason] = capture.plan().reasons
    assert "is gone" in reason
    with pytest.raises(EnvironmentFault):
        capture.apply()


def test_a_connector_made_anew_never_repeats_an_epoch(
    capture: Capture, read: Callable[[int], list[Any]]
) -> None:
    capture.run(INSERT, PERSON)
    capture.apply()
    capture.wait_for_snapshot()
    read(1)
    capture.connect.delete(capture.name)
    assert capture.apply().epoch == 2


def test_every_system_passes_debeziums_own_validation(
    stack: Environment, database: NewDatabase, topic_prefix: str
) -> None:
    with Connect(stack.connect) as connect:
        for system in SYSTEMS:
            source = Source(Names(system, topic_prefix), database(system).capture, stack.capture_address)
            config = sources.wanted(source, 1, origin.identity(source.dsn))
            assert connect.faults(config) == []


def test_debezium_itself_finds_a_wrong_role(stack: Environment, database: NewDatabase) -> None:
    source = Source(Names("billing"), database("billing").capture, stack.capture_address)
    with Connect(stack.connect) as connect:
        assert connect.faults({**sources.wanted(source, 1, ""), "database.user": "nobody"})


def test_a_transaction_left_open_is_named_before_a_new_snapshot_stops_anything(capture: Capture) -> None:
    capture.apply()
    capture.wait_for_snapshot()
    with psycopg.connect(capture.database.dsn, application_name="night batch") as writer:
        writer.execute(INSERT, [PERSON])
        with pytest.raises(Unavailable) as caught:
            capture.apply(resnapshot=True)
        said = caught.value
        assert said.code == "source.blocked"
        assert f"pid {writer.info.backend_pid}" in said.message
        assert "night batch" in said.message
        assert capture.status().state == "RUNNING", "nothing was stopped for it"
        writer.commit()
    assert capture.apply(resnapshot=True).epoch == 2
    capture.wait_for_snapshot()


def test_another_sources_snapshot_on_the_same_server_is_waited_for_however_long_it_takes(
    capture: Capture, stack: Environment
) -> None:
    class Counted(Connect):
        resumed = 0

        def resume(self, name: str) -> None:
            self.resumed += 1
            super().resume(name)

    with (
        ThreadPoolExecutor(1) as thread,
        Counted(stack.connect, deadline=5.0) as impatient,
        psycopg.connect(
            capture.database.dsn, application_name=origin.SNAPSHOT
        ) as snapshot,  # ends first, so that all ends
    ):
        snapshot.execute("select pg_current_xact_id()")
        said: list[str] = []
        applied = thread.submit(sources.apply, impatient, capture.kafka, [capture.source], say=said.append)
        wait_until(lambda: impatient.resumed > 1 or applied.done(), 60, what="to have waited more than once")
        assert not applied.done()
        snapshot.commit()
        assert [plan.action for plan in applied.result(60)] == ["create"]
    assert f"{capture.name} waits for the end of pid" in said[0]
    capture.wait_for_snapshot()


def test_capture_can_be_applied_the_moment_its_topics_are_made(
    stack: Environment, kafka_admin: AdminClient, topic_prefix: str
) -> None:
    """A new partition has no leader for a moment: asked again, not refused."""
    layout = topics.Layout(partitions=32, prefix=topic_prefix)
    mine = [topic for topic in topics.CATALOGUE if topic.name == "cdc.billing"]
    for _ in range(3):
        topics.apply(kafka_admin, layout, mine)
        assert origin.last_epoch(stack.kafka, f"{topic_prefix}cdc.billing") == 0
        kafka_admin.delete_topics([f"{topic_prefix}cdc.billing"], operation_timeout=30)[
            f"{topic_prefix}cdc.billing"
        ].result()


def test_a_heartbeat_of_our_own_is_streamed_and_proves_an_idle_snapshot_over(capture: Capture) -> None:
    """By the capture role's own right; the holder of the clock needs a transaction younger than the snapshot."""
    capture.apply()
    capture.wait_for_snapshot()
    config = capture.connect.config(capture.name) or {}
    capture.connect.update(capture.name, {**config, "heartbeat.interval.ms": "600000"})
    now_us = time.time_ns() // 1000
    origin.beat(capture.source.dsn)

    def streamed() -> bool:
        found = sources.snapshot(capture.connect, capture.name)
        return found is not None and found.streamed_us > now_us

    wait_until(streamed, 60, what="our own heartbeat in the committed offset")


def test_a_database_without_heartbeat_is_unavailable_and_stops_no_clock(stack: Environment) -> None:
    """The holder of the clock goes on and waits for Debezium's own heartbeat."""
    with pytest.raises(Unavailable):
        origin.beat(stack.postgres)
