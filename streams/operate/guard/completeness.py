"""Has every row of a transaction arrived? Debezium's END counts against the rows in the topic, by table.

    <system>.transaction: BEGIN, END --+--> Ledger --overdue--> Incomplete (LSN range, tables)
    cdc.<system>: rows ----------------+

Rows of a transaction lie in several partitions, and its END in another topic, so nothing is judged before all that had
been written when END came has been read. Rows sent again (Connect was killed) are counted once: within a partition a
transaction's rows come in the order of their LSNs, and what shares the newest one is told apart by its bytes. Holds
what is open only; pure, times are arguments.

What is no table of the mapping is not counted on either side (signals, heartbeats, logical messages, snapshots).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

DEADLINE = 15.0
"""Seconds after END: Connect's producer sends again within them what a broker has not taken."""
MOST = 50_000
"""Transactions kept at most: older ones are judged early rather than held."""

_TRANSACTION = b'"transaction":{"id":"'
_TABLE = b'"table":"'
_LSN = b'"lsn":'
_SOURCE = b'"source":{'


class Count(Struct, frozen=True):
    """One table's count in END."""

    data_collection: str
    event_count: int


class Boundary(Struct, frozen=True):
    """A record of `<system>.transaction`."""

    status: str
    id: str
    data_collections: list[Count] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What a captured row says of its transaction, read without decoding it."""

    txid: int
    table: str
    lsn: int
    mark: int
    """tells rows of one LSN apart (COPY)"""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A transaction of which rows are missing; `missing`: table -> how many."""

    system: str
    txid: int
    first_lsn: int
    last_lsn: int
    missing: dict[str, int]


@dataclass(slots=True)
class Head:
    """A partition's newest LSN of a transaction, and its rows there."""

    lsn: int = -1
    marks: set[int] = field(default_factory=set)

    def is_new(self, row: Row) -> bool:
        """Whether the row has not been counted; counted from now on."""
        if row.lsn > self.lsn:
            self.lsn, self.marks = row.lsn, {row.mark}
            return True
        if row.lsn < self.lsn or row.mark in self.marks:
            return False
        self.marks.add(row.mark)
        return True


@dataclass(slots=True)
class Transaction:
    """One transaction from the first that is read of it, BEGIN or row, to the moment it is settled."""

    txid: int
    heard: float
    begun_at: int | None = None
    """offset of its BEGIN"""
    first_lsn: int = 0
    last_lsn: int = 0
    ended: float | None = None
    expected: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    """partition -> where its first row stands"""
    heads: dict[int, Head] = field(default_factory=dict)

    def missing(self) -> dict[str, int]:
        """table -> rows that END has and the topic has not."""
        lacking = {table: n - self.seen.get(table, 0) for table, n in self.expected.items()}
        return {table: n for table, n in lacking.items() if n > 0}

    @property
    def whole(self) -> bool:
        """Read from BEGIN to END, and no row is missing."""
        return self.begun_at is not None and self.ended is not None and not self.missing()


_boundary = msgspec.json.Decoder(Boundary).decode


def read(value: bytes) -> Row | None:
    """The row of a transaction, or None: read by a snapshot, or none at all.

    Debezium writes `source` and `transaction` behind the row's images, where quotes in text are escaped: found from
    the end, a row cannot counterfeit them.
    """
    at = value.rfind(_TRANSACTION)
    source = value.rfind(_SOURCE, 0, at)
    if at < 0 or source < 0:
        return None
    start = at + len(_TRANSACTION)
    table = value.find(_TABLE, source, at) + len(_TABLE)
    lsn = value.find(_LSN, source, at) + len(_LSN)
    try:
        return Row(
            int(value[start : value.index(b":", start)]),
            value[table : value.index(b'"', table)].decode(),
            int(value[lsn : value.index(b",", lsn)]),
            hash(value[:source]),
        )
    except ValueError:
        return None


class Ledger:
    """The open transactions of one system."""

    def __init__(self, system: str, tables: Collection[str]) -> None:
        self.system = system
        self._tables = frozenset(table.rpartition(".")[2] for table in tables)
        self._order: deque[Transaction] = deque()
        self._open: dict[int, Transaction] = {}
        self.proven = 0
        self.incomplete = 0
        self.unproven = 0
        """their BEGIN was before we read, or their END never came (Connect was killed in between)"""
        self.twice = 0
        """rows that were sent again"""

    def boundary(self, value: bytes, offset: int, now: float) -> None:
        """BEGIN or END; `now` in seconds."""
        try:
            said = _boundary(value)
            txid, lsn = (int(part) for part in said.id.split(":"))
        except (msgspec.DecodeError, ValueError):
            return
        known = self._known(txid, now)
        if said.status == "END":
            known.expected, known.ended, known.last_lsn = self._expected(said), now, lsn
        elif known.begun_at is None:
            known.begun_at, known.first_lsn = offset, lsn

    def _expected(self, said: Boundary) -> dict[str, int]:
        named = ((c.data_collection.rpartition(".")[2], c.event_count) for c in said.data_collections or ())
        return {table: count for table, count in named if table in self._tables}

    def row(self, partition: int, offset: int, row: Row, now: float) -> None:
        """A row in the system's topic; it may be read before its BEGIN."""
        known = self._known(row.txid, now)
        known.offsets.setdefault(partition, offset)
        head = known.heads.get(partition)
        if head is None:
            head = known.heads[partition] = Head()
        if head.is_new(row):
            known.seen[row.table] = known.seen.get(row.table, 0) + 1
        else:
            self.twice += 1

    def _known(self, txid: int, now: float) -> Transaction:
        known = self._open.get(txid)
        if known is None:
            known = self._open[txid] = Transaction(txid, now)
            self._order.append(known)
        return known

    def settle(self, now: float, read_since: float) -> list[Incomplete]:
        """What is over or overdue, in order; `read_since`: all that the topics had then has been read."""
        found: list[Incomplete] = []
        while self._order and (self._over(self._order[0], now, read_since) or len(self._order) > MOST):
            done = self._order.popleft()
            del self._open[done.txid]
            found += self._judge(done)
        return found

    def overdue(self, now: float) -> bool:
        """Whether something waits that should have been whole by now."""
        return (
            bool(self._order)
            and (since := self._since(self._order[0])) is not None
            and now - since > DEADLINE
        )

    def _over(self, oldest: Transaction, now: float, read_since: float) -> bool:
        if oldest.whole:
            return True
        since = self._since(oldest)
        return since is not None and now - since > DEADLINE and read_since > since

    def _since(self, oldest: Transaction) -> float | None:
        """Since when it has been over, as far as is known: transactions follow one another in the stream."""
        if oldest.ended is not None or len(self._order) < 2:
            return oldest.ended
        return self._order[1].heard

    def _judge(self, done: Transaction) -> Iterator[Incomplete]:
        if done.begun_at is None or done.ended is None:
            self.unproven += 1
        elif missing := done.missing():
            self.incomplete += 1
            yield Incomplete(self.system, done.txid, done.first_lsn, done.last_lsn, missing)
        else:
            self.proven += 1

    @property
    def open(self) -> int:
        """Transactions that are not settled."""
        return len(self._order)

    def resume_at(self, boundary: int, positions: Mapping[int, int]) -> tuple[int, dict[int, int]]:
        """Where to begin again, so that every unsettled transaction, and all that follow it, are read whole."""
        starts = dict(positions)
        for known in self._order:
            boundary = min(boundary, boundary if known.begun_at is None else known.begun_at)
            for partition, offset in known.offsets.items():
                starts[partition] = min(starts.get(partition, offset), offset)
        return boundary, starts
