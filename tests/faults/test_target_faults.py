"""A system that refuses, hangs or forbids: the others flow on, and it catches up by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from random import Random

import psycopg
import pytest

from connectors import systems
from streams.systems import ADAPTED
from tests.adapters import records
from tests.faults import marks
from tests.faults.conftest import StartLoad
from tests.faults.load import Tokens, mark, transact
from tests.faults.oracle import Oracle
from tests.faults.platform import PREFIX, Platform
from tests.faults.scene import AFTER, WARM, Fault, Scene, name_of, strike

ROOTS = {"directory": "dir_provider", "enrollment": "enr_provider", "billing": "bil_rendering"}
WAITING = """
select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
"""
REFUSE = """
alter table dir_provider add constraint refused
    check (cred_provider_ref <> '{who}' or last_name <> '{name}') not valid
"""
ADMIT = "alter table dir_provider drop constraint refused"


@contextmanager
def locked(platform: Platform, system: str) -> Iterator[None]:
    """A session of the system's own that holds every provider's row."""
    with platform.databases[system].connect() as connection, connection.transaction():
        connection.execute(f"select 1 from {ROOTS[system]} for update")
        yield


def systems_hang(scene: Scene) -> None:
    """One after the other; each holds its rows until its adapter has waited for them."""
    for system in ADAPTED:
        with locked(scene.platform, system), scene.platform.databases[system].connect() as looking:
            seen = partial(looking.execute, WAITING)
            scene.platform.wait(lambda: seen().fetchone(), f"{system}'s adapter to wait")  # noqa: B023
            scene.transactions(AFTER)


def rights_revoked(scene: Scene) -> None:
    """Until somebody grants them again, as docs/operations.md says for `target.forbidden`."""
    platform, system = scene.platform, "directory"
    seen = len(platform.adapters[system].said())
    with platform.databases[system].connect() as connection:
        connection.execute(f"revoke insert, update on {ROOTS[system]} from concord_adapter_{system}")
    platform.wait(lambda: "target.forbidden" in platform.adapters[system].said()[seen:], "it to pause")
    scene.transactions(AFTER)
    systems.apply(platform.databases[system].dsn, system)


FAULTS: tuple[Fault, ...] = (systems_hang, rights_revoked)


@pytest.mark.parametrize("fault", FAULTS, ids=name_of)
def test_systems_catch_up_by_themselves_after(
    fault: Fault, platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    with load() as writing:
        strike(fault, Scene(platform, oracle, writing))
    oracle.judge()


def test_a_view_that_its_system_refuses_is_receipted_and_holds_up_nobody(
    platform: Platform, oracle: Oracle, load: StartLoad
) -> None:
    """The refused one is whole again with its next change; nothing else waits for it."""
    with platform.master.connect() as master, platform.databases["directory"].connect() as directory:
        who = oracle.shown(master)[-1]
        token = oracle.ledger.draw(who)
        oracle.refused.add(who)
        directory.execute(REFUSE.format(who=who, name=marks.values(who, token)["name"]))
        change(oracle, master, who, token)
        platform.wait(lambda: who in receipted(platform), "the receipt")
        with load() as writing:
            Scene(platform, oracle, writing).transactions(WARM + AFTER)
        oracle.lives()
        directory.execute(ADMIT)
        change(oracle, master, who, oracle.ledger.draw(who))
    oracle.judge()


def receipted(platform: Platform) -> set[str]:
    """Whose views were refused by a constraint."""
    found = [json.loads(value) for _, value in records(platform.stack, f"{PREFIX}receipt") if value]
    return {receipt["entity_id"] for receipt in found if receipt["code"] == "target.constraint"}


def change(oracle: Oracle, connection: psycopg.Connection, who: str, token: int) -> None:
    def work() -> Tokens:
        mark(connection, Random(token), who, token)
        return [(who, token)]

    assert transact(connection, oracle.ledger, work)
