"""The sink topics, read once and to their end: what was published, in which order, under which revision.

Read committed, as adapters do. Notes what must never be: a revision that falls, two contents under one revision,
a token that goes back, a view of half a transaction (its marks differ).
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import fastavro
from confluent_kafka import Consumer, Message, TopicPartition

from connectors.sink import KINDS
from connectors.wire import HEAD, reader_schema
from tests.faults import marks
from tests.faults.ledger import Ledger
from tests.faults.platform import PARTITIONS, PREFIX


@dataclass(frozen=True, slots=True)
class Published:
    """The newest view of one entity in one sink."""

    revision: int
    content: dict[str, Any]
    token: int


@dataclass(slots=True)
class Sinks:
    """What stands in the topics so far."""

    kafka: str
    ledger: Ledger
    newest: dict[tuple[str, str, str], Published] = field(default_factory=dict)
    """(system, kind, entity) -> its newest view"""
    torn: dict[tuple[str, int], str] = field(default_factory=dict)
    """(entity, revision) -> a view that shows two transactions"""
    wrong: list[str] = field(default_factory=list)
    _next: dict[tuple[str, int], int] = field(default_factory=lambda: defaultdict(int))

    def read(self) -> None:
        """Go on to the ends of all topics."""
        settings = {"bootstrap.servers": self.kafka, "group.id": "nobody", "enable.auto.commit": False}
        wanted = {"isolation.level": "read_committed", "enable.partition.eof": True, "log_level": 0}
        consumer = Consumer({**settings, **wanted})
        try:
            for message in self._to_ends(consumer):
                _, _, system, kind = message.topic().split(".")
                self._take(system, kind, message)
        finally:
            consumer.close()

    def _to_ends(self, consumer: Consumer) -> Iterator[Message]:
        places = [(f"{PREFIX}sink.{s}.{k}", p) for s in KINDS for k in KINDS[s] for p in range(PARTITIONS)]
        consumer.assign([TopicPartition(t, p, self._next[t, p]) for t, p in places])
        open_places = set(places)
        while open_places:
            message = consumer.poll(30)
            assert message is not None, "the broker stopped answering"
            place = (message.topic() or "", message.partition() or 0)
            if message.error() is not None:
                open_places.discard(place)
            elif message.value() is not None:
                self._next[place] = (message.offset() or 0) + 1
                yield message

    def _take(self, system: str, kind: str, message: Message) -> None:
        content = _decode(system, kind, message.value() or b"")
        entity_id, revision = (message.key() or b"").decode(), int(content.pop("revision"))
        where = f"{message.topic()}[{message.partition()}]@{message.offset()} {entity_id} revision {revision}"
        before = self.newest.get((system, kind, entity_id))
        if before is not None and revision <= before.revision and content != before.content:
            self.wrong.append(f"{where}: another content after revision {before.revision}")
        token = before.token if before is not None else 0
        if kind == "provider" and content["status"] == "active":
            found = marks.of_view(content)
            if len(found) > 1:
                self.torn[entity_id, revision] = f"{where}: of transactions {sorted(found)}"
            token = self._marks(where, entity_id, token, found)
        self.newest[system, kind, entity_id] = Published(revision, content, token)

    def _marks(self, where: str, entity_id: str, before: int, found: set[int]) -> int:
        for token in found - {0}:
            if not self.ledger.may_show(entity_id, token):
                self.wrong.append(f"{where}: token {token}, which the master never confirmed")
        if max(found) < before:
            self.wrong.append(f"{where}: token {max(found)} after {before}")
        return max(before, *found)


def _decode(system: str, kind: str, value: bytes) -> dict[str, Any]:
    content = fastavro.schemaless_reader(io.BytesIO(value[HEAD:]), reader_schema(system, kind), None)
    assert isinstance(content, dict)
    return content
