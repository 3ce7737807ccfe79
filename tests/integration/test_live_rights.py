"""`concord acls plan` and `apply`: on a broker that keeps access control lists, and on one that keeps none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import NewTopic

from stack import lifecycle
from stack.environment import Environment
from stack.kafka import Kafka, render
from stack.progress import Progress
from stack.service import HOST, Site
from streams.errors import EnvironmentFault
from streams.operate import rights
from streams.settings import Settings
from tests.faults.process import free_port
from tests.fixtures.stack import choose, prepare, temporary_layout
from tests.fixtures.waiting import wait_until

AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""


CLIENTS = """
sasl.enabled.mechanisms=PLAIN
listener.name.clients.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_concord-directory="reads" user_stranger="reads";
"""
TOPIC = "sink.directory.provider"


class Guarded(Kafka):
    """The stack's broker, with an authorizer: at its own address whoever speaks may do everything, at `clients` they
    have names."""

    def __init__(self) -> None:
        super().__init__()
        self.clients = f"{HOST}:{free_port()}"

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        config = site.layout.data("kafka") / "server.properties"
        said = dict(line.split("=", 1) for line in config.read_text().splitlines())
        for key in ("listeners", "advertised.listeners"):
            said[key] += f",CLIENTS://{self.clients}"
        said["listener.security.protocol.map"] += ",CLIENTS:SASL_PLAINTEXT"
        config.write_text(render(said) + AUTHORIZER + CLIENTS)


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


def read_as(name: str, group: str, address: str) -> str:
    """The first value that a client of this name gets, or why it gets none."""
    identity = {"sasl.mechanism": "PLAIN", "sasl.username": name, "sasl.password": "reads"}
    settings = {"bootstrap.servers": address, "security.protocol": "SASL_PLAINTEXT", "group.id": group}
    with closing(
        Consumer({**settings, **identity, "auto.offset.reset": "earliest", "log_level": 0})
    ) as client:
        client.subscribe([TOPIC])
        message = wait_until(lambda: client.poll(0.5), 60, what=f"an answer for {name}")
        error = message.error()
        return str(error.name()) if error is not None else bytes(message.value()).decode()


def test_who_is_no_reader_of_the_contract_is_denied(broker: tuple[Settings, str]) -> None:
    settings, clients = broker
    rights.apply(settings)
    rights.admin(settings).create_topics([NewTopic(TOPIC, 1)])[TOPIC].result(30)
    producer = Producer({"bootstrap.servers": settings.kafka, "log_level": 0})
    producer.produce(TOPIC, b"a view")
    assert producer.flush(30) == 0
    assert read_as("concord-directory", "concord-directory.test", clients) == "a view"
    assert read_as("stranger", "stranger.test", clients) in (
        "TOPIC_AUTHORIZATION_FAILED",
        "GROUP_AUTHORIZATION_FAILED",
    )
    assert read_as("stranger", "concord-directory.test", clients) == "GROUP_AUTHORIZATION_FAILED"
    assert read_as("concord-directory", "another.test", clients) == "GROUP_AUTHORIZATION_FAILED"


def test_what_is_missing_is_granted_once(guarded: Settings) -> None:
    before = rights.apply(guarded)
    after = rights.plan(guarded)
    assert (before.held, after.missing) == ([], [])
    assert before.missing == after.held
    assert len(after.held) > 40
    assert rights.apply(guarded).missing == []


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
