"""The transactional producer without a broker: what a unit does that is larger than the client's queue."""

from __future__ import annotations

from typing import Any

from streams.engine.producer import Output, TransactionalProducer


class Client:
    """librdkafka's side: a queue that holds `room` records and is sent with each poll."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.queued: list[bytes | None] = []
        self.sent: list[bytes | None] = []
        self.committed: list[bytes | None] = []
        self._told: Any = None

    def begin_transaction(self) -> None:
        assert not self.queued

    def produce(self, topic: str, value: bytes | None, key: bytes | None, **more: Any) -> None:
        if len(self.queued) == self.room:
            raise BufferError
        self.queued.append(value)
        self._told = more.get("on_delivery")

    def poll(self, timeout: float) -> None:
        self.sent += self.queued
        self.queued.clear()

    def commit_transaction(self, timeout: float) -> None:
        self.poll(0)
        self.committed = self.sent
        self._told(None, self)

    def offset(self) -> int:
        return len(self.committed) - 1


def test_a_unit_larger_than_the_clients_queue_is_written_all_the_same() -> None:
    """Aborted and done again whole it would be as large each time, and its partition would stand still for good."""
    producer, client = TransactionalProducer("127.0.0.1:1", "p"), Client(room=2)
    producer._producer = client
    values: list[bytes | None] = [b"%d" % number for number in range(7)]
    assert producer.write([Output("entity", b"k", value, []) for value in values]) == 6
    assert client.committed == values
