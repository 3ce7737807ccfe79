"""The partition store: one RocksDB a partition, a cache of that partition of topic `entity`.

Sits between a chunk's work and the topic. The topic is the truth: the write-ahead log is off, since a store
that lost its last writes is restored from its own checkpoint onward. One WriteBatch a chunk keeps entities, dirty
marks, the reverse index and the checkpoint of one moment together (invariants 2, 7). What the disk no longer gives
back as it was written is never guessed at: the store is lost, and made anew from the topic.

Keys: `e/<kind>/<id>` entity · `d/<kind>/<id>` dirty mark · `r/<ref kind>/<ref id>/<kind>/<id>` reverse index ·
`t/<date>/<kind>/<id>` due by time alone · `p/<state>/<system>/<since>/<kind>/<id>` not what a system is to hold ·
`m/...` the partition's own state and checkpoint.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path

import msgspec
import structlog
from msgspec import Raw, Struct
from rocksdict import (
    BlockBasedOptions,
    Cache,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteBufferManager,
    WriteOptions,
)

from streams.core.entity import Parity, Touch

ENTITY = b"e/"
DIRTY = b"d/"
REVERSE = b"r/"
TIMED = b"t/"
PARITY = b"p/"
STATE = b"m/state"
CHECKPOINT = b"m/checkpoint"
DISTRUSTED = "distrusted"
"""A file in the store's folder: it was found corrupt, and the next opening begins with an empty one."""

log = structlog.get_logger(__name__)

_BLOCK_CACHE_BYTES = 64 * 1024 * 1024
WRITE_BUFFER_BYTES = 64 * 1024 * 1024


class Shared:
    """One block cache and one write-buffer limit for all stores of a process."""

    def __init__(self, cache_bytes: int = _BLOCK_CACHE_BYTES, buffer_bytes: int = WRITE_BUFFER_BYTES) -> None:
        self.cache = Cache(cache_bytes)
        self.buffers = WriteBufferManager(buffer_bytes, False)


class Lost(Exception):
    """The store can't be read or written any more: corrupt, or on a full disk. It stands behind its topic then, so
    nothing may be worked on it; opened again, it is restored."""


class Checkpoint(Struct, array_like=True, frozen=True):
    """How far the store has followed topic `entity`: of which topic, up to which offset, when."""

    topic_id: str
    offset: int
    at_ms: int


class EntityIndex(Struct, array_like=True, gc=False):
    """The parts of a stored entity that indexes need; the rest stays raw. Mirrors `core.entity.Entity`."""

    kind: str
    id: str
    revision: int = 0
    claims: Raw = Raw()
    sent: Raw = Raw()
    findings: Raw = Raw()
    gaps: Raw = Raw()
    trail: Raw = Raw()
    dirty: Touch | None = None
    depends: list[str] = []
    announced: Raw = Raw()
    accepted: Raw = Raw()
    proposals: Raw = Raw()
    due: str = ""
    confirmed: Raw = Raw()
    judged: Raw = Raw()
    link: Raw = Raw()
    passing: Raw = Raw()
    parity: dict[str, Parity] = {}


decode_index = msgspec.msgpack.Decoder(EntityIndex).decode
_encode = msgspec.msgpack.Encoder().encode
_decode_checkpoint = msgspec.msgpack.Decoder(Checkpoint).decode


class Batch:
    """What one chunk changes in the store; applied at once."""

    def __init__(self) -> None:
        self._batch = WriteBatch(raw_mode=True)

    def put_entity(self, key: bytes, value: bytes, *, dirty: bool) -> None:
        """`key` is `<kind>/<id>`."""
        self._batch.put(ENTITY + key, value)
        if dirty:
            self._batch.put(DIRTY + key, b"")
        else:
            self._batch.delete(DIRTY + key)

    def drop_entity(self, key: bytes) -> None:
        """The entity is gone from its topic."""
        self._batch.delete(ENTITY + key)
        self._batch.delete(DIRTY + key)

    def depend(self, key: bytes, before: Iterable[str], after: Iterable[str]) -> None:
        """Keep the reverse index: which references this entity looked at."""
        old, new = set(before), set(after)
        for reference in old - new:
            self._batch.delete(_reverse(reference, key))
        for reference in new - old:
            self._batch.put(_reverse(reference, key), b"")

    def date(self, key: bytes, before: str, after: str) -> None:
        """Keep the index by date: when this entity is due by time alone; an empty date stands in no index."""
        if before and before != after:
            self._batch.delete(_timed(before, key))
        if after:
            self._batch.put(_timed(after, key), b"")

    def stand(self, key: bytes, before: Mapping[str, Parity], after: Mapping[str, Parity]) -> None:
        """Keep the index of who isn't what it is to be, by state, system and since when."""
        for system in before.keys() | after.keys():
            old, new = before.get(system), after.get(system)
            if old is not None and old.since_us and old != new:
                self._batch.delete(_apart(old.state, system, old.since_us, key))
            if new is not None and new.since_us:
                self._batch.put(_apart(new.state, system, new.since_us, key), b"")

    def put_state(self, state: bytes) -> None:
        """The partition's own state."""
        self._batch.put(STATE, state)

    def put_checkpoint(self, checkpoint: Checkpoint) -> None:
        """How far this store has followed its topic."""
        self._batch.put(CHECKPOINT, _encode(checkpoint))

    def raw(self) -> WriteBatch:
        """The batch for `Store.apply`."""
        return self._batch


class Store:
    """One partition's RocksDB. Single writer: its partition, under that partition's lock."""

    def __init__(self, path: Path, shared: Shared) -> None:
        self.path = path
        self._db = _opened(path, shared)
        self._write = WriteOptions()
        self._write.disable_wal = True
        self._db.set_write_options(self._write)

    def get(self, key: bytes) -> bytes | None:
        """The stored entity `<kind>/<id>`."""
        return self._value(ENTITY + key)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The stored entities of many keys, in their order."""
        try:
            values: list[bytes | None] = self._db.get([ENTITY + key for key in keys])
        except Exception as error:
            raise self._lost(error) from None
        return values

    def dirty(self) -> list[bytes]:
        """Keys of entities that are dirty."""
        return list(self._suffixes(DIRTY))

    def dependents(self, reference: str) -> list[bytes]:
        """Keys of the entities that looked at a reference `<kind>/<id>`."""
        return list(self._suffixes(REVERSE + reference.encode() + b"/"))

    def due(self, until: str, limit: int, after: bytes = b"") -> list[tuple[str, bytes]]:
        """Up to `limit` (date, key) due by time alone up to and with that date, by date; those behind `after`,
        the last one of an earlier call. Costs what is due, however many entities there are."""
        start = TIMED + after + b"\0" if after else TIMED
        found = islice(self._range(start, TIMED + until.encode() + _BEHIND_KEYS), limit)
        return [_untimed(key) for key in found]

    def due_count(self, until: str) -> int:
        """How many are due by time alone up to and with that date."""
        return sum(1 for _ in self._range(TIMED, TIMED + until.encode() + _BEHIND_KEYS))

    def apart(self, state: str, system: str) -> Iterator[tuple[int, bytes]]:
        """(since when, key) of the entities in this state with a system, the oldest first."""
        for found in self._suffixes(_apart(state, system)):
            since, _, key = found.partition(b"/")
            value = self.get(key)
            known = decode_index(value).parity.get(system) if value is not None else None
            # A restore leaves older entries behind: an entity has one state with a system.
            if known is not None and (known.state, known.since_us) == (state, int(since)):
                yield int(since), key

    def entity_keys(self, after: bytes = b"") -> Iterator[bytes]:
        """Keys of every entity, in order; those behind `after`."""
        return self._suffixes(ENTITY, after)

    def state(self) -> bytes | None:
        """The partition's own state."""
        return self._value(STATE)

    def checkpoint(self) -> Checkpoint | None:
        """How far this store has followed its topic; None for a fresh one."""
        value = self._value(CHECKPOINT)
        return _decode_checkpoint(value) if value is not None else None

    def apply(self, batch: Batch) -> None:
        """Write a chunk's changes at once."""
        try:
            self._db.write(batch.raw())
        except Exception as error:
            raise self._lost(error) from None

    def size_bytes(self) -> int:
        """Bytes of live data, estimated by RocksDB."""
        return int(self._db.property_int_value("rocksdb.estimate-live-data-size") or 0)

    def close(self) -> None:
        """Flush and release the files. What can't be flushed is restored from the topic."""
        with suppress(Exception):
            self._db.flush()
        with suppress(Exception):
            self._db.close()

    def _value(self, key: bytes) -> bytes | None:
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise self._lost(error) from None
        return value

    def _suffixes(self, prefix: bytes, after: bytes = b"") -> Iterator[bytes]:
        cut = len(prefix)
        start = prefix + after + b"\0" if after else prefix
        for key in self._range(start, prefix[:-1] + bytes([prefix[-1] + 1])):
            yield key[cut:]

    def _range(self, start: bytes, end: bytes) -> Iterator[bytes]:
        """Whole keys from `start` on, before `end`."""
        options = ReadOptions()
        options.set_iterate_upper_bound(end)
        found = self._db.iter(options)
        found.seek(start)
        while found.valid():
            yield found.key()
            found.next()
        try:
            found.status()  # a block that can't be read ends the walk like the last key does
        except Exception as error:
            raise self._lost(error) from None

    def _lost(self, error: Exception) -> Lost:
        if _corrupt(error):
            with suppress(OSError):
                (self.path / DISTRUSTED).touch()
        return Lost(f"store {self.path.name}: {error}")


def _opened(path: Path, shared: Shared) -> Rdict:
    """The database there, or an empty one in the place of one that can't be trusted."""
    if (path / DISTRUSTED).exists():
        log.warning("store.corrupt", store=path.name, error=DISTRUSTED, now="made anew from its topic")
        destroy(path)
    path.mkdir(parents=True, exist_ok=True)
    try:
        return Rdict(str(path), _options(shared))
    except Exception as error:
        if not _corrupt(error):
            raise
        log.warning("store.corrupt", store=path.name, error=str(error), now="made anew from its topic")
    destroy(path)
    path.mkdir(parents=True)
    return Rdict(str(path), _options(shared))


def _corrupt(error: Exception) -> bool:
    """RocksDB's errors differ by their text only. A full disk or a lock that is held says nothing of the data."""
    return str(error).startswith("Corruption") or "No such file or directory" in str(error)


def _reverse(reference: str, key: bytes) -> bytes:
    return REVERSE + reference.encode() + b"/" + key


_BEHIND_KEYS = b"0"
"""The byte after the slash: behind every key of a date."""


def _timed(date: str, key: bytes) -> bytes:
    return TIMED + date.encode() + b"/" + key


def _apart(state: str, system: str, since_us: int | None = None, key: bytes = b"") -> bytes:
    prefix = PARITY + f"{state}/{system}/".encode()
    return prefix if since_us is None else prefix + f"{since_us:017d}/".encode() + key


def _untimed(found: bytes) -> tuple[str, bytes]:
    date, _, key = found[len(TIMED) :].partition(b"/")
    return date.decode(), key


def _options(shared: Shared) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(shared.cache)
    table.set_bloom_filter(10.0, False)
    table.set_cache_index_and_filter_blocks(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_manager(shared.buffers)
    options.set_write_buffer_size(16 * 1024 * 1024)
    options.set_max_background_jobs(2)
    options.set_keep_log_file_num(2)
    return options


def destroy(path: Path) -> None:
    """Delete a store that can't be trusted; it is restored from the topic."""
    shutil.rmtree(path, ignore_errors=True)
