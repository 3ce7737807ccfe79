"""Prepared faults, met as a new operator meets them: an alert, `concord status`, its runbook, and the repair there.

    break it --looks--> the exporter's own metrics --as if it lasted--> ops/alerts.yml: one alert, its page
             --concord status--> shown     --concord doctor | the page--> explained     --the page's commands--> quiet again

One running platform. Nothing waits for an alert's `for`: a fault is looked at for some seconds, and judged as it would be
had it gone on like that (tests/alerting.py). Only what no command can do on this machine is done by the test in its
place, and says so: it opens the network to the registry and sets a clock right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from confluent_kafka.admin import AdminClient

from stack.environment import Environment
from streams.operate.exporter.serve import Exporter
from tests.fixtures.platform import running
from tests.fixtures.proxy import Proxy
from tests.prepared.faults import FAULTS, Fault
from tests.prepared.scene import RULES, Scene
from tests.runbooks import Runbook

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def registry(stack: Environment) -> Iterator[Proxy]:
    proxy = Proxy(int(urlsplit(stack.registry).port or 0))
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def scene(
    stack: Environment, kafka_admin: AdminClient, registry: Proxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    """A platform with a few invented providers, everything applied."""
    address = urlsplit(stack.registry)._replace(netloc=f"127.0.0.1:{registry.port}").geturl()
    folder = tmp_path_factory.mktemp("prepared")
    with running(stack, kafka_admin, folder, CONCORD_REGISTRY=address) as platform:
        found = Scene(platform, registry, folder, Exporter(platform.settings))
        platform.ask("load", "generated", "--count", "10", "--seed", "17")
        found.wait(found.quiet, "everything to be applied")
        try:
            yield found
        finally:
            found.undo.close()
            found.exporter.close()


@pytest.fixture(autouse=True)
def put_back(scene: Scene) -> Iterator[None]:
    yield
    scene.undo.close()


def test_nothing_rings_on_a_platform_in_order(scene: Scene) -> None:
    scene.silent()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_shown_alerted_once_explained_and_repaired_by_its_page(fault: Fault, scene: Scene) -> None:
    fault.inject(scene)
    rings = scene.rings(lambda: fault.goes_on(scene))
    assert rings.keys() == {fault.alert}
    assert fault.labels is None or rings[fault.alert] == [fault.labels]
    said = scene.platform.concord("status").text
    assert re.search(fault.shown, said), said
    if fault.doctor:
        wrong = scene.diagnosis(fault.doctor, fault.doctor_environ(scene))
        assert {r["check"] for r in wrong} >= set(fault.doctor)
        assert all(r["fix"] for r in wrong)
    fault.repair(scene, Runbook(RULES[fault.alert].runbook))
    scene.silent()
