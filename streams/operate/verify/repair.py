"""Repair: rows that diverge are said again as their source has them, or end; nothing else is touched.

    missing, different --connectors/reread: read at (epoch, mark, 0)--> cdc.<system>
    extra, and not there --a delete at the same place--> cdc.<system>                    --> looked at again

Whatever follows from a repaired row is decided as from any change: an edit behind the platform's back in a target is
judged by authority, and the view asserted again. Never rewinds an offset (replay is a no-op), never takes a snapshot of
a table, never repairs more than its bounds allow: whoever lost half a table must be told first.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from connectors import checksum, reread, sources
from connectors.envelope import Change, Message
from connectors.envelope import Source as Log
from connectors.reread import Reader
from schemas.catalog import load_mapping
from schemas.tables import mapped_tables
from streams.core.verify import EXTRA, Name
from streams.errors import ConcordError
from streams.operate import preparing
from streams.operate.audit.act import act
from streams.operate.preparing import Say
from streams.operate.quarantine import send
from streams.operate.quarantine.send import Sender
from streams.operate.verify.book import Book
from streams.operate.verify.found import Divergence, Verified
from streams.operate.verify.source import System
from streams.settings import Settings

HEADER = "concord-repair"
"""Which repair sent a record."""


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
        self._say_again(found)
        agree = self._system.agreeing(found)
        for each in found:
            each.repaired = (each.table, each.name) in agree
        self._book.done(self.number, self._name, found, self._by, self._cause)

    def _say_again(self, found: Sequence[Divergence]) -> None:
        """Each as the source has it; one that is not there ends. Both stand after the claim, which was captured before,
        and before whatever is committed after the reading (connectors/reread)."""
        with self._system.looking() as (connection, caught_up):
            at = reread.mark(connection, self._source.dsn)
            rows = _rows(connection, self._name, found)
            # The partition must have read all before the mark: it takes a transaction for over behind a later commit.
            caught_up.past(checksum.log_end(connection))
        there = [each for each in found if (each.table, each.name) in rows]
        gone = [each for each in found if each.state == EXTRA and (each.table, each.name) not in rows]
        self._say(f"{self._name}: {len(there):,} rows are said again, {len(gone):,} that are not there end")
        log = reread.log(self._name, self._epoch())
        said = [reread.said(log, each.table, rows[each.table, each.name], at) for each in there]
        said += [self._end(log, each, at) for each in gone]
        place = self._source.names.topic, self._settings.partitions
        with closing(Sender(self._settings.kafka)) as sender:
            sender.send(send.captured(*place, record, (HEADER, self.number.encode())) for record in said)

    def _epoch(self) -> int:
        with preparing.connect(self._settings) as client:
            snapshot = sources.snapshot(client, self._source.names.connector)
        assert snapshot is not None  # it was verified a moment ago
        return snapshot.epoch

    def _end(self, log: Log, each: Divergence, at: int) -> Message:
        table = load_mapping(each.system).tables[each.table]
        row = {table.entity: each.entity_id, table.row: each.row}
        return log.message(Change(table.name, row, "d"), at, 0)


def _counted(found: Sequence[Divergence]) -> dict[str, int]:
    """Table and state -> how many rows."""
    return Counter(f"{each.table} {each.state}" for each in found)


def _rows(
    connection: checksum.Connection, system: str, found: Sequence[Divergence]
) -> dict[tuple[str, Name], reread.Row]:
    """Those of these rows that are there."""
    by_table = {table.name: table for table in mapped_tables(system)}
    return {
        (table, name): row
        for table in {each.table for each in found}
        for name, row in Reader(connection, by_table[table])
        .named(each.row for each in found if each.table == table)
        .items()
    }
