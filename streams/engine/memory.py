"""The engine in memory: a producer that keeps what it is given, references filled by hand, a partition driven by hand.

Shipped beside the real ones for scenarios and tests (`concord test`); the store is the real one. What time it is to
pending work is an argument, and nothing retries: a unit that fails raises after the handler has been loaded again, as
after a real failure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from msgspec import Struct

from streams.core.entity import Golden, encode_golden
from streams.engine.partition import DECISIONS, SLICE, Handler, Unit
from streams.engine.producer import Headers, Output
from streams.engine.references import DONE, References
from streams.engine.store import Checkpoint, Store


class Record(Struct):
    """A consumed record, with the names the transport's records have."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = []
    timestamp: int = 0


class Writes(Protocol):
    """What a partition asks of its producer."""

    def write(self, outputs: Sequence[Output]) -> int | None:
        """All outputs in one transaction or none of them; the last one's offset. Raises Fenced or Refused."""


class MemoryProducer:
    """Keeps every transaction. What stands in `failures` is raised by the next writes, before they take effect."""

    def __init__(self) -> None:
        self.transactions: list[list[Output]] = []
        self.failures: deque[Exception] = deque()
        self.written = 0

    def init(self) -> None:
        """Nobody to fence."""

    def write(self, outputs: Sequence[Output]) -> int | None:
        """All outputs as one transaction; the offset its last one would have."""
        if self.failures:
            raise self.failures.popleft()
        self.transactions.append(list(outputs))
        self.written += len(outputs)
        return self.written - 1 if outputs else None

    def close(self) -> None:
        """Nothing to release."""


class MemoryReferences(References):
    """References that are told what topic `reference` holds instead of reading it."""

    def __init__(self, partitions: int = 1, topic_id: str = "memory") -> None:
        super().__init__("", "reference", partitions)
        self._offset = 0
        self.topic_id = topic_id
        self.ready.set()

    def hear(self, outputs: Iterable[Output]) -> None:
        """What a transaction wrote to topic `reference`."""
        for output in outputs:
            name = output.key.decode() if output.key else ""
            if name.startswith(DONE):
                self._done.add(name)
            elif output.value:
                self._hear(name, output.value, output.partition or 0)

    def put(self, name: str, golden: Golden | None, partition: int = 0) -> None:
        """The golden record of `kind/id` as it is from now on; None when it is gone."""
        self._hear(name, None if golden is None else encode_golden(golden), partition)

    def _hear(self, name: str, value: bytes | None, partition: int) -> None:
        self._offset += 1
        self._know(name, value, partition, self._offset)


class MemoryPartition:
    """One partition, one unit at a time: the order of `engine.partition.Partition` without its loop and threads."""

    def __init__(
        self, store: Store, handler: Handler, producer: Writes | None = None, topic_id: str = "memory"
    ) -> None:
        self.store = store
        self._topic_id = topic_id
        self.handler = handler
        self.producer = producer or MemoryProducer()
        handler.load(store)

    def work(self, records: Sequence[Record] = (), now_ms: float = 0.0) -> list[Output]:
        """Work a chunk, or a tick when there are no records; what was written."""
        unit = Unit(self.store)
        try:
            for start in range(0, len(records), SLICE):
                self._aggregate(unit, records[start : start + SLICE], now_ms)
            for item in self.handler.due(unit, now_ms, DECISIONS):
                self.handler.decide(unit, item, now_ms)
            return self._commit(unit) if self.handler.close_unit(unit) else []
        except Exception:
            self.handler.load(self.store)
            raise

    def _aggregate(self, unit: Unit, records: Sequence[Record], now_ms: float) -> None:
        said = [self.handler.decode(record) for record in records]
        self.handler.prepare(unit, [key for key, _ in said if key is not None])
        for record, (key, what) in zip(records, said, strict=True):
            self.handler.take(unit, record, key, what, now_ms)

    def _commit(self, unit: Unit) -> list[Output]:
        offset = self.producer.write(unit.outputs)
        if offset is not None:
            unit.batch.put_checkpoint(Checkpoint(self._topic_id, offset + 1, time.time_ns() // 1_000_000))
        self.store.apply(unit.batch)
        return unit.outputs
