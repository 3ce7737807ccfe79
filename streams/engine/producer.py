"""One transactional producer an input partition: a chunk's state and output are one transaction.

`init()` fences the partition's previous owner, so that a worker that was only asleep can't overwrite its
successor's state (invariants 2, 7). Every producer places keys as Connect does (`murmur2_random`).
Errors leave here as one of two: `Fenced` (another owns the partition, or the client is beyond repair: the process
must exit without acknowledging) or `Refused` (the transaction is aborted; the chunk is done again whole).
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from msgspec import Struct

from streams.errors import Transient
from streams.kafka import broker

COMMIT_SECONDS = 30.0
INIT_SECONDS = 60.0
ROOM_SECONDS = 0.05
"""Between two tries to put a record into a queue that is full."""
MAX_MESSAGE_BYTES = 17 * 1024 * 1024
"""A captured record may have 16 MiB; in the quarantine it has headers more, and must not be refused there."""
Headers = list[tuple[str, str | bytes | None]]


class Output(Struct, gc=False):
    """A record to produce; partition None lets the key decide."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    partition: int | None = None


class Fenced(Exception):
    """This process may not write for the partition any more; exit without committing."""


class Refused(Exception, Transient):
    """The transaction did not go through and was aborted."""


def config(bootstrap: str, transactional_id: str) -> dict[str, object]:
    """librdkafka settings of a partition's producer."""
    return {
        **broker(bootstrap),
        "transactional.id": transactional_id,
        "transaction.timeout.ms": 60_000,
        "acks": "all",
        "linger.ms": 1,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.max.bytes": MAX_MESSAGE_BYTES,
        "queue.buffering.max.messages": 200_000,
        "queue.buffering.max.kbytes": 512 * 1024,
        "socket.nagle.disable": True,
        "log_level": 3,  # errors; its warnings are retries that show in our metrics
    }


class TransactionalProducer:
    """Writes the outputs of one partition. Used under the partition's lock; blocking calls run in its thread."""

    def __init__(self, bootstrap: str, transactional_id: str) -> None:
        self.transactional_id = transactional_id
        self._producer = Producer(config(bootstrap, transactional_id))
        self._open = False

    def init(self) -> None:
        """Fence the previous owner and finish its open transaction."""
        self._guarded(lambda: self._producer.init_transactions(INIT_SECONDS))

    def write(self, outputs: Sequence[Output]) -> int | None:
        """Write all outputs in one transaction, or none of them. Returns the last output's offset.

        Raises Fenced or Refused. Blocks until the broker has committed.
        """
        offsets: list[int] = []
        failed: list[KafkaError] = []
        self._guarded(lambda: self._write(outputs, offsets, failed))
        return offsets[0] if offsets else None

    def _write(self, outputs: Sequence[Output], offsets: list[int], failed: list[KafkaError]) -> None:
        producer = self._producer
        producer.begin_transaction()
        self._open = True
        last = len(outputs) - 1

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failed.append(error)
            else:
                offsets.append(message.offset())

        for index, out in enumerate(outputs):
            extra: dict[str, object] = {"partition": out.partition} if out.partition is not None else {}
            if index == last:
                extra["on_delivery"] = delivered
            self._produce(out, extra)
        self._commit()
        self._open = False
        producer.poll(0)
        if failed:
            raise Refused(failed[0].str())

    def _produce(self, out: Output, extra: dict[str, object]) -> None:
        """Into the client's queue, once there is room: a unit that doesn't fit into it would never fit."""
        deadline = time.monotonic() + COMMIT_SECONDS
        while True:
            try:
                self._producer.produce(out.topic, out.value, out.key, headers=out.headers, **extra)
                return
            except BufferError:
                if time.monotonic() > deadline:
                    raise
                self._producer.poll(ROOM_SECONDS)

    def _commit(self) -> None:
        """Commit until the answer is definite: after a time-out the outcome is unknown, so ask again."""
        while True:
            try:
                self._producer.commit_transaction(COMMIT_SECONDS)
                return
            except KafkaException as error:
                if not error.args[0].retriable():
                    raise

    def _guarded(self, call: Callable[[], None]) -> None:
        try:
            call()
        except KafkaException as error:
            self._refuse(error.args[0])
        except BufferError:
            self._abort()
            raise Refused("the producer's queue is full") from None

    def _refuse(self, error: KafkaError) -> None:
        if error.fatal() or error.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH):
            raise Fenced(f"{self.transactional_id}: {error.str()}")
        self._abort()
        raise Refused(error.str())

    def _abort(self) -> None:
        if not self._open:
            return
        try:
            self._producer.abort_transaction(COMMIT_SECONDS)
            self._open = False
        except KafkaException as error:
            # A transaction that can't even be aborted leaves no way to go on in this process.
            raise Fenced(f"{self.transactional_id}: abort failed: {error.args[0].str()}") from None

    def close(self) -> None:
        """Drop the client; an open transaction is aborted, or ended by the next owner's init."""
        self._producer.purge()
        with contextlib.suppress(KafkaException):  # a fenced client only says so once more
            self._producer.flush(1)
