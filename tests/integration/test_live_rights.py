"""`concord acls plan` and `apply`: on a broker that keeps access control lists, and on one that keeps none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stack import lifecycle
from stack.environment import Environment
from stack.kafka import Kafka
from stack.progress import Progress
from stack.service import HOST, Site
from streams.errors import EnvironmentFault
from streams.operate import rights
from streams.settings import Settings
from tests.fixtures.stack import choose, prepare, temporary_layout

AUTHORIZER = """
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=false
"""


class Guarded(Kafka):
    """The stack's broker, with an authorizer; who speaks to it in these tests may do everything."""

    def prepare(self, site: Site) -> None:
        super().prepare(site)
        config = site.layout.data("kafka") / "server.properties"
        config.write_text(config.read_text() + AUTHORIZER)


@pytest.fixture(scope="module")
def guarded() -> Iterator[Settings]:
    if choose().kind != "native":
        pytest.skip("a broker of its own is started natively only")
    with temporary_layout() as layout:
        site, service = prepare(layout).site, Guarded()
        lifecycle.up(site, [service], Progress(quiet=True))
        try:
            yield Settings(kafka=f"{HOST}:{site.state.ports['kafka']}")
        finally:
            lifecycle.down(site.layout, [service], Progress(quiet=True))


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
