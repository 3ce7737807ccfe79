"""Running adapters for tests: their sink topics with views in them, the process, a line that can be cut."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.sink import KINDS, View
from schemas import registry
from stack.environment import Environment
from streams.trust import trusted
from tests import views
from tests.fixtures.waiting import wait_until

RUN = "import json, sys; from connectors.run import run; sys.exit(run(**json.loads(sys.argv[1])))"


@dataclass(slots=True)
class Sinks:
    """The sink topics of one system, written as decide writes them: transactions, murmur2, wire format."""

    stack: Environment
    system: str
    prefix: str
    _ids: dict[str, int] = field(default_factory=dict)
    _producer: Any = None

    def open(self) -> Sinks:
        mine = [f for f in registry.schema_files(prefix=self.prefix) if f".{self.system}." in f.topic]
        with registry.connect(self.stack.registry) as client:
            registry.publish(client, mine)
            self._ids = registry.ids(client, mine)
        settings = {"bootstrap.servers": self.stack.kafka, "partitioner": "murmur2_random"}
        self._producer = Producer({**settings, "transactional.id": f"{self.prefix}test", "log_level": 0})
        self._producer.init_transactions(30)
        return self

    def send(self, *sent: View, committed_us: int | None = None) -> None:
        headers = {"concord-committed-us": str(committed_us)} if committed_us else {}
        self._producer.begin_transaction()
        for view in sent:
            topic = f"{self.prefix}sink.{self.system}.{view.kind}"
            self._produce(topic, view.entity_id, views.wire(self.system, view, self._ids[topic]), headers)
        self._producer.commit_transaction(30)

    def made_again(self, admin: AdminClient, create: Callable[[str], str]) -> None:
        """The same topics in a new incarnation, and a producer that has met no other."""
        names = [f"{self.prefix}{name}" for name in self.topics()]
        for future in admin.delete_topics(names, operation_timeout=30).values():
            future.result()
        wait_until(lambda: not {*names} & {*admin.list_topics(timeout=30).topics}, 60, what="them to be gone")
        for name in self.topics():
            create(name)
        self.open()

    def send_raw(self, kind: str, key: str, value: bytes | None) -> None:
        self._producer.begin_transaction()
        self._produce(f"{self.prefix}sink.{self.system}.{kind}", key, value, {})
        self._producer.commit_transaction(30)

    def topics(self) -> list[str]:
        return [f"sink.{self.system}.{kind}" for kind in KINDS[self.system]]

    def _produce(self, topic: str, key: str, value: bytes | None, headers: dict[str, str]) -> None:
        self._producer.produce(topic, key=key, value=value, headers=headers)
        self._producer.poll(0)


@dataclass(slots=True)
class AdapterProcess:
    """One adapter, as a process of its own."""

    process: subprocess.Popen[bytes]
    stack: Environment
    prefix: str

    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_for(self, condition: Callable[[], Any], deadline_s: float = 60, what: str = "") -> Any:
        return wait_until(condition, deadline_s, self.alive, what)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(20)

    def status(self) -> dict[str, Any] | None:
        found = self.announced()
        if not found:
            return None
        answer: dict[str, Any] = httpx.get(
            f"http://{found['host']}:{found['port']}/status", verify=trusted()
        ).json()
        return answer

    def announced(self) -> dict[str, Any] | None:
        mine = [json.loads(v) for _, v in records(self.stack, f"{self.prefix}workers") if v]
        return next((about for about in mine if about["pid"] == self.process.pid), None)


@contextmanager
def adapter(stack: Environment, system: str, dsn: str, prefix: str) -> Iterator[AdapterProcess]:
    arguments = {
        "system": system,
        "kafka": stack.kafka,
        "registry": stack.registry,
        "dsn": dsn,
        "topic_prefix": prefix,
    }
    command = [sys.executable, "-c", RUN, json.dumps(arguments)]
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log) as process:
        try:
            yield AdapterProcess(process, stack, prefix)
        finally:
            process.kill()
            process.wait()
            log.seek(0)
            print(log.read())  # pytest shows it when the test fails


def records(stack: Environment, topic: str) -> list[tuple[str, bytes | None]]:
    """Everything in a topic, key and value, up to its end."""
    settings = {"bootstrap.servers": stack.kafka, "group.id": "nobody", "fetch.wait.max.ms": 10}
    consumer = Consumer(
        {**settings, "enable.partition.eof": True, "enable.auto.commit": False, "log_level": 0}
    )
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in partitions])
        return list(_until_ends(consumer, len(partitions)))
    finally:
        consumer.close()


def _until_ends(consumer: Consumer, partitions: int) -> Iterable[tuple[str, bytes | None]]:
    ends = 0
    while ends < partitions:
        message = consumer.poll(30)
        assert message is not None, "the broker stopped answering"
        if message.error():
            ends += 1
        else:
            yield message.key().decode(), message.value()


class Line:
    """A TCP line to the database that a test can cut and mend: the target is down, the server is not."""

    def __init__(self, dsn: str) -> None:
        self._there = urlsplit(dsn)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self._open: list[socket.socket] = []
        self._up = threading.Event()
        self._closed = threading.Event()
        self._up.set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def dsn(self) -> str:
        user = self._there.netloc.rpartition("@")[0]
        return urlunsplit(self._there._replace(netloc=f"{user}@127.0.0.1:{self._listener.getsockname()[1]}"))

    def cut(self) -> None:
        self._up.clear()
        self._hang_up()

    def mend(self) -> None:
        self._up.set()

    def close(self) -> None:
        self._closed.set()
        self._hang_up()
        self._listener.close()

    def _hang_up(self) -> None:
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)  # wakes the pump, which closes both ends

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                here, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            if self._up.is_set():
                self._connect(here)
            else:
                here.close()

    def _connect(self, here: socket.socket) -> None:
        there = socket.create_connection((self._there.hostname or "", self._there.port or 5432))
        self._open += [here, there]
        threading.Thread(target=_pump, args=(here, there), daemon=True).start()


def _pump(here: socket.socket, there: socket.socket) -> None:
    try:
        while ready := select.select([here, there], [], [])[0]:
            for side in ready:
                data = side.recv(65536)
                if not data:
                    raise OSError
                (there if side is here else here).sendall(data)
    except OSError:
        here.close()
        there.close()
