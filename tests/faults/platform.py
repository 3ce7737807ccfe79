"""The whole platform as processes that a test may kill, pause and start again, on a native stack of its own session.

    databases -> topics, schemas -> worker, adapters -> connector

Everything of it carries the prefix, so that other rings on the same services notice nothing but the outages.
Never heals during a fault: what comes back must come back by itself (supervisor, Connect, the clients), except
processes that a service manager would start again.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
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
from stack.layout import PROJECT
from streams import topics
from streams.systems import ADAPTED
from tests.fixtures.databases import Database, drop, with_database
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


class Process:
    """One `concord` command in a session of its own; for a supervised worker, `pid` is the worker's."""

    def __init__(self, name: str, arguments: tuple[str, ...], environ: Mapping[str, str], log: Path) -> None:
        self.name, self.log = name, log
        command = [sys.executable, "-m", "streams.cli", *arguments]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=dict(environ), cwd=PROJECT, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return next(iter(children(self.process.pid)), self.process.pid)

    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stop(self) -> None:
        """Woken when paused, asked, then killed with its children."""
        for number in (signal.SIGCONT, signal.SIGTERM):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Worker(Process):
    """A supervised worker that answers on a port of its own."""

    def __init__(self, name: str, environ: Mapping[str, str], folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        arguments = ("worker", "--data-dir", str(folder / name))
        super().__init__(name, arguments, {**environ, "CONCORD_WEB_PORT": str(port)}, folder / f"{name}.log")

    def status(self) -> dict[str, Any] | None:
        """What it says of itself; None while it does not answer."""
        try:
            answer: dict[str, Any] = httpx.get(f"{self.url}/status", timeout=5).json()
        except (httpx.HTTPError, ValueError):
            return None
        return answer

    def partitions(self) -> list[dict[str, Any]]:
        return list((self.status() or {}).get("partitions", ()))


@dataclass(slots=True)
class Platform:
    """What runs, and the levers of the faults."""

    stack: Environment
    services: NativeServices
    databases: Mapping[str, Database]
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
        return Source(Names(MASTER, PREFIX), self.master.capture, self.stack.capture_address)

    def environ(self) -> dict[str, str]:
        own = {f"CONCORD_ADAPTER_{s.upper()}": d.adapter for s, d in self.databases.items()}
        ours = {
            "TOPIC_PREFIX": PREFIX,
            "SESSION_TIMEOUT_S": SESSION_TIMEOUT,
            "TRANSACTION_LINGER_MS": LINGER_MS,
        }
        set_here = {f"CONCORD_{name}": str(value) for name, value in ours.items()}
        return {**os.environ, **self.stack.variables(), **own, **set_here}

    # ---- processes ----

    def start_worker(self) -> Worker:
        self.workers.append(Worker(f"worker-{len(self.workers)}", self.environ(), self.folder))
        return self.workers[-1]

    def stop_worker(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.stop()

    def start_adapter(self, system: str) -> Process:
        """Also in the place of one that ended."""
        if system in self.adapters:
            self.adapters[system].process.wait(20)
        log = self.folder / f"adapter-{system}.log"
        self.adapters[system] = Process(f"adapter-{system}", ("adapter", system), self.environ(), log)
        return self.adapters[system]

    def open_partitions(self) -> set[int]:
        return {p["partition"] for worker in self.workers for p in worker.partitions()}

    def wait(self, condition: Callable[[], Any], what: str, deadline_s: float = PATIENCE) -> Any:
        try:
            return wait_until(condition, deadline_s, lambda: all(w.alive() for w in self.workers), what)
        except AssertionError:
            for process in (*self.workers, *self.adapters.values()):
                print(f"---- {process.name}\n{process.tail()}")
            raise

    def heal(self) -> None:
        """Whatever the test before left: everything runs, and one worker has every partition."""
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
        self.wait(lambda: len(self.open_partitions()) == PARTITIONS, "the worker to open every partition")

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


def children(pid: int) -> list[int]:
    """The processes this one started, alive or paused."""
    found = subprocess.run(["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True)
    rows = [line.split() for line in found.stdout.splitlines()]
    return [int(row[0]) for row in rows if int(row[1]) == pid and not row[2].startswith("Z")]


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def running(stack: Environment, services: NativeServices, folder: Path) -> Iterator[Platform]:
    """Prepared and started, capture not yet: the first snapshot is the tests' own."""
    databases = {system: create_database(stack, system) for system in (MASTER, *ADAPTED)}
    found = Platform(stack, services, databases, folder)
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
        delete_topics(AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0}))
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


def delete_topics(admin: AdminClient) -> None:
    mine = [name for name in admin.list_topics(timeout=30).topics if PREFIX in name]
    for future in admin.delete_topics(mine, operation_timeout=30).values() if mine else ():
        future.result()


def remove_connector(connect: Connect, name: str) -> None:
    if connect.config(name) is not None:
        connect.stop(name)
        connect.forget_offset(name)
        connect.delete(name)
