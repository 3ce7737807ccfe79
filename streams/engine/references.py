"""The broadcast store: every reference's golden record, in every worker.

Topic `reference` (compacted) is read whole, without a group, to its end before anything is decided, and followed
afterwards. Partition p of the topic is written by input partition p only, so its done marker stands behind all its
references. Lookups never block; partitions ask `since` what changed and mark the dependents themselves.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.core.entity import Golden, decode_golden
from streams.engine.topic import topic_id
from streams.kafka import broker

log = structlog.get_logger(__name__)

DONE = "done/"
DECODED = 5_000
"""References kept decoded, some 3 KB each where it takes 0.5 KB to keep them as they came: memory must not grow with
all clinics of a country, and what is decided in a row mostly names the same ones."""
_BATCH = 500
_POLL_SECONDS = 0.05


def done_key(system: str, epoch: int, partition: int) -> str:
    """The marker: this partition has decided every reference of that snapshot."""
    return f"{DONE}{system}/{epoch}/{partition}"


class References:
    """Golden records by `kind/id`, in memory as they were broadcast. Changed on the event loop only."""

    def __init__(self, bootstrap: str, topic: str, partitions: int) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._partitions = partitions
        self._known: dict[str, bytes] = {}
        self._decoded: dict[str, Golden] = {}
        self._changed: dict[str, tuple[int, int, int]] = {}
        """name -> (sequence, partition, offset), oldest change first"""
        self._done: set[str] = set()
        self._sequence = 0
        self._listeners: list[Callable[[], None]] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.ready = asyncio.Event()
        self.topic_id = ""
        """set before `ready`: offsets of a topic made anew are another one's"""

    def get(self, kind: str, entity_id: str) -> Golden | None:
        """The golden record of a reference, or None while it is unknown."""
        name = f"{kind}/{entity_id}"
        golden = self._decoded.get(name)
        if golden is None and (value := self._known.get(name)) is not None:
            if len(self._decoded) >= DECODED:
                self._decoded.clear()
            golden = self._decoded[name] = decode_golden(value)
        return golden

    def since(self, sequence: int) -> tuple[int, list[tuple[str, int, int]]]:
        """(newest sequence, [(name, partition, offset)]) of what changed after `sequence`, oldest first."""
        found: list[tuple[str, int, int]] = []
        for name, (changed, partition, offset) in reversed(self._changed.items()):
            if changed <= sequence:
                break
            found.append((name, partition, offset))
        return self._sequence, found[::-1]

    def all_done(self, system: str, epoch: int) -> bool:
        """Whether every partition has decided its references of that snapshot."""
        return all(done_key(system, epoch, p) in self._done for p in range(self._partitions))

    def listen(self, callback: Callable[[], None]) -> None:
        """Call back on the event loop after each batch of changes."""
        self._listeners.append(callback)

    def __len__(self) -> int:
        return len(self._known)

    def start(self) -> None:
        """Begin to read; `ready` is set once the end that was seen at the start is reached."""
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._follow, args=(loop,), name="references", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the reader."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _follow(self, loop: asyncio.AbstractEventLoop) -> None:
        consumer = Consumer(
            {
                **broker(self._bootstrap),
                "group.id": "concord-references",  # required by the client; never committed, never joined
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 20,
                "fetch.queue.backoff.ms": 10,  # as in restore: many references must not wait a second for their reader
                "enable.partition.eof": True,
            }
        )
        self._identify()
        ends = dict.fromkeys(range(self._partitions), False)
        consumer.assign([TopicPartition(self._topic, p, 0) for p in ends])
        try:
            while not self._stop.is_set():
                messages = consumer.consume(_BATCH, _POLL_SECONDS)
                for message in messages:
                    error = message.error()
                    if error is not None and error.code() == KafkaError._PARTITION_EOF:
                        ends[message.partition()] = True
                records = [m for m in messages if m.error() is None]
                if records or (all(ends.values()) and not self.ready.is_set()):
                    loop.call_soon_threadsafe(self._take, records, all(ends.values()))
        except RuntimeError:
            pass  # the event loop closed while the process stops
        finally:
            consumer.close()

    def _identify(self) -> None:
        """Which topic it is; asked until the broker answers."""
        while not self.topic_id and not self._stop.wait(_POLL_SECONDS):
            try:
                self.topic_id = topic_id(self._bootstrap, self._topic)
            except KafkaException as error:
                log.warning("references.unknown_topic", topic=self._topic, error=str(error.args[0]))
                self._stop.wait(1.0)

    def _take(self, records: list[Message], at_end: bool) -> None:
        for record in records:
            key = record.key()
            self._one(key.decode() if key else "", record)
        if at_end:
            self.ready.set()
        for callback in self._listeners:
            callback()

    def _one(self, name: str, record: Message) -> None:
        if name.startswith(DONE):
            self._done.add(name)
            return
        self._know(name, record.value(), record.partition() or 0, record.offset() or 0)

    def _know(self, name: str, value: bytes | None, partition: int, offset: int) -> None:
        self._decoded.pop(name, None)
        if value is None:
            self._known.pop(name, None)
        else:
            self._known[name] = value
        self._sequence += 1
        self._changed.pop(name, None)
        self._changed[name] = (self._sequence, partition, offset)
