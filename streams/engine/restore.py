"""Restores a partition store from its partition of topic `entity`, before anything is read or decided.

Runs after the producer has fenced its predecessor, so that nothing can be written behind its back. Starts at the
store's checkpoint, or at the beginning when that checkpoint can't be trusted: another topic id, past the log's end,
or older than the topic keeps tombstones. Never writes to Kafka.

It reads backwards, one stretch of the log after another: until the topic is compacted it holds an entity many times
(once a chunk that touched it), and of a key only the newest record counts. An older one is not even looked into.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from streams.engine.store import Batch, Checkpoint, Store, decode_index
from streams.errors import Unavailable
from streams.kafka import broker

STATE_KEY_PREFIX = b"partition/"
STRETCH = 10_000
"""Offsets read at a time: the newest records of one stretch are held in memory."""
_BATCH = 1_000
_POLL_SECONDS = 0.05
_STALL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    records: int
    seconds: float
    from_offset: int
    end: int


def trusted_offset(
    checkpoint: Checkpoint | None, topic_id: str, low: int, end: int, now_ms: int, keep_ms: int
) -> int | None:
    """Where to go on from, or None when the store must be built anew."""
    if checkpoint is None or checkpoint.topic_id != topic_id:
        return None
    if checkpoint.offset > end or checkpoint.offset < low:
        return None
    if now_ms - checkpoint.at_ms > keep_ms:
        return None  # a tombstone may have come and gone unseen
    return checkpoint.offset


class Restorer:
    """Reads one partition of `entity` to its end into a store."""

    def __init__(
        self,
        bootstrap: str,
        topic: str,
        topic_id: str,
        partition: int,
        keep_ms: int,
        stretch: int = STRETCH,
    ) -> None:
        self._tp = (topic, partition)
        self._length = stretch
        self._topic_id = topic_id
        self._keep_ms = keep_ms
        self.done = self.total = 0
        """offsets read, of how many: written by the restoring thread only"""
        self._consumer = Consumer(
            {
                **broker(bootstrap),
                "group.id": f"concord-restore-{partition}",  # required by the client; never committed
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                # What is read ahead of a stretch is thrown away: the one behind it was read before.
                "queued.min.messages": 2_000,
                "queued.max.messages.kbytes": 16 * 1024,  # a partition; all of a worker restore at once
                "fetch.queue.backoff.ms": 5,  # by default a queue that was full is not filled for a second
                "fetch.wait.max.ms": 10,  # by default the end of the topic is told after half a second of waiting
            }
        )

    def run(self, store: Store, empty: Callable[[], Store]) -> tuple[Store, Restored]:
        """The restored store (`empty()` makes a fresh one when the checkpoint can't be trusted)."""
        started = time.monotonic()
        try:
            low, end = self._consumer.get_watermark_offsets(TopicPartition(*self._tp), timeout=30)
            now_ms = time.time_ns() // 1_000_000
            start = trusted_offset(store.checkpoint(), self._topic_id, low, end, now_ms, self._keep_ms)
            if start is None:
                store, start = empty(), low
            records, position = self._read(store, start, end)
            return store, Restored(records, time.monotonic() - started, start, position)
        except KafkaException as error:
            raise Unavailable("restore.broker", f"{self._tp[0]}: {error.args[0].str()}") from None
        finally:
            self._consumer.close()

    def _read(self, store: Store, start: int, end: int) -> tuple[int, int]:
        """(records read, position behind the last). The checkpoint comes last: what is interrupted begins again."""
        count, position, known = 0, start, set[bytes]()
        self.total = end - start
        for high in range(end, start, -self._length):
            low = max(high - self._length, start)
            newest, read, reached = self._stretch(low, high, known)
            known.update(newest)
            count, position = count + read, max(position, reached)
            batch = Batch()
            for key, value in newest.items():
                _take(batch, key, value)
            if low == start:
                batch.put_checkpoint(Checkpoint(self._topic_id, position, time.time_ns() // 1_000_000))
            store.apply(batch)
            self.done = end - low
        return count, position

    def _stretch(
        self, low: int, high: int, known: Container[bytes]
    ) -> tuple[dict[bytes, bytes | None], int, int]:
        """Of the offsets from `low` to before `high`: the newest value of each key that is not known yet, how many
        records were read, and the position behind them."""
        self._consumer.assign([TopicPartition(*self._tp, low)])
        newest: dict[bytes, bytes | None] = {}
        count, position, quiet_since = 0, low, time.monotonic()
        while position < high:
            messages = self._consumer.consume(_BATCH, _POLL_SECONDS)
            for message in messages:
                error, offset = message.error(), message.offset() or 0
                if error is None and offset < high:
                    key = message.key() or b""
                    if key not in known:
                        newest[key] = message.value()
                    count, position = count + 1, offset + 1
                elif error is None or error.code() == KafkaError._PARTITION_EOF:
                    # The next stretch, or the client's own end: transaction markers take offsets no record shows.
                    return newest, count, max(position, min(offset, high))
                else:
                    raise KafkaException(error)
            quiet_since = time.monotonic() if messages else quiet_since
            if time.monotonic() - quiet_since > _STALL_SECONDS:
                raise Unavailable("restore.stalled", f"{self._tp[0]} stopped at {position} of {high}")
        return newest, count, position


def _take(batch: Batch, key: bytes, value: bytes | None) -> None:
    if key.startswith(STATE_KEY_PREFIX):
        if value is not None:
            batch.put_state(value)
        return
    if value is None:
        batch.drop_entity(key)
        return
    index = decode_index(value)
    batch.put_entity(key, value, dirty=index.dirty is not None)
    # References an older revision looked at may stay in the index: a superfluous decision, never a missing one.
    batch.depend(key, (), index.depends)
    # So may an older date: a sweep that finds the entity due on another day takes it out.
    batch.date(key, "", index.due)
    # And an older standing: who asks for the oldest looks whether it still holds.
    batch.stand(key, {}, index.parity)
