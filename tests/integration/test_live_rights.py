"""`concord acls plan` and `apply`: on a broker that keeps access control lists, and on one that keeps none; what clients
with names may do there, and what they are told when they may not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic

from stack import lifecycle
from stack.environment import Environment
from stack.kafka import Kafka, render
from stack.layout import PROJECT
from stack.progress import Progress
from stack.service import HOST, Site
from streams.errors import EnvironmentFault
from streams.operate import rights
from streams.settings import Settings
from tests.faults.process import Worker, free_port
from tests.fixtures.stack import choose, prepare, temporary_layout
from tests.fixtures.waiting import wait_until

AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""


NAMED = """
sasl.enabled.mechanisms=PLAIN
listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_concord-directory="reads" user_concord-decide="reads" \\
  user_concord="reads" user_stranger="reads";
"""
TOPIC, OTHER = "sink.directory.provider", "sink.billing.provider"
READER = "concord-directory"


class Guarded(Kafka):
    """The stack's broker with an authorizer: at its own address whoever speaks may do everything, at `clients` they
    have names."""

    def __init__(self) -> None:
        self.clients = f"{HOST}:{free_port()}"

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        config = site.layout.data("kafka") / "server.properties"
        said = dict(line.split("=", 1) for line in config.read_text().splitlines() if line)
        for key in ("listeners", "advertised.listeners"):
            said[key] += f",CLIENTS://{self.clients}"
        said["listener.security.protocol.map"] += ",CLIENTS:SASL_PLAINTEXT"
        config.write_text(render(said) + AUTHORIZER + NAMED)


@pytest.fixture(scope="module")
def broker() -> Iterator[tuple[Settings, str]]:
    """Its own address, and that of clients with names."""
    if choose().kind != "native":
        pytest.skip("a broker of its own is started natively only")
    with temporary_layout() as layout:
        site, service = prepare(layout).site, Guarded()
        lifecycle.up(site, [service], Progress(quiet=True))
        try:
            yield Settings(kafka=f"{HOST}:{site.state.ports['kafka']}"), service.clients
        finally:
            lifecycle.down(site.layout, [service], Progress(quiet=True))


@pytest.fixture(scope="module")
def guarded(broker: tuple[Settings, str]) -> Settings:
    return broker[0]


@pytest.fixture(scope="module")
def clients(broker: tuple[Settings, str]) -> str:
    """Where clients have names; the contracts are applied, and each of two topics has a record."""
    settings, address = broker
    rights.apply(settings)
    admin = rights.admin(settings)
    for made in admin.create_topics([NewTopic(TOPIC, 1), NewTopic(OTHER, 1)]).values():
        made.result(30)
    producer = Producer({"bootstrap.servers": settings.kafka, "log_level": 0})
    for topic in (TOPIC, OTHER):
        producer.produce(topic, b"a view")
    assert producer.flush(30) == 0
    return address


def named(name: str, address: str) -> dict[str, str | int]:
    """What a client of this name says; nothing it asks for takes longer than seconds."""
    return {
        "bootstrap.servers": address,
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": name,
        "sasl.password": "reads",
        "socket.timeout.ms": 5_000,
        "log_level": 0,
    }


def read_as(name: str, topic: str, group: str, address: str) -> str:
    """The first value that a client of this name gets, or why it gets none."""
    settings = named(name, address) | {"group.id": group, "auto.offset.reset": "earliest"}
    with closing(Consumer({**settings, "session.timeout.ms": 6_000})) as client:
        client.subscribe([topic])
        message = wait_until(lambda: client.poll(0.5), 30, what=f"an answer for {name}")
        error = message.error()
        return str(error.name()) if error is not None else bytes(message.value()).decode()


def write_as(name: str, topic: str, address: str) -> str:
    """Why a client of this name can't write; empty: it can."""
    answers: list[str] = []
    producer = Producer(named(name, address) | {"message.timeout.ms": 10_000})
    producer.produce(
        topic, b"mine", on_delivery=lambda error, _: answers.append(error.name() if error else "")
    )
    assert producer.flush(15) == 0
    return answers[0]


def test_what_is_missing_is_granted_once(guarded: Settings) -> None:
    before = rights.apply(guarded)
    after = rights.plan(guarded)
    assert (before.held, after.missing) == ([], [])
    assert before.missing == after.held
    assert len(after.held) > 40
    assert rights.apply(guarded).missing == []


def test_a_reader_of_the_contract_reads_its_topic_with_its_group(clients: str) -> None:
    assert read_as(READER, TOPIC, f"{READER}.test", clients) == "a view"


def test_a_reader_is_denied_another_topic_and_another_group(clients: str) -> None:
    assert read_as(READER, OTHER, f"{READER}.test", clients) == "TOPIC_AUTHORIZATION_FAILED"
    assert read_as(READER, TOPIC, "another.test", clients) == "GROUP_AUTHORIZATION_FAILED"


def test_only_who_writes_by_the_contract_may_write(clients: str) -> None:
    assert write_as(READER, TOPIC, clients) == "TOPIC_AUTHORIZATION_FAILED"
    assert write_as("concord-decide", TOPIC, clients) == ""


def test_who_is_no_reader_of_the_contract_is_denied_everything(clients: str) -> None:
    assert read_as("stranger", TOPIC, f"{READER}.test", clients) == "GROUP_AUTHORIZATION_FAILED"
    assert read_as("stranger", TOPIC, "stranger.test", clients).endswith("_AUTHORIZATION_FAILED")
    assert write_as("stranger", TOPIC, clients) == "TOPIC_AUTHORIZATION_FAILED"


def test_what_stands_beside_the_contracts_is_shown_and_left(guarded: Settings) -> None:
    rights.apply(guarded)
    stranger = rights.Right("User:stranger", "READ", "TOPIC", "sink.", prefixed=True)
    admin = rights.admin(guarded)
    for asked in admin.create_acls([rights.binding(stranger)]).values():
        asked.result(30)
    assert rights.apply(guarded).beside == [stranger]
    assert rights.plan(guarded).beside == [stranger]


def test_a_broker_without_an_authorizer_is_told_clearly(stack: Environment) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        rights.plan(Settings(kafka=stack.kafka))
    assert caught.value.code == "acls.no_authorizer"


def test_the_platform_itself_works_under_a_name_and_stops_at_a_wrong_one(
    broker: tuple[Settings, str], stack: Environment, unique: Callable[[str], str], audit: str, tmp_path: Path
) -> None:
    settings, address = broker
    prefix = f"{unique('named')}."
    rights.apply(settings.model_copy(update={"topic_prefix": prefix}), platform="concord")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CONCORD_")}
    environ |= {
        "CONCORD_KAFKA": address,
        "CONCORD_KAFKA_SECURITY": "sasl_plaintext",
        "CONCORD_KAFKA_MECHANISM": "PLAIN",
        "CONCORD_KAFKA_USER": "concord",
        "CONCORD_KAFKA_PASSWORD": "reads",
        "CONCORD_REGISTRY": stack.registry,
        "CONCORD_AUDIT": audit,
        "CONCORD_TOPIC_PREFIX": prefix,
    }
    for words in (("schema", "publish"), ("topics", "apply")):
        done = concord(words, environ)
        assert done.returncode == 0, done.stderr
    worker = Worker("worker", environ, tmp_path)
    try:
        wait_until(
            lambda: len((worker.status() or {"partitions": ()})["partitions"]) == settings.partitions,
            90,
            worker.alive,
            "the worker to open its partitions under its name",
        )
    except AssertionError as error:
        raise AssertionError(f"{error}\n{worker.tail()}") from None
    finally:
        worker.stop()
    stranger = concord(("topics", "plan"), environ | {"CONCORD_KAFKA_PASSWORD": "guessed"})
    assert stranger.returncode == 1
    assert "CONCORD_KAFKA_USER" in stranger.stderr
    assert "guessed" not in stranger.stderr


def concord(words: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "streams.cli", *words]
    return subprocess.run(
        command, env=dict(environ), cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False
    )
