"""One captured source with a guard beside it, small enough to break in every way and to be made anew for each test.

    database -> topics -> connector -> `concord guard` in a process of its own

No worker and no adapter: what the guard says of capture must not depend on them.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors import sources
from connectors.connect import Connect
from connectors.source import Names
from connectors.sources import Source
from schemas import registry
from stack.environment import Environment
from streams import topics
from streams.operate import announced, findings
from streams.settings import Settings
from tests.faults.platform import remove_connector
from tests.faults.process import Process
from tests.fixtures.databases import Database
from tests.fixtures.kafka import delete_topics
from tests.fixtures.platform import settings_of
from tests.fixtures.stack import NativeServices
from tests.fixtures.waiting import wait_until

SYSTEM = "credentialing"
PARTITIONS = 2
PATIENCE = 180.0
"""Deadline of a wait; nothing is asserted about time, the machine may be busy."""


@dataclass(slots=True)
class Guarded:
    """The source, its capture and its guard, and the levers of the faults."""

    stack: Environment
    services: NativeServices
    settings: Settings
    source: Source
    database: Database
    guard: Process

    @property
    def name(self) -> str:
        return self.source.names.connector

    # ---- what is so ----

    def open(self, code: str) -> dict[str, Any] | None:
        """An open finding of that code."""
        found = [
            dict(f) for f in findings.read_open(self.settings) if f["kind"] == "system" and f["code"] == code
        ]
        return found[0] if found else None

    def wait_open(self, code: str) -> dict[str, Any]:
        began = time.monotonic()
        found: dict[str, Any] = self.wait(lambda: self.open(code), f"{code} to open")
        print(f"{code} open after {time.monotonic() - began:.1f} s: {found['message']}")
        return found

    def wait_closed(self, code: str) -> None:
        self.wait(lambda: self.open(code) is None, f"{code} to close")

    def status(self) -> Mapping[str, Any]:
        """What the guard says of itself; empty while it does not answer."""
        return next((a.status for a in announced.answering(self.settings, "guard")), {})

    def source_status(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.status().get("sources", {}).get(SYSTEM, {})
        return found

    def captures(self) -> bool:
        """The newest canaries arrive."""
        return bool(self.source_status()) and self.source_status()["late"].get("captured", 99.0) < 3.0

    def wait(self, condition: Any, what: str) -> Any:
        try:
            return wait_until(condition, PATIENCE, self.guard.alive, what)
        except AssertionError:
            print(f"---- guard\n{self.guard.tail()}\n---- open {list(findings.read_open(self.settings))}")
            print(f"---- status {self.status()}")
            raise

    def in_order(self) -> None:
        """Captures, and nothing is open but that no worker runs here."""
        self.wait(self.captures, "canaries to arrive")
        self.wait(lambda: self.codes() <= {"decide.stalled"}, "nothing to be open")

    def codes(self) -> set[str]:
        return {str(found["code"]) for found in findings.read_open(self.settings)}

    # ---- levers ----

    def run(self, statement: str, *values: Any) -> None:
        with self.database.connect() as connection:
            connection.execute(statement, values or None)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return connection.execute(statement).fetchall()

    def provide(self, last_name: str) -> str:
        """A row of the master."""
        who = str(uuid.uuid4())
        insert = "insert into provider (provider_id, npi, last_name, status) values (%s, '1234567893', %s, 'active')"
        self.run(insert, who, last_name)
        return who

    def drop_slot(self) -> None:
        """As somebody would who wants it gone: the reader is cut off first."""
        name = self.source.names.slot_name

        def dropped() -> bool:
            with suppress(psycopg.Error):
                cut = "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = %s"
                self.run(cut, name)
                self.run(
                    "select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = %s",
                    name,
                )
                return True
            return False

        wait_until(dropped, PATIENCE, what="the slot to be dropped")

    def captured(self, key: str) -> bool:
        """Whether a record of that key stands in the topic."""
        settings = {"bootstrap.servers": self.stack.kafka, "group.id": "nobody", "enable.partition.eof": True}
        with closing(Consumer({**settings, "log_level": 0})) as consumer:
            consumer.assign([TopicPartition(self.source.names.topic, p, 0) for p in range(PARTITIONS)])
            ended = 0
            while ended < PARTITIONS:
                for message in consumer.consume(500, 1.0):
                    ended += message.error() is not None
                    if message.error() is None and message.key() == key.encode():
                        return True
        return False

    def boundaries(self, *values: bytes) -> None:
        """Records of the source's transaction topic, as Debezium would write them."""
        producer = Producer({"bootstrap.servers": self.stack.kafka})
        for value in values:
            producer.produce(f"{self.name}.transaction", value)
        producer.flush(10)


@contextmanager
def guarded(
    stack: Environment, services: NativeServices, database: Database, audit: str, folder: Path
) -> Iterator[Guarded]:
    """Captured and watched, in order when it begins."""
    prefix = f"g{uuid.uuid4().hex[:8]}."
    environ = {
        **os.environ,
        **stack.variables(),
        "CONCORD_TOPIC_PREFIX": prefix,
        "CONCORD_AUDIT": audit,
        "CONCORD_PARTITIONS": str(PARTITIONS),
        "CONCORD_RUNNING_SOURCES": SYSTEM,
        f"CONCORD_CAPTURE_{SYSTEM.upper()}": database.capture,
        f"CONCORD_CANARY_{SYSTEM.upper()}": database.canary,
    }
    source = Source(Names(SYSTEM, prefix), database.capture, stack.capture_address)
    _prepare(stack, prefix)
    with Connect(stack.connect) as connect:
        sources.apply(connect, stack.kafka, [source])
        wait_until(
            lambda: sources.snapshot_finished(connect, source.names.connector), PATIENCE, what="the snapshot"
        )
    guard = Process("guard", ("guard",), environ, folder / "guard.log")
    found = Guarded(stack, services, settings_of(environ), source, database, guard)
    try:
        found.wait(found.captures, "the first canaries")
        yield found
    finally:
        guard.stop()
        _remove(stack, found, prefix)


def _prepare(stack: Environment, prefix: str) -> None:
    admin = AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0})
    mine = [t for t in topics.CATALOGUE if SYSTEM in t.name or t.name in ("finding", "workers")]
    topics.apply(admin, topics.Layout(partitions=PARTITIONS, prefix=prefix), mine)
    with registry.connect(stack.registry) as client:
        files = [f for f in registry.schema_files(prefix=prefix) if f.topic == f"{prefix}finding"]
        registry.publish(client, files)


def _remove(stack: Environment, found: Guarded, prefix: str) -> None:
    with Connect(stack.connect) as connect:
        remove_connector(connect, found.name)
    admin = AdminClient({"bootstrap.servers": stack.kafka, "log_level": 0})
    delete_topics(admin, prefix)
