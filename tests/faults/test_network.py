"""The network between two processes: slow, cut, silent, and answers that never come. The ends stay alive."""

from __future__ import annotations

import pytest

from tests.faults.conftest import StartLoad
from tests.faults.oracle import Oracle
from tests.faults.platform import Platform
from tests.faults.scene import AFTER, Fault, Scene, name_of, strike
from tests.fixtures.proxy import Proxy

BLOCK_SECONDS = 0.05
LINKS = ("worker_broker", "adapters_broker", "adapters_systems", "connect_master")


def impaired(link: Proxy, scene: Scene) -> None:
    """One after the other, with load all the while."""
    link.slow(BLOCK_SECONDS)
    scene.transactions(AFTER)
    link.cut()
    scene.transactions(AFTER)
    link.open()
    scene.transactions(AFTER)
    link.stall()
    scene.transactions(AFTER)
    link.open()


@pytest.mark.parametrize("name", LINKS, ids=lambda name: name.replace("_", " to "))
def test_nothing_is_lost_or_turned_round_when_a_link_is_slow_then_cut_then_silent(
    name: str, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load() as writing:
        strike(lambda scene: impaired(getattr(platform.links, name), scene), Scene(platform, oracle, writing))
    oracle.judge()


def worker_given_up_by_its_group(scene: Scene) -> None:
    """It hears nothing, and is told nothing, until its partitions are nobody's."""
    scene.platform.links.worker_broker.stall()
    scene.platform.wait(lambda: not scene.platform.members(), "the group to give it up")
    scene.platform.links.worker_broker.open()


def systems_answers_lost(scene: Scene) -> None:
    """The adapters ask, the systems do it, nobody hears of it: whether a commit went through is unknown."""
    for _ in range(3):
        scene.platform.links.adapters_systems.deafen()
        scene.transactions(AFTER)
        scene.platform.links.adapters_systems.cut()
        scene.platform.links.adapters_systems.open()
        scene.transactions(AFTER)


def registry_killed_while_all_start_again(scene: Scene) -> None:
    """Who runs has no need of it; who starts waits for it."""
    platform = scene.platform
    platform.services.kill("registry")
    scene.transactions(AFTER)
    worker, adapter = platform.worker, platform.adapters["directory"]
    for process in (worker, adapter):
        process.stop()
    platform.workers.remove(worker)
    platform.start_worker(place=worker.name)
    platform.start_adapter("directory")
    seen = len(platform.worker.said())
    platform.wait(
        lambda: "process.restart" in platform.worker.said()[seen:], "the worker to miss the registry"
    )
    platform.services.start("registry")
    platform.wait(platform.whole, "the worker to open every partition")


FAULTS: tuple[Fault, ...] = (
    worker_given_up_by_its_group,
    systems_answers_lost,
    registry_killed_while_all_start_again,
)


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_the_ends_of_a_broken_link_find_each_other_again_by_themselves_with(
    fault: Fault, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load() as writing:
        strike(fault, Scene(platform, oracle, writing))
    oracle.judge()
