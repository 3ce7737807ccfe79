"""The bed of an experiment: services in a state of the bench's own, a topic prefix, databases, processes.

    Bed (services) --place--> Place (settings, topics, databases of one experiment) --start--> Running processes

What the bench starts it stops; a stack that ran before (CONCORD_STATE) is left alone. Needs the native stack,
since processes are pinned to cores and their CPU time is read.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import httpx
import psycopg
from confluent_kafka.admin import AdminClient
from psycopg import sql

from connectors import sources
from connectors.connect import Connect
from connectors.source import Names
from stack import download, environment, java, layout, lifecycle, process, roles, state
from stack.environment import Environment
from stack.progress import Progress
from stack.service import Site
from streams.operate import preparing
from streams.settings import Settings
from streams.systems import SYSTEMS
from tests.bench import machine

T = TypeVar("T")
POLL = 0.1
START_WITHIN = 60.0
STOP_WITHIN = 30.0

Say = Callable[[str], None]


class Failed(Exception):
    """A benchmark could not measure: something died or never came to be."""


def wait(condition: Callable[[], T], what: str, within: float, alive: Callable[[], bool] = lambda: True) -> T:
    """The first true value of the condition; Failed when `alive` turns false or time is up."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        if not alive():
            raise Failed(f"a process died while waiting: {what}")
        if time.monotonic() > deadline:
            raise Failed(f"not within {within:.0f} s: {what}")
        time.sleep(POLL)
    return found


class Bed:
    """The services, and which of them this bench started."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.say = say
        self._own = "CONCORD_STATE" not in os.environ
        chosen = layout.current()
        self.layout = replace(chosen, state=folder / "stack") if self._own else chosen
        self._started: list[str] = []
        self._site: Site | None = None

    def need(self, *names: str) -> Environment:
        """These services run; the addresses of the stack."""
        site = self._prepare()
        missing = [name for name in names if process.recall(self.layout.run(name)) is None]
        if missing:
            self.say(f"starting {', '.join(missing)}")
            self._started += missing
            lifecycle.up(site, lifecycle.select(missing), Progress(quiet=True))
        return environment.of_state(site.state, self.layout.state)

    def _prepare(self) -> Site:
        if self._site is None:
            artifacts = download.fetch(self.layout, Progress())
            chosen = state.choose(self.layout, {})
            state.save(self.layout, chosen)
            self._site = Site(self.layout, chosen, artifacts, java.find())
        return self._site

    def pid(self, service: str) -> int:
        """The process of a service."""
        found = process.recall(self.layout.run(service))
        if found is None:
            raise Failed(f"{service} does not run")
        return found.pid

    def stop(self, *names: str) -> None:
        """Stop services, if this bench started them."""
        mine = [name for name in names or self._started if name in self._started]
        lifecycle.down(self.layout, lifecycle.select(mine), Progress(quiet=True))
        self._started = [name for name in self._started if name not in mine]

    def close(self) -> None:
        """Stop what was started and delete the state that was made."""
        self.stop()
        if self._own:
            lifecycle.delete(self.layout)

    @contextmanager
    def on_core(self, core: int, *services: str) -> Iterator[None]:
        """Services on one core while it lasts, and this process with them."""
        everywhere, pids = machine.cores(), [*map(self.pid, services), os.getpid()]
        for pid in pids:
            machine.pin(pid, [core])
        try:
            yield
        finally:
            for pid in pids:
                machine.pin(pid, everywhere)


@dataclass(frozen=True)
class Place:
    """One experiment's own topics, schemas, databases and connectors."""

    bed: Bed
    settings: Settings
    folder: Path
    environment: Environment

    @property
    def data(self) -> Path:
        """The worker's folder."""
        return self.folder / "worker"

    @cached_property
    def admin(self) -> AdminClient:
        """An admin client for the broker."""
        return AdminClient({"bootstrap.servers": self.settings.kafka, "log_level": 0})

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of this place's processes."""
        known = {name: value for name, value in os.environ.items() if not name.startswith("CONCORD_")}
        found = {**known, **self.environment.variables(), "CONCORD_TOPIC_PREFIX": self.settings.topic_prefix}
        return {**found, **more}

    def dsn(self, system: str) -> str:
        """The superuser's DSN of a system's database here."""
        return self.settings.databases[system]


@contextmanager
def place(bed: Bed, name: str, folder: Path, *, databases: bool) -> Iterator[Place]:
    """Topics, schemas and, if asked for, databases of an experiment; gone when it ends."""
    services = ("postgres", "kafka", "registry", *(("connect",) if databases else ()))
    stack = bed.need(*services)
    if not databases:
        bed.stop("connect")  # it would only take CPU
    prefix = f"bench{name}{time.time_ns() // 1_000_000_000 % 1_000_000}."
    with ExitStack() as undo:
        stack = databases_of(stack, prefix, undo) if databases else stack
        found = Place(bed, _settings(stack, prefix), folder / name, stack)
        found.folder.mkdir(parents=True, exist_ok=True)
        undo.callback(_delete_topics, found)
        preparing.publish_schemas(found.settings)
        preparing.apply_topics(found.settings)
        if databases:
            preparing.apply_systems(found.settings)
            undo.callback(_delete_sources, found)
        yield found


def _settings(stack: Environment, prefix: str) -> Settings:
    dsns = {"_databases": stack.databases, "_capture": stack.capture, "_adapters": stack.adapters}
    plain = {"kafka": stack.kafka, "registry": stack.registry, "connect": stack.connect}
    return Settings(**plain, **dsns, topic_prefix=prefix)  # type: ignore[arg-type]


def databases_of(stack: Environment, prefix: str, undo: ExitStack) -> Environment:
    """Databases of an experiment's own, gone when it ends."""
    names = {system: f"{prefix.rstrip('.')}_{system}" for system in SYSTEMS}
    with psycopg.connect(stack.postgres, autocommit=True) as connection:
        for system, name in names.items():
            roles.create_system_database(connection, name, system)
    undo.callback(_drop_databases, stack.postgres, list(names.values()))

    def here(dsns: Mapping[str, str]) -> dict[str, str]:
        return {system: f"{dsns[system].rpartition('/')[0]}/{name}" for system, name in names.items()}

    return replace(
        stack,
        databases=here(stack.databases),
        capture=here(stack.capture),
        adapters=here(stack.adapters),
    )


def _drop_databases(postgres: str, names: Sequence[str]) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in names:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


def _delete_topics(place: Place) -> None:
    names = [n for n in place.admin.list_topics(timeout=30).topics if place.settings.topic_prefix in n]
    for deleted in (place.admin.delete_topics(names, operation_timeout=30) if names else {}).values():
        with contextlib.suppress(Exception):
            deleted.result()


def _delete_sources(place: Place) -> None:
    for system in SYSTEMS:
        _delete_source(place, system)


def _delete_source(place: Place, system: str) -> None:
    """The connector, then its slot: a slot holds its database."""
    httpx.delete(f"{place.settings.connect}/connectors/{place.settings.topic(system)}", timeout=60)
    slot = Names(system, place.settings.topic_prefix).slot_name
    with psycopg.connect(place.dsn(system), autocommit=True) as connection:
        released = "select count(*) = 0 from pg_replication_slots where slot_name = %s and active"
        wait(lambda: connection.execute(released, [slot]).fetchone() == (True,), "the slot is released", 60)
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
            [slot],
        )


# ---- capture ----


def capture(place: Place) -> None:
    """Start the connectors; returns when their snapshots are in Kafka."""
    preparing.apply_sources(place.settings)
    connect, chosen = Connect(place.settings.connect), preparing.chosen_sources(place.settings)

    def finished() -> bool:
        found = sources.status(connect, chosen)
        failed = [task.trace for status in found for task in status.tasks if task.state == "FAILED"]
        if failed:
            raise Failed(f"capture failed: {failed[0][:500]}")
        return all(status.state == "RUNNING" and status.snapshot_finished for status in found)

    wait(finished, "the snapshots are in Kafka", 900)
