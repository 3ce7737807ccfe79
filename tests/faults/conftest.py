"""One platform, one ledger and one oracle for the whole ring; each test leaves the platform healed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from random import Random
from zlib import crc32

import pytest

from stack.environment import Environment
from tests.faults.ledger import Ledger
from tests.faults.load import SEED, Load, fill
from tests.faults.oracle import Oracle
from tests.faults.platform import Platform, running
from tests.fixtures.stack import NativeServices

CLAIMS = 8_000
"""Rows of a log in the master from the start, so that a snapshot takes long enough to be killed in."""

ROUNDS = int(os.environ.get("CONCORD_FAULT_ROUNDS", "1"))
"""How often the ring is played, whole, one round after the other."""

StartLoad = Callable[..., AbstractContextManager[Load]]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if ROUNDS > 1:
        metafunc.parametrize("attempt", range(1, ROUNDS + 1), scope="session")


@pytest.fixture(autouse=True, scope="session")
def attempt() -> int:
    """Which round it is; a test's seed and marks come from its name, which has the round in it."""
    return 1


@pytest.fixture(scope="package")
def ring_platform(
    native_services: NativeServices, stack: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    with running(stack, native_services, tmp_path_factory.mktemp("faults")) as platform:
        fill(platform.master.dsn, CLAIMS)
        platform.wait(platform.whole, "the worker's partitions")
        platform.capture()
        platform.wait(platform.snapshot_finished, "the first snapshot")
        yield platform


@pytest.fixture(scope="package")
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="package")
def oracle(ring_platform: Platform, ledger: Ledger) -> Oracle:
    return Oracle(ring_platform, ledger)


@pytest.fixture
def platform(ring_platform: Platform) -> Iterator[Platform]:
    ring_platform.heal()
    yield ring_platform
    ring_platform.heal()


@pytest.fixture
def load(platform: Platform, ledger: Ledger, request: pytest.FixtureRequest) -> StartLoad:
    """`with load() as writing:` — transactions go on inside, seeded by the test's name."""

    def start(*, deletes: bool = True) -> AbstractContextManager[Load]:
        seed = SEED + crc32(request.node.name.encode())
        return Load(platform.master.dsn, ledger, Random(seed), deletes).running()

    return start
