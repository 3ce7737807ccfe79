"""The newest view of each entity of what was read, and how far that is: on disk, for memory and for a kill.

    views in the order of their topics --keep--> SQLite, one row an entity --of--> by id, for files and receipts
                                       --save--> everything kept so far, with where to go on

It lies in the folder in which a delivery is made and goes with it; where an export that was killed had saved, the next
one goes on. The revision alone decides (Invariant 3).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from connectors.sink import View
from connectors.wire import Undecodable
from streams.operate.export.manifest import Kind, Span

TABLES = """
create table if not exists newest (kind text, entity_id text, revision integer, topic text, partition integer,
                                   offset integer, content text, primary key (kind, entity_id)) without rowid;
create table if not exists unreadable (record text);
create table if not exists progress (one integer primary key check (one = 1), content blob);
"""
KEEP = """
insert into newest values (?, ?, ?, ?, ?, ?, ?) on conflict do update
set revision = excluded.revision, topic = excluded.topic, partition = excluded.partition,
    offset = excluded.offset, content = excluded.content
where excluded.revision > newest.revision
"""
OF = "select * from newest where kind = ? order by entity_id"


class Progress(msgspec.Struct):
    """What was read: since which delivery, from where to where, and how many records of each sort."""

    last: int
    kind: Kind
    started_at: str
    spans: list[Span]
    counts: dict[str, int]


class Spool:
    """One export's views."""

    def __init__(self, path: Path | str) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = normal")
        self._database.executescript(TABLES)
        self._database.execute("begin")

    def keep(self, view: View) -> None:
        content = json.dumps(view.content, ensure_ascii=False)
        place = (view.topic, view.partition, view.offset)
        self._database.execute(KEEP, (*view.identity, view.revision, *place, content))

    def keep_unreadable(self, record: Undecodable) -> None:
        self._database.execute("insert into unreadable values (?)", (msgspec.json.encode(record).decode(),))

    def save(self, progress: Progress) -> None:
        """From here a killed export goes on: what was kept and how far that is stand or fall together."""
        self._database.execute(
            "insert or replace into progress values (1, ?)", (msgspec.json.encode(progress),)
        )
        self._database.execute("commit")
        self._database.execute("begin")

    def progress(self) -> Progress | None:
        """What was saved last."""
        found = self._database.execute("select content from progress").fetchone()
        return msgspec.json.decode(found[0], type=Progress) if found else None

    def clear(self) -> None:
        for table in ("newest", "unreadable", "progress"):
            self._database.execute(f"delete from {table}")  # noqa: S608

    def of(self, kind: str) -> Iterator[View]:
        """The views of a kind, by id: the same views give the same file."""
        for row in self._database.execute(OF, (kind,)):
            yield _view(*row)

    def unreadable(self) -> Iterator[Undecodable]:
        for (record,) in self._database.execute("select record from unreadable order by rowid"):
            yield msgspec.json.decode(record, type=Undecodable)

    def close(self) -> None:
        self._database.close()


def _view(kind: str, key: str, revision: int, topic: str, partition: int, offset: int, content: str) -> View:
    fields: dict[str, Any] = json.loads(content)
    return View(kind, key, revision, fields, topic, partition, offset)
