"""What was read and not yet acknowledged: a partition's backlog, its chunks that are out, how far to commit.

Between the fetching thread (`fetch`) and Faust's conductor (`transport`). Pure bookkeeping on one event loop:
it never talks to Kafka, never waits, and never looks inside a record.

The rules it keeps:
- A partition has at most `in_flight` chunks out. What else was read waits in its backlog, so a partition
  whose agent is stuck holds up nobody: Faust's bounded queues can't fill.
- Only an unbroken run of acknowledged chunks, from the oldest on, may be committed (Invariant 2).
- After `clear` a chunk of before is dead: acknowledging it moves nothing, because its records are read
  again from the committed offset (Invariant 7).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord
from faust.types import TP

BACKLOG_BYTES = 16 * 1024 * 1024
"""Beyond it a partition's backlog takes no more: rows of a kilobyte wait by the thousand, of megabytes not."""


@dataclass(slots=True, eq=False)
class Chunk:
    """Consecutive records of one partition, delivered to an agent as the value of one Faust event."""

    tp: TP
    records: list[ConsumerRecord]
    behind: int = 0
    """Offsets that could be read when its last record came and stand in no chunk yet: over 0, there is more at once."""
    live: bool = True
    """False once the partition was taken away or read again: drop the work, no acknowledgement counts."""
    acked: bool = False
    size: int = 0
    """Records it may grow to."""
    source: Partition | None = None
    """Where it comes from, until it is settled: it must not keep itself alive, as a bound method would."""
    arrived: Callable[[], None] = lambda: None
    """Called when there may be more. Set by who works the chunk."""

    def __len__(self) -> int:
        return len(self.records)

    @property
    def end(self) -> int:
        """The offset to commit for it: the one after its last record."""
        return int(self.records[-1].offset) + 1

    def more(self) -> Sequence[ConsumerRecord]:
        """Take what has been read behind its last record into the chunk, and return it."""
        return self.source.grow(self) if self.source is not None else ()


@dataclass(slots=True)
class Partition:
    """One partition between the broker and its agent."""

    backlog: deque[ConsumerRecord] = field(default_factory=deque)
    weight: int = 0
    """Bytes of the values in the backlog."""
    out: deque[Chunk] = field(default_factory=deque)
    position: int | None = None
    """Where reading goes on: after the last record read and the transaction markers that follow it."""
    highwater: int = 0
    acked: int | None = None

    @property
    def committable(self) -> int | None:
        """The offset to commit. With nothing outstanding it is the position: markers are behind us as well.

        Stopping at "last record + 1" would leave a lag that never ends before a closing marker, and an
        offset that retention later takes for lost records.
        """
        return self.acked if self.out or self.backlog else self.position

    def take(self, tp: TP, size: int) -> Chunk:
        """The next chunk, now out."""
        chunk = Chunk(tp, self._take(size), source=self, size=size)
        chunk.behind = self._ahead()
        self.out.append(chunk)
        return chunk

    def _take(self, size: int) -> list[ConsumerRecord]:
        found = [self.backlog.popleft() for _ in range(min(size, len(self.backlog)))]
        self.weight -= _bytes(found)
        return found

    def grow(self, chunk: Chunk) -> Sequence[ConsumerRecord]:
        """Only the newest chunk that is out may grow: what follows it is not out yet."""
        if not chunk.live or not self.out or chunk is not self.out[-1]:
            return ()
        found = self._take(chunk.size - len(chunk))
        chunk.records += found
        chunk.behind = self._ahead()
        return found

    def _ahead(self) -> int:
        """What is to come at once. Counted from the position: the marker of a transaction that was read whole stands
        behind its last record, and waiting for more would be waiting for nothing."""
        return len(self.backlog) + max(self.highwater - (self.position or 0), 0)

    def settle(self) -> None:
        """Move the acknowledged prefix behind us, strictly in order."""
        while self.out and self.out[0].acked:
            settled = self.out.popleft()
            self.acked, settled.source = settled.end, None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one partition is, for the status page."""

    position: int
    end: int
    committable: int | None
    waiting: int
    """Records read and not yet handed to the agent."""
    working: int
    """Records handed out and not yet acknowledged."""

    @property
    def behind(self) -> int:
        """Offsets to go, transaction markers included."""
        return max(self.end - self.position, 0) + self.waiting + self.working


class Intake:
    """All partitions of this worker."""

    def __init__(self, chunk: int, in_flight: int) -> None:
        self._chunk = chunk
        self._in_flight = in_flight
        self._partitions: dict[TP, Partition] = {}

    def __iter__(self) -> Iterator[TP]:
        return iter(self._partitions)

    def clear(self) -> None:
        """Forget everything, and let the chunks that are out know."""
        for partition in self._partitions.values():
            for chunk in partition.out:
                chunk.live, chunk.source = False, None
        self._partitions.clear()

    def start(self, tp: TP, position: int) -> None:
        """Reading of this partition begins at `position`: nothing before it is ours to commit."""
        self._partitions[tp] = Partition(position=position)

    def accept(self, tp: TP, records: Sequence[ConsumerRecord], position: int, highwater: int) -> None:
        """Take what was read, in the order it was read (Invariant 1)."""
        partition = self._partitions.setdefault(tp, Partition())
        partition.backlog.extend(records)
        partition.weight += _bytes(records)
        partition.position, partition.highwater = position, highwater
        if records and partition.out:
            partition.out[-1].arrived()

    def wants(self, tp: TP) -> bool:
        """Whether to go on fetching: not while a whole chunk is waiting already, or as much as it may weigh."""
        partition = self._partitions.get(tp)
        return partition is None or (
            len(partition.backlog) < self._chunk and partition.weight < BACKLOG_BYTES
        )

    def due(self, tps: Collection[TP]) -> Iterator[Chunk]:
        """Chunks to deliver now, one a partition in turn, so that the actors of all partitions overlap."""
        turn = [(tp, p) for tp, p in self._partitions.items() if tp in tps]
        while turn := [(tp, p) for tp, p in turn if p.backlog and len(p.out) < self._in_flight]:
            for tp, partition in turn:
                if self._partitions.get(tp) is not partition:
                    return  # cleared between two chunks: what is left here will be read again
                yield partition.take(tp, self._chunk)

    def ack(self, chunk: Chunk) -> bool:
        """The chunk is done. True when records are waiting for the room it leaves."""
        if not chunk.live:
            return False
        chunk.acked = True
        partition = self._partitions[chunk.tp]
        partition.settle()
        return bool(partition.backlog)

    def committable(self, tp: TP) -> int | None:
        """How far `tp` may be committed, or None when nothing was read since the start."""
        partition = self._partitions.get(tp)
        return partition.committable if partition else None

    def progress(self, ends: Mapping[TP, int]) -> dict[TP, Progress]:
        """How far each partition is; `ends` are newer ends than those that came with the records."""
        return {
            tp: _progress(p, p.position, max(ends.get(tp, 0), p.highwater))
            for tp, p in self._partitions.items()
            if p.position is not None
        }


def _bytes(records: Iterable[ConsumerRecord]) -> int:
    return sum(len(record.value or b"") for record in records)


def _progress(partition: Partition, position: int, end: int) -> Progress:
    return Progress(
        position=position,
        end=end,
        committable=partition.committable,
        waiting=len(partition.backlog),
        working=sum(len(chunk) for chunk in partition.out),
    )
