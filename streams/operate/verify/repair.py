"""Repair: rows that diverge are read again from their source, or buried; nothing else is touched.

    missing, different --connectors/reread--> Debezium reads just these rows --> cdc.<system>
    extra --a delete at (epoch, a commit before the read that didn't find it, 0)--> cdc.<system>    --> looked at again

Whatever follows from a repaired row is decided as from any change: an edit behind the platform's back in a target is
judged by authority, and the view asserted again. Never rewinds an offset (replay is a no-op), never takes a snapshot of
a table, never repairs more than its bounds allow: whoever lost half a table must be told first.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass

from connectors import checksum, origin, sources
from connectors.checksum import Checksums
from connectors.envelope import Change, Source
from connectors.reread import read_rows
from schemas.catalog import load_mapping
from schemas.tables import mapped_tables
from streams.core.verify import EXTRA, Name
from streams.errors import ConcordError
from streams.operate import preparing
from streams.operate.audit.act import act
from streams.operate.preparing import Say
from streams.operate.quarantine.send import Outgoing, Sender
from streams.operate.verify.book import Book
from streams.operate.verify.found import Divergence, Verified
from streams.operate.verify.source import System
from streams.placing import partition_of
from streams.settings import Settings

DAY = 86_400
HEADER = "concord-repair"
"""Which repair sent a tombstone."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a table may be repaired unasked: so many rows and, above a few, such a share of them."""

    rows: int = 1_000
    share: float = 0.05
    few: int = 25

    def allow(self, found: Verified) -> bool:
        """Whether this table may be repaired."""
        count = len(found.standing)
        return count <= self.rows and (count <= self.few or count <= self.share * max(found.rows, 1))


class TooMany(ConcordError):
    """More diverges than may be repaired unasked (exit code 1)."""


def check(found: Sequence[Verified], bounds: Bounds) -> None:
    """TooMany where a table may not be repaired; nothing has been touched then."""
    refused = [table for table in found if not bounds.allow(table)]
    if refused:
        named = ", ".join(f"{t.name} ({len(t.standing):,} of {t.rows:,} rows)" for t in refused)
        step = "find out why, then: concord verify source TABLE --repair --at-most N"
        raise TooMany("verify.too_many", f"more diverges than may be repaired unasked: {named}", step)


class Repair:
    """Repairs one system's rows."""

    def __init__(self, settings: Settings, system: System, book: Book, by: str, cause: str, say: Say) -> None:
        self._settings, self._system, self._source = settings, system, system.source
        self._name = system.source.names.system
        self._book, self._by, self._cause, self._say = book, by, cause, say
        self.number = f"concord-repair-{uuid.uuid4().hex[:12]}"

    def mend(self, found: Sequence[Divergence]) -> None:
        """Repair these rows and note which of them agree by now. It stands in the audit before it is done."""
        if not found:
            return
        with act(
            self._settings, self._by, "verify.repair", why=self._cause, subject=self._name,
            correlation=self.number, before=_counted(found),
        ) as acted:  # fmt: skip
            self._mend(found)
            acted.after = {"agree": sum(each.repaired for each in found)}

    def _mend(self, found: Sequence[Divergence]) -> None:
        self._book.intend(self.number, self._name, found, self._by, self._cause)
        self._read_again([each for each in found if each.state != EXTRA])
        self._bury([each for each in found if each.state == EXTRA])
        agree = self._system.agreeing(found)
        for each in found:
            each.repaired = (each.table, each.name) in agree
        self._book.done(self.number, self._name, found, self._by, self._cause)

    def _read_again(self, found: Iterable[Divergence]) -> None:
        rows: dict[str, list[str]] = {}
        for each in found:
            rows.setdefault(each.table, []).append(each.row)
        with preparing.connect(self._settings) as client:
            read_rows(client, self._settings.kafka, self._source, rows, self.number, self._say)

    def _bury(self, found: Sequence[Divergence]) -> None:
        """A tombstone for each that a reading doesn't find: after the claim, before whatever comes after the reading.

        The claim was received, so it was committed before the first mark; a row that comes back is committed after the
        reading, so the last commit before it is the second mark or a later one: `between` stands between the two.
        """
        if not found:
            return
        with self._system.looking() as (connection, caught_up):
            origin.beat(self._source.dsn)
            between = checksum.log_end(connection)
            origin.beat(self._source.dsn)
            there = _there(connection, self._name, found)
            # The partition must have read all before `between`: it takes a transaction for over behind a later commit.
            caught_up.past(checksum.log_end(connection))
        gone = [each for each in found if (each.table, each.name) not in there]
        self._say(f"{self._name}: {len(gone):,} rows that are not there are buried")
        self._send(gone, between)

    def _send(self, gone: Iterable[Divergence], between: int) -> None:
        with preparing.connect(self._settings) as client:
            snapshot = sources.snapshot(client, self._source.names.connector)
        assert snapshot is not None  # it was verified a moment ago
        log = Source(self._name, epoch=snapshot.epoch, txid=0, day=int(time.time()) // DAY)
        with closing(Sender(self._settings.kafka)) as sender:
            sender.send(self._tombstone(log, each, between) for each in gone)

    def _tombstone(self, log: Source, each: Divergence, between: int) -> Outgoing:
        table = load_mapping(each.system).tables[each.table]
        row = {table.entity: each.entity_id, table.row: each.row}
        key, value, headers = log.message(Change(table.name, row, "d"), between, 0)
        place = self._source.names.topic, partition_of(key, self._settings.partitions)
        return Outgoing(*place, key, value, [*headers, (HEADER, self.number.encode())])


def _counted(found: Sequence[Divergence]) -> dict[str, int]:
    """Table and state -> how many rows."""
    return Counter(f"{each.table} {each.state}" for each in found)


def _there(
    connection: checksum.Connection, system: str, found: Sequence[Divergence]
) -> set[tuple[str, Name]]:
    by_table = {table.name: table for table in mapped_tables(system)}
    return {
        (name, row)
        for name in {each.table for each in found}
        for row in Checksums(connection, by_table[name]).named(
            each.row for each in found if each.table == name
        )
    }
