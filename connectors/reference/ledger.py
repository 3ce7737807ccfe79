"""What this machine remembers beside the sources' files: who holds an NPI, how far that was read, failed loads.

    claims.npi --announcements--> holders, positions         load, follow --> who to tell about an NPI

A SQLite file in WAL mode: `load` and `follow` write it at once, in short transactions. Holders and the position up to
which they were read are one transaction, after their claims were confirmed (Invariant 2).
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from connectors.reference.holder import Holder, Position
from connectors.reference.store import Folder

SCHEMA = """
create table if not exists holder (
    npi text, kind text, id text, holds integer not null, position text not null, place integer not null,
    primary key (npi, kind, id)) without rowid;
create table if not exists reading (
    topic text, topic_id text, partition integer, next integer not null,
    primary key (topic, partition)) without rowid;
create table if not exists matched (
    source text, row text, id text, primary key (source, row, id)) without rowid;
create table if not exists attempt (
    source text primary key, at text not null, file text not null, code text not null, why text not null
    ) without rowid;
"""
WAIT = 60_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A load that failed after the last one that succeeded."""

    at: str
    file: str
    code: str
    why: str


class Ledger:
    """One connection; use as a context."""

    def __init__(self, folder: Folder) -> None:
        folder.make()
        os.close(os.open(folder.holders, os.O_WRONLY | os.O_CREAT, 0o600))
        self._db = sqlite3.connect(folder.holders, isolation_level=None)
        self._db.execute(f"pragma busy_timeout = {WAIT}")
        self._db.execute("pragma journal_mode = wal")
        self._db.executescript(SCHEMA)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    # ---- holders ----

    def newer(self, holders: Iterable[Holder]) -> list[Holder]:
        """Those that say something newer than what is remembered; of several about one, the newest."""
        found: dict[tuple[str, str, str], Holder] = {}
        for holder in holders:
            key = (holder.npi, holder.kind, holder.id)
            known = found[key].position if key in found else self._position(*key)
            if known is None or holder.position > known:
                found[key] = holder
        return list(found.values())

    def _position(self, npi: str, kind: str, entity_id: str) -> Position | None:
        query = "select position from holder where npi = ? and kind = ? and id = ?"
        row = self._db.execute(query, [npi, kind, entity_id]).fetchone()
        if row is None:
            return None
        epoch, commit, lsn = json.loads(row[0])
        return epoch, commit, lsn

    def remember(self, holders: Iterable[Holder], topic: str, topic_id: str, read: Mapping[int, int]) -> None:
        """Holders and where to go on, at once."""
        rows = [(h.npi, h.kind, h.id, h.holds, json.dumps(h.position), h.place) for h in holders]
        places = [(topic, topic_id, partition, offset) for partition, offset in read.items()]
        self._db.execute("begin immediate")
        self._db.executemany("insert or replace into holder values (?, ?, ?, ?, ?, ?)", rows)
        self._db.executemany("insert or replace into reading values (?, ?, ?, ?)", places)
        self._db.execute("commit")

    def holding(self) -> Iterator[Holder]:
        """Whoever holds an NPI now."""
        query = "select npi, kind, id, holds, position, place from holder where holds"
        for npi, kind, entity_id, holds, position, place in self._db.execute(query):
            epoch, commit, lsn = json.loads(position)
            yield Holder(npi, kind, entity_id, bool(holds), (epoch, commit, lsn), place)

    def read_until(self, topic: str, topic_id: str) -> dict[int, int]:
        """partition -> the next offset; nothing of a topic that was made anew."""
        query = "select partition, next from reading where topic = ? and topic_id = ?"
        return dict(self._db.execute(query, [topic, topic_id]).fetchall())

    # ---- screening ----

    def matched(self) -> set[tuple[str, str, str]]:
        """(source, row, provider): what was told of whom without an NPI."""
        return {(s, r, i) for s, r, i in self._db.execute("select source, row, id from matched")}

    def remember_matches(self, matches: Iterable[tuple[str, str, str]]) -> None:
        """All that holds now."""
        self._db.execute("begin immediate")
        self._db.execute("delete from matched")
        self._db.executemany("insert into matched values (?, ?, ?)", matches)
        self._db.execute("commit")

    # ---- attempts ----

    def failed(self, source: str, attempt: Attempt) -> None:
        row = [source, attempt.at, attempt.file, attempt.code, attempt.why]
        self._db.execute("insert or replace into attempt values (?, ?, ?, ?, ?)", row)

    def succeeded(self, source: str) -> None:
        self._db.execute("delete from attempt where source = ?", [source])

    def attempt(self, source: str) -> Attempt | None:
        query = "select at, file, code, why from attempt where source = ?"
        row = self._db.execute(query, [source]).fetchone()
        return Attempt(*row) if row else None
