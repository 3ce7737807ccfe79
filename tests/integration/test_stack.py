"""The stack itself: what answers, what outlives a restart, what an interruption leaves, what is said when it can't."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from stack import process
from stack.environment import Environment, of_state
from stack.layout import PROJECT, Layout
from stack.settings import LARGEST_RECORD, POSTGRES
from streams.systems import SYSTEMS
from tests.fixtures.databases import NewDatabase
from tests.fixtures.kafka import CreateTopic
from tests.fixtures.stack import NativeServices, prepare, temporary_layout
from tests.fixtures.waiting import take_ctrl_c, wait_until


@pytest.fixture
def layout() -> Iterator[Layout]:
    with temporary_layout() as found:
        yield found


@pytest.fixture
def alone(layout: Layout) -> Iterator[NativeServices]:
    """A second stack of this test's own, not started."""
    services = prepare(layout)
    yield services
    services.stop()


def command(layout: Layout, *words: str, **variables: str) -> subprocess.Popen[str]:
    environ = {
        **os.environ,
        "CONCORD_STATE": str(layout.state),
        "CONCORD_CACHE": str(layout.cache),
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "stack", *words],
        cwd=PROJECT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=take_ctrl_c,
    )


def finished(running: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = running.communicate(timeout=400)
    return running.returncode, out, err


# --- what answers ---------------------------------------------------------------------------------------


def test_postgres_answers_with_the_settings_capture_needs(stack: Environment) -> None:
    with psycopg.connect(stack.postgres) as connection:
        for name, value in POSTGRES.items():
            shown = connection.execute("select current_setting(%s)", [name]).fetchone()
            assert shown == (value,), name


@pytest.mark.parametrize("system", SYSTEMS)
def test_capture_and_adapter_enter_their_database_and_no_stranger_does(
    stack: Environment, system: str
) -> None:
    psycopg.connect(stack.capture[system]).close()
    psycopg.connect(stack.adapters[system]).close()
    stranger = next(name for name in SYSTEMS if name != system)
    dsn = stack.adapters[stranger].rsplit("/", 1)[0] + f"/{system}"
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(dsn)


def test_a_wrong_password_is_refused(stack: Environment) -> None:
    parts = urlsplit(stack.postgres)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://postgres:wrong@{parts.hostname}:{parts.port}/postgres")


def test_kafka_carries_the_largest_record(stack: Environment, topic: CreateTopic) -> None:
    limit = LARGEST_RECORD + 1024
    name = topic("large", partitions=1, config={"max.message.bytes": str(limit)})
    producer = Producer({"bootstrap.servers": stack.kafka, "message.max.bytes": limit})
    producer.produce(name, os.urandom(LARGEST_RECORD - 1024))
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": name, "auto.offset.reset": "earliest"})
    consumer.subscribe([name])
    try:
        message = wait_until(lambda: consumer.poll(1), 30, what="the record")
        assert len(message.value() or b"") == LARGEST_RECORD - 1024
    finally:
        consumer.close()


def test_kafka_creates_no_topic_that_nobody_asked_for(stack: Environment, kafka_admin: AdminClient) -> None:
    assert not kafka_admin.list_topics("never.created", timeout=30).topics["never.created"].partitions
    assert "never.created" not in kafka_admin.list_topics(timeout=30).topics


def test_connect_offers_debezium(stack: Environment) -> None:
    plugins = httpx.get(f"{stack.connect}/connector-plugins").json()
    assert "io.debezium.connector.postgresql.PostgresConnector" in {plugin["class"] for plugin in plugins}


def test_debezium_captures_a_row_with_a_password_that_stands_in_no_configuration(
    stack: Environment,
    database: NewDatabase,
    topic: CreateTopic,
    topic_prefix: str,
    unique: Callable[[str], str],
) -> None:
    target, name = database("credentialing"), unique("probe")
    with target.connect() as connection:
        connection.execute("create table probe (id int primary key); insert into probe values (7)")
        connection.execute(
            "grant select on probe to concord_capture; create publication probe for table probe"
        )
    captured = topic("public.probe", partitions=1)
    host, port = stack.capture_address.split(":")
    configuration = {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "database.hostname": host,
        "database.port": port,
        "database.user": "concord_capture",
        "database.password": stack.capture_password_ref,
        "database.dbname": target.name,
        "topic.prefix": topic_prefix.rstrip("."),
        "plugin.name": "pgoutput",
        "publication.name": "probe",
        "publication.autocreate.mode": "disabled",
        "slot.name": name,
        "table.include.list": "public.probe",
    }
    url = f"{stack.connect}/connectors/{name}"
    consumer = Consumer({"bootstrap.servers": stack.kafka, "group.id": name, "auto.offset.reset": "earliest"})
    consumer.subscribe([captured])
    try:
        httpx.put(f"{url}/config", json=configuration).raise_for_status()
        message = wait_until(lambda: consumer.poll(1), 60, what="the captured row")
        assert json.loads(message.value() or b"")["after"] == {"id": 7}
        assert httpx.get(f"{url}/config").json()["database.password"] == stack.capture_password_ref
    finally:
        httpx.delete(url)
        consumer.close()


def test_the_registry_keeps_a_schema_in_postgres(stack: Environment, unique: Callable[[str], str]) -> None:
    subject = unique("probe-value")
    schema = json.dumps({"type": "record", "name": "probe", "fields": []})
    httpx.post(f"{stack.registry}/subjects/{subject}/versions", json={"schema": schema}).raise_for_status()
    assert subject in httpx.get(f"{stack.registry}/subjects").json()
    httpx.delete(f"{stack.registry}/subjects/{subject}").raise_for_status()


def test_nothing_listens_beyond_loopback(native_services: NativeServices) -> None:
    """Each port is bound once more on another loopback address: a wildcard listener would refuse that."""
    for name, port in native_services.site.state.ports.items():
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                other.bind(("127.0.0.2", port))
            except OSError as error:
                pytest.fail(f"{name} listens on more than 127.0.0.1: {error}")


# --- what a restart keeps, what an end leaves -------------------------------------------------------------


@pytest.mark.timeout(900)  # two starts, on a machine that may be busy
def test_a_restart_keeps_addresses_and_data_and_volumes_deletes_both(alone: NativeServices) -> None:
    layout = alone.site.layout
    status, out, err = finished(command(layout, "up", "--json"))
    assert status == 0, err
    pids = {row["name"]: row["pid"] for row in json.loads(out)["services"]}
    before = of_state(alone.site.state, layout.state)
    schema = json.dumps({"type": "record", "name": "kept", "fields": []})
    httpx.post(f"{before.registry}/subjects/kept-value/versions", json={"schema": schema}).raise_for_status()
    with psycopg.connect(before.databases["billing"], autocommit=True) as connection:
        connection.execute("create table kept (id int)")

    assert finished(command(layout, "down"))[0] == 0
    assert not any(process.identity(pid) for pid in pids.values())
    status, out, err = finished(command(layout, "up"))
    assert status == 0, err
    status, out, err = finished(command(layout, "env", "--json"))
    assert json.loads(out) == before.as_dict()
    assert "kept-value" in httpx.get(f"{before.registry}/subjects").json()
    with psycopg.connect(before.databases["billing"]) as connection:
        assert connection.execute("select count(*) from kept").fetchone() == (0,)

    assert finished(command(layout, "down", "--volumes"))[0] == 0
    assert not layout.data("postgres").exists()
    assert finished(command(layout, "env"))[0] == 3
    layout.state.mkdir(exist_ok=True)


def test_up_leaves_alone_what_runs_and_starts_what_died(native_services: NativeServices) -> None:
    layout = native_services.site.layout
    before = process.recall(layout.run("kafka"))
    native_services.kill("postgres")
    native_services.start()
    assert native_services.ready("postgres")
    assert process.recall(layout.run("kafka")) == before


def test_one_service_can_be_stopped_paused_and_started(native_services: NativeServices) -> None:
    native_services.stop("registry")
    assert not native_services.alive("registry")
    native_services.start("registry")
    native_services.pause("registry")
    assert native_services.alive("registry")
    assert not native_services.ready("registry")
    native_services.resume("registry")
    wait_until(lambda: native_services.ready("registry"), 30, lambda: native_services.alive("registry"))


def test_an_interrupted_up_leaves_nothing_running(alone: NativeServices) -> None:
    layout = alone.site.layout
    running = command(layout, "up")
    records = [layout.run(name) for name in ("postgres", "kafka")]
    wait_until(lambda: all(process.recall(record) for record in records), 60, lambda: running.poll() is None)
    started = [process.recall(record) for record in records]
    running.send_signal(signal.SIGINT)
    status, _, _ = finished(running)
    assert status != 0
    assert not any(found and found.alive() for found in started)
    assert not list(layout.run("x").parent.glob("*.json"))


def test_a_service_that_dies_while_starting_is_told_with_the_end_of_its_log(alone: NativeServices) -> None:
    layout = alone.site.layout
    assert finished(command(layout, "start", "postgres"))[0] == 0
    assert finished(command(layout, "down"))[0] == 0
    (layout.data("postgres") / "postgresql.conf").write_text("no_such_setting = on\n")
    status, _, err = finished(command(layout, "start", "postgres"))
    assert status == 1
    assert "postgres ended while starting" in err
    assert "no_such_setting" in err


# --- what is said when it can't ---------------------------------------------------------------------------


def test_a_taken_port_is_named_before_anything_starts(layout: Layout) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        status, _, err = finished(command(layout, "up", CONCORD_PORT_KAFKA=port))
    assert status == 3
    assert f"port {port} of 127.0.0.1, meant for kafka" in err
    assert "CONCORD_PORT_KAFKA=<port>" in err
    assert not layout.data("postgres").exists()


def test_a_missing_maven_is_said_with_the_way_to_get_it(layout: Layout, tmp_path: Path) -> None:
    empty = layout.state / "cache"
    status, _, err = finished(command(layout, "up", CONCORD_CACHE=str(empty), PATH=str(tmp_path)))
    assert status == 3
    assert "apt-get install maven" in err
    assert "brew install maven" in err


@pytest.mark.parametrize("words", [["start", "zookeeper"], ["stop"], ["sideways"]])
def test_a_wrong_argument_ends_with_two(layout: Layout, words: list[str]) -> None:
    assert finished(command(layout, *words))[0] == 2


def test_connect_alone_says_that_it_needs_kafka(alone: NativeServices) -> None:
    status, _, err = finished(command(alone.site.layout, "start", "connect"))
    assert status == 1
    assert "python -m stack start kafka connect" in err


def test_status_of_a_stack_that_never_ran_is_not_ready(layout: Layout) -> None:
    status, out, _ = finished(command(layout, "status", "--json"))
    assert status == 1
    assert [row["alive"] for row in json.loads(out)["services"]] == [False] * 4
