"""The open findings in SQLite: any page of any filter of a million in milliseconds.

    topic finding --Index.take--> table finding --page, sums, one--> whoever asks

A file of its own, deleted when closed: the topic is the truth and is read anew at each start. One thread writes; who
reads has a connection of their own and sees whole batches (write-ahead log). Sums are kept as they change, because
counting a million rows takes longer than a page may.
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from streams.operate.findings import decode
from streams.operate.worklist.case import (
    NO_DUE,
    SEVERITIES,
    Case,
    Handling,
    Page,
    Progress,
    Sums,
    Wanted,
    number_of,
    rank_of,
)
from streams.operate.worklist.query import query

SCHEMA = """
create table finding (id integer primary key, entity text, code text, rank integer, actor text, due text, body blob);
create table handling (id integer primary key, number integer, assignee text, until text, by text, reason text,
    at text);
create table tally (code text, rank integer, actor text, due text, n integer, primary key (code, rank, actor, due))
    without rowid;
"""
INDEXES = """
create index if not exists finding_due on finding (due, rank, id, code, actor);
create index if not exists finding_rank on finding (rank, due, id, code, actor);
create index if not exists finding_code on finding (code, due, rank, id, actor);
create index if not exists finding_code_rank on finding (code, rank, due, id, actor);
create index if not exists finding_actor on finding (actor, due, rank, id, code);
create index if not exists finding_actor_rank on finding (actor, rank, due, id, code);
create index if not exists finding_entity on finding (entity);
create index if not exists handling_assignee on handling (assignee) where assignee <> '';
"""
"""Each holds every column of a filter: what doesn't fit is passed over without a look at its row."""
KNOWN = "select code, rank, actor, due from finding where id = ?"
PUT = "insert or replace into finding values (?, ?, ?, ?, ?, ?, ?)"
COUNT = """
insert into tally values (?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n
"""
HANDLED = "insert or replace into handling values (?, ?, ?, ?, ?, ?, ?)"
COLUMNS = """
select body, coalesce(number, 0), coalesce(assignee, ''), coalesce(until, ''), coalesce(by, ''),
    coalesce(reason, ''), coalesce(at, '')
"""
ONE = COLUMNS + "from finding left join handling on handling.id = finding.id where finding.id = ?"
CHOSEN = "from (select finding.id, due, rank from finding{} {} limit ?) chosen"
JOINED = """
join finding on finding.id = chosen.id left join handling on handling.id = chosen.id
order by chosen.due, chosen.rank, chosen.id
"""
FINDINGS = "select count(*) from finding"
HANDLED_FINDINGS = (
    "select count(*) from handling cross join finding on finding.id = handling.id"  # in this order
)
TALLIED = "select coalesce(sum(n), 0) from tally"
CACHE_KIB = 64 * 1024

Told = tuple[bytes, bytes | None]
"""A record's key and value; no value: a tombstone."""


class Index:
    """Open findings, and what people said of them."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="concord-worklist-")
        self._path = Path(folder) / "worklist.sqlite"
        self._writer = self._open()
        self._writer.execute("pragma journal_mode = wal")
        self._writer.execute("pragma synchronous = off")  # a lost file is read anew
        self._writer.executescript(SCHEMA)
        self._reader = self._open()
        self._release = weakref.finalize(self, _release, folder, self._reader, self._writer)
        self._reading = threading.Lock()
        self.progress = Progress()
        self._summed: tuple[date, Sums] | None = None
        """as summed last; None: something has come or gone since"""

    def _open(self) -> sqlite3.Connection:
        found = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        found.execute(f"pragma cache_size = -{CACHE_KIB}")
        return found

    def close(self) -> None:
        """Delete the file."""
        self._release()

    # ---- one thread writes ----

    def take(self, told: Iterable[Told]) -> None:
        """A batch of records, seen whole or not at all."""
        counts: Counter[tuple[Any, ...]] = Counter()
        self._writer.execute("begin")
        for key, value in told:
            self._note(number_of(key), decode(value) if value else None, value, counts)
        self._writer.executemany(COUNT, [(*of, n) for of, n in counts.items() if n])
        self._writer.execute("commit")
        self._summed = None

    def _note(
        self,
        number: int,
        found: Mapping[str, Any] | None,
        body: bytes | None,
        counts: Counter[tuple[Any, ...]],
    ) -> None:
        before = self._writer.execute(KNOWN, (number,)).fetchone()
        if before is not None:
            counts[before] -= 1
        if found is None or found["state"] == "closed":
            self._writer.execute("delete from finding where id = ?", (number,))
            return
        of = (found["code"], rank_of(found["severity"]), found["actor"], found["due"] or NO_DUE)
        counts[of] += 1
        self._writer.execute(PUT, (number, f"{found['kind']}/{found['entity_id']}", *of, body))

    def settle(self) -> None:
        """Everything is read for the first time: the indexes are built at once, a third of the work."""
        self._writer.executescript(INDEXES)

    def hear(self, words: Iterable[tuple[bytes, Handling]]) -> None:
        """What people said last of findings, each by its key; from the follower, or right after it was said."""
        rows = [(number_of(k), h.number, h.assignee, h.until, h.by, h.reason, h.at) for k, h in words]
        with (
            self._reading
        ):  # said by any thread: the writer's own transaction may be open, so not its connection
            self._reader.execute("pragma busy_timeout = 10000")
            self._reader.executemany(HANDLED, rows)
        self._summed = None

    # ---- everybody reads ----

    def page(self, wanted: Wanted, today: date) -> Page:
        """One page, the ones that are due first in front."""
        asked = query(wanted, today.isoformat())
        rows = self._all(
            COLUMNS + CHOSEN.format(asked.where, asked.order) + JOINED, [*asked.values, wanted.limit + 1]
        )
        cases = [_case(row) for row in rows[: wanted.limit]]
        more = _place(cases[-1]) if len(rows) > wanted.limit else ""
        return Page(cases, self._total(wanted, today), more, self.progress)

    def one(self, number: str) -> Case | None:
        """The finding of this name, while it is open."""
        try:
            rows = self._all(ONE, [int(number, 16)])
        except (ValueError, OverflowError):
            return None
        return _case(rows[0]) if rows else None

    def sums(self, today: date) -> Sums:
        """What is open, by severity, code and actor."""
        known = self._summed
        if known is None or known[0] != today:
            self._summed = known = today, self._sums(today)
        return replace(known[1], progress=self.progress)

    def _sums(self, today: date) -> Sums:
        found = self._all("select code, rank, actor, due, n from tally where n > 0", [])
        codes: Counter[str] = Counter()
        ranks: Counter[str] = Counter()
        actors: Counter[str] = Counter()
        for code, rank, actor, _, n in found:
            codes[code] += n
            ranks[_severity(rank)] += n
            actors[actor] += n
        late = sum(n for *_, due, n in found if due < today.isoformat())
        people = self._all(
            "select coalesce(sum(assignee <> ''), 0), coalesce(sum(until > ?), 0) from handling"
            " where id in (select id from finding where finding.id = handling.id)",
            [today.isoformat()],
        )[0]
        by_code, by_actor = dict(codes.most_common()), dict(actors.most_common())
        return Sums(codes.total(), dict(ranks), by_code, by_actor, late, *people)

    def _total(self, wanted: Wanted, today: date) -> int:
        """By the tallies, less what people's words keep out; a list of their own words is short enough to count."""
        asked = query(replace(wanted, after=""), today.isoformat())
        if wanted.entity or wanted.whose in ("mine", "deferred"):
            return self._number(FINDINGS + asked.where, asked.values)
        plain, left_out = asked.plain, asked.left_out
        of_all = self._number(TALLIED + plain.where, plain.values)
        return of_all - self._number(HANDLED_FINDINGS + left_out.where, left_out.values)

    def _number(self, text: str, values: list[Any]) -> int:
        return int(self._all(text, values)[0][0])

    def _all(self, text: str, values: list[Any]) -> list[Any]:
        with self._reading:
            return self._reader.execute(text, values).fetchall()


def _release(folder: str, *connections: sqlite3.Connection) -> None:
    for connection in connections:
        connection.close()
    shutil.rmtree(folder, ignore_errors=True)


def _severity(rank: int) -> str:
    return SEVERITIES[rank] if rank < len(SEVERITIES) else "other"


def _case(row: Any) -> Case:
    body, *said = row
    return Case(decode(body), Handling(*said))


def _place(case: Case) -> str:
    """Where the next page begins."""
    found = case.finding
    return f"{found['due'] or NO_DUE}.{rank_of(found['severity'])}.{case.id}"
