"""What the platform holds, as hashes: topic `entity` read twice, then followed from where it was left.

    entity (compacted) --> {entity: its rows' hashes}, and how far each partition has read its inputs

First which records are their keys' newest, then those alone: an entity is written by every unit that touches it, eleven
times in an initial load before its topic is compacted, and to hash its rows costs ten times what reading it does.

The topic is the truth a worker's store is a cache of, and `partition/<p>` in it moves in the transaction that changes
an entity: once that says an input was read up to an offset, what followed from it has been read here too. Some 60
bytes a row are kept. Joins no group, commits nothing, and keeps no value of a row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

import msgspec
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from msgspec import Struct

from streams.core.verify import Hash, Name, Shape, Shapes
from streams.errors import Unavailable
from streams.operate import reading
from streams.operate.reading import Place
from streams.settings import Settings, need

PARTITION = b"partition/"
BATCH = 2_000
PATIENCE = 120.0
"""Seconds without progress before we say that nobody decides."""


class _State(Struct, array_like=True):
    """How far a partition has read its inputs. Mirrors `agents.state.PartitionState`."""

    inputs: dict[str, int] = {}


_decode_state = msgspec.msgpack.Decoder(_State).decode
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, str, Hash]]).decode
_NO_ROWS = _encode([])


class Entities:
    """The rows of some tables as the platform holds them; a context manager."""

    def __init__(self, settings: Settings, shapes: Shapes) -> None:
        self._kafka: str = need(settings.kafka, "CONCORD_KAFKA")
        self._topic = settings.topic("entity")
        self._partitions = range(settings.partitions)
        self._shapes = shapes
        self._rows: dict[bytes, bytes] = {}
        self._watched: dict[bytes, list[bytes]] = {}
        """watched entity -> its rows as they stood before those of now, oldest first"""
        self._inputs: dict[int, dict[str, int]] = {}
        self._newest: dict[int, tuple[int, set[int]]] = {}
        """partition -> up to where it is known which records are the newest of their keys, and their offsets"""
        self._at: dict[int, int] = {}
        """partition -> up to where it was read; at its end, behind the markers that take offsets too"""

    def __enter__(self) -> Self:
        self._context = reading.consumer(self._kafka)
        self._consumer: Consumer = self._context.__enter__()
        self._starts = reading.beginnings(self._topic, self._partitions)
        self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._starts.items()])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, fault, trace)

    def __len__(self) -> int:
        return len(self._rows)

    # ---- following ----

    def past(self, wanted: Mapping[Place, int], patience: float = PATIENCE) -> None:
        """Follow until every input has been read up to its offset; Unavailable when none moves any more."""
        self._until(lambda: all(self._input(place) >= offset for place, offset in wanted.items()), patience)

    def to_the_end(self, patience: float = PATIENCE) -> None:
        """Follow up to where the topic ends now."""
        places = [(self._topic, number) for number in self._partitions]
        ends = {number: end for (_, number), (_, end) in reading.ends(self._kafka, places).items()}
        self._until(lambda: all(self._at.get(number, 0) >= end for number, end in ends.items()), patience)

    def _input(self, place: Place) -> int:
        topic, number = place
        return self._inputs.get(number, {}).get(topic, 0)

    def _until(self, reached: Callable[[], bool], patience: float) -> None:
        if not self._newest:
            self._newest = self._look_ahead()
        moved = time.monotonic()
        while not reached():
            messages = self._consumer.consume(BATCH, 0.05)
            if sum(self._hear(message) for message in messages):
                moved = time.monotonic()
            if time.monotonic() - moved > patience:
                what = f"topic {self._topic} does not get past what is captured"
                raise Unavailable(
                    "verify.not_decided", what, "concord status: does a worker have every partition?"
                )

    def _look_ahead(self) -> dict[int, tuple[int, set[int]]]:
        newest: dict[int, dict[bytes, int]] = {number: {} for number in self._partitions}
        for message in reading.read(self._kafka, self._starts):
            newest[message.partition() or 0][message.key() or b""] = message.offset() or 0
        offsets = {number: set(found.values()) for number, found in newest.items()}
        return {number: (max(found, default=-1), found) for number, found in offsets.items()}

    def _hear(self, message: Message) -> bool:
        """Whether the record says something."""
        error = message.error()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:
                self._at[message.partition() or 0] = message.offset() or 0
                return False
            raise Unavailable("kafka.unavailable", error.str(), "python -m stack status")
        number, offset = message.partition() or 0, message.offset() or 0
        self._at[number] = offset + 1
        known, newest = self._newest[number]
        if offset <= known and offset not in newest:
            return True
        key, value = message.key() or b"", message.value()
        if key.startswith(PARTITION):
            self._inputs[number] = _decode_state(value or b"\x90").inputs
        elif self._shapes.holds(key):
            self._keep(key, value)
        return True

    def _keep(self, key: bytes, value: bytes | None) -> None:
        rows = self._shapes.rows(value) if value is not None else []
        if key in self._watched:
            self._watched[key].append(self._rows.get(key, _NO_ROWS))
        if rows:
            self._rows[key] = _encode(rows)
        else:
            self._rows.pop(key, None)

    # ---- what is held ----

    def rows(self) -> Iterator[tuple[int, Name, Hash]]:
        """(table's number, name, hash) of every row."""
        for key, packed in self._rows.items():
            entity_id = key.partition(b"/")[2].decode()
            for number, row_id, hash_ in _decode(packed):
                yield number, (entity_id, row_id), hash_

    def watch(self, wanted: Iterable[tuple[Shape, Iterable[Name]]]) -> None:
        """Be where the topic ends, and from there remember how these rows change, in place of those watched before."""
        self._watched = {}
        self.to_the_end()
        self._watched = {
            key: [] for shape, names in wanted for entity_id, _ in names for key in _keys(shape, entity_id)
        }

    def held(self, shape: Shape, names: Iterable[Name]) -> dict[Name, list[Hash | None]]:
        """Each named row as it was held since it is watched, one after the other: None while it was not."""
        return {name: self._held(shape, *name) for name in names}

    def _held(self, shape: Shape, entity_id: str, row_id: str) -> list[Hash | None]:
        """A row belongs to one kind of entity: under any other it stands never."""
        found: list[Hash | None] = [None]
        for key in _keys(shape, entity_id):
            known = [*self._watched.get(key, ()), self._rows.get(key, _NO_ROWS)]
            hashes = [_hash(shape, row_id, packed) for packed in known]
            if any(hash_ is not None for hash_ in hashes):
                found = hashes
        return found

    def kind_of(self, shape: Shape, entity_id: str) -> str:
        """The kind of the entity that has the row; the table's first where nobody has it."""
        return next((k for k in shape.kinds if f"{k}/{entity_id}".encode() in self._rows), shape.kinds[0])

    def stored(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The entities as they stand in the topic: one more pass over it."""
        wanted = set(keys)
        if not wanted:
            return {}
        found: dict[bytes, bytes] = {}
        for message in reading.read(self._kafka, reading.beginnings(self._topic, self._partitions)):
            key, value = message.key() or b"", message.value()
            if key in wanted:
                found.pop(key, None)
                if value is not None:
                    found[key] = value
        return found


def _keys(shape: Shape, entity_id: str) -> list[bytes]:
    return [f"{kind}/{entity_id}".encode() for kind in shape.kinds]


def _hash(shape: Shape, row_id: str, packed: bytes) -> Hash | None:
    return next((h for number, row, h in _decode(packed) if number == shape.number and row == row_id), None)
