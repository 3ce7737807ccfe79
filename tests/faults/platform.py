"""The whole platform as processes that a test may kill, pause and start again, on a native stack of its own session.

    databases -> topics, schemas -> worker, adapters -> connector

Its processes reach the services through proxies (links.py). Everything of it carries the prefix, so that other rings on the same services notice nothing but the outages.
Never heals during a fault: what comes back must come back by itself (supervisor, Connect, the clients), except
processes that a service manager would start again.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors import origin, sources, systems
from connectors.connect import Connect
from connectors.source import EPOCH, Names
from connectors.sources import Source
from schemas import registry
from stack import roles
from stack.environment import Environment
from streams import topics
from streams.systems import ADAPTED
from tests.faults.links import Links, between, through
from tests.faults.process import Process, Worker
from tests.fixtures.databases import Database, drop, with_database
from tests.fixtures.kafka import delete_topics
from tests.fixtures.proxy import HOST, Proxy
from tests.fixtures.stack import NativeServices
from tests.fixtures.waiting import wait_until

PREFIX = "faults."
MASTER = "credentialing"
PARTITIONS = 4
SESSION_TIMEOUT = 6.0
LINGER_MS = 500.0
"""Longer than any pause between a transaction's records on a busy machine: only a fault tears one apart."""
PATIENCE = 120.0
"""Deadline of a wait; nothing is ever asserted about time, the machine may be busy."""


@dataclass(slots=True)
class Platform:
    """What runs, and the levers of the faults."""

    stack: Environment
    services: NativeServices
    databases: Mapping[str, Database]
    links: Links
    folder: Path
    adapters: dict[str, Process] = field(default_factory=dict)
    workers: list[Worker] = field(default_factory=list)

    @property
    def worker(self) -> Worker:
        return self.workers[0]

    @property
    def master(self) -> Database:
        return self.databases[MASTER]

    @property
    def source(self) -> Source:
        address = f"{HOST}:{self.links.connect_master.port}"
        return Source(Names(MASTER, PREFIX), self.master.capture, address)

    def environ(self, broker: Proxy) -> dict[str, str]:
        """Of a process that reaches the broker by this link."""
        systems = self.links.adapters_systems
        own = {f"CONCORD_ADAPTER_{s.upper()}": through(systems, d.adapter) for s, d in self.databases.items()}
        ours = {
            "KAFKA": f"{HOST}:{broker.port}",
            "REGISTRY": through(self.links.all_registry, self.stack.registry),
            "TOPIC_PREFIX": PREFIX,
            "SESSION_TIMEOUT_S": SESSION_TIMEOUT,
            "TRANSACTION_LINGER_MS": LINGER_MS,
        }
        set_here = {f"CONCORD_{name}": str(value) for name, value in ours.items()}
        return {**os.environ, **self.stack.variables(), **own, **set_here}

    # ---- processes ----

    def start_worker(
        self, within: Sequence[str] = (), environ: Mapping[str, str] | None = None, place: str = ""
    ) -> Worker:
        """`within`: a command that runs it, `environ`: what is set for it besides, `place`: the name of one that has
        ended, whose stores and log it goes on with; else the first name that no running one has."""
        known = {**self.environ(self.links.worker_broker), **(environ or {})}
        taken = {worker.name for worker in self.workers}
        free = next(name for number in count() if (name := f"worker-{number}") not in taken)
        self.workers.append(Worker(place or free, known, self.folder, within))
        return self.workers[-1]

    def stop_worker(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.stop()

    @contextmanager
    def another_worker(
        self, within: Sequence[str] = (), environ: Mapping[str, str] | None = None
    ) -> Iterator[Worker]:
        """In the place of the usual one, which returns afterwards."""
        usual = self.worker
        self.stop_worker(usual)
        try:
            worker = self.start_worker(within, environ, place=usual.name)
            self.wait(self.whole, "the other worker to open every partition")
            yield worker
        finally:
            self.links.open()
            self.stop_worker(self.worker)
            self.start_worker(place=usual.name)

    def start_adapter(self, system: str) -> Process:
        """Also in the place of one that ended."""
        if system in self.adapters:
            self.adapters[system].process.wait(20)
        log = self.folder / f"adapter-{system}.log"
        environ = self.environ(self.links.adapters_broker)
        self.adapters[system] = Process(f"adapter-{system}", ("adapter", system), environ, log)
        return self.adapters[system]

    def open_partitions(self) -> set[int]:
        return {p["partition"] for worker in self.workers for p in worker.partitions()}

    def whole(self) -> bool:
        """Every partition is open."""
        return len(self.open_partitions()) == PARTITIONS

    def members(self) -> int:
        """Of the workers' group, as the broker counts them."""
        group = f"{PREFIX}concord-decide"
        admin = AdminClient({"bootstrap.servers": self.stack.kafka, "log_level": 0})
        return len(admin.describe_consumer_groups([group])[group].result(30).members)

    def wait(self, condition: Callable[[], Any], what: str, deadline_s: float = PATIENCE) -> Any:
        try:
            return wait_until(condition, deadline_s, lambda: all(w.alive() for w in self.workers), what)
        except AssertionError:
            for process in (*self.workers, *self.adapters.values()):
                print(f"---- {process.name}\n{process.tail()}")
            raise

    def heal(self) -> None:
        """Whatever the test before left: everything runs, and one worker has every partition."""
        self.links.open()
        self.services.start()
        for worker in self.workers[1:]:
            self.stop_worker(worker)
        for process in (*self.workers, *self.adapters.values()):
            with suppress(ProcessLookupError):
                process.signal(signal.SIGCONT)
        if not self.worker.alive():
            self.workers.clear()
            self.start_worker()
        for system in [s for s, adapter in self.adapters.items() if not adapter.alive()]:
            self.start_adapter(system)
        self.wait(self.whole, "the worker to open every partition")

    def stop(self) -> None:
        for process in (*self.workers, *self.adapters.values()):
            process.stop()

    # ---- capture ----

    def capture(self, *, resnapshot: bool = False) -> None:
        """Create the connector, or take a new initial snapshot."""
        with Connect(self.stack.connect) as connect:
            sources.apply(connect, self.stack.kafka, [self.source], resnapshot=resnapshot)

    def snapshot_from_old_slot(self) -> Callable[[], None]:
        """Stop capture and make its slot now; the returned step raises the epoch and takes the snapshot.

        Between the two a transaction can begin that the slot will stream and the snapshot cannot see:
        Debezium's own slot would wait for it to end.
        """
        begin = self.snapshot_from_new_slot()
        make = "select pg_create_logical_replication_slot(%s, 'pgoutput')"
        with self.master.connect() as connection:
            connection.execute(make, [self.source.names.slot_name])
        return begin

    def snapshot_from_new_slot(self) -> Callable[[], None]:
        """Stop capture and drop its slot; the returned step is the rest of `apply --resnapshot`, which asks before
        the stop whether a transaction is open: one that begins in between is what Debezium's new slot waits for."""
        source, name = self.source, self.source.names.connector
        with Connect(self.stack.connect) as connect:
            config = connect.config(name) or {}
            connect.stop(name)
            connect.forget_offset(name)
            origin.drop_slot(source.dsn, source.names.slot_name)

        def begin() -> None:
            with Connect(self.stack.connect) as connect:
                connect.update(name, {**config, EPOCH: str(int(config[EPOCH]) + 1)})
                connect.resume(name)

        return begin

    def snapshot_finished(self) -> bool:
        """Through outages of Connect: while nobody answers, it is not."""
        with suppress(Exception), Connect(self.stack.connect, timeout=5) as connect:
            return sources.snapshot_finished(connect, self.source.names.connector)
        return False

    def captured(self) -> int:
        """Records in the topic of captured rows so far."""
        consumer = Consumer({"bootstrap.servers": self.stack.kafka, "group.id": "nobody", "log_level": 0})
        with closing(consumer):
            places = [TopicPartition(self.source.names.topic, p) for p in range(PARTITIONS)]
            return sum(consumer.get_watermark_offsets(place, timeout=30)[1] for place in places)


@contextmanager
def running(stack: Environment, services: NativeServices, folder: Path) -> Iterator[Platform]:
    """Prepared and started, capture not yet: the first snapshot is the tests' own."""
    databases = {system: create_database(stack, system) for system in (MASTER, *ADAPTED)}
    found = Platform(stack, services, databases, between(stack, services.doors), folder)
    try:
        admin = AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0})
        topics.apply(admin, topics.Layout(partitions=PARTITIONS, prefix=PREFIX))
        with registry.connect(stack.registry) as client:
            registry.publish(client, registry.schema_files(prefix=PREFIX))
        found.start_worker()
        for system in ADAPTED:
            found.start_adapter(system)
        yield found
    finally:
        found.stop()
        with Connect(stack.connect) as connect:
            remove_connector(connect, found.source.names.connector)
        found.links.close()
        delete_topics(AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0}), PREFIX)
        for database in databases.values():
            drop(stack, database)


def create_database(stack: Environment, system: str) -> Database:
    name = f"faults_{system}"
    found = Database(
        system=system,
        name=name,
        dsn=with_database(stack.postgres, name),
        capture=with_database(stack.capture[system], name),
        adapter=with_database(stack.adapters[system], name),
    )
    with psycopg.connect(stack.postgres, autocommit=True) as connection:
        roles.create_system_database(connection, name, system)
    systems.apply(found.dsn, system)
    return found


def remove_connector(connect: Connect, name: str) -> None:
    if connect.config(name) is not None:
        connect.stop(name)
        connect.forget_offset(name)
        connect.delete(name)
