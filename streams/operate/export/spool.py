"""The newest view of each entity of what was read, on disk: a complete export needn't fit into memory.

    views in the order of their topics --keep--> SQLite, one row an entity --of--> by id, for files and receipts

Temporary: it lies in the delivery that is being made and goes with it. The revision alone decides (Invariant 3).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from connectors.sink import View

TABLE = """
create table newest (kind text, entity_id text, revision integer, topic text, partition integer, offset integer,
                     content text, primary key (kind, entity_id)) without rowid
"""
KEEP = """
insert into newest values (?, ?, ?, ?, ?, ?, ?) on conflict do update
set revision = excluded.revision, topic = excluded.topic, partition = excluded.partition,
    offset = excluded.offset, content = excluded.content
where excluded.revision > newest.revision
"""
OF = "select * from newest where kind = ? order by entity_id"


class Spool:
    """One export's views."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("pragma journal_mode = off")  # lost with the delivery it is for
        self._database.execute("pragma synchronous = off")
        self._database.execute(TABLE)
        self._database.execute("begin")

    def keep(self, view: View) -> None:
        content = json.dumps(view.content, ensure_ascii=False)
        place = (view.topic, view.partition, view.offset)
        self._database.execute(KEEP, (*view.identity, view.revision, *place, content))

    def count(self) -> int:
        (found,) = self._database.execute("select count(*) from newest").fetchone()
        return int(found)

    def of(self, kind: str) -> Iterator[View]:
        """The views of a kind, by id: the same views give the same file."""
        for row in self._database.execute(OF, (kind,)):
            yield _view(*row)

    def close(self) -> None:
        self._database.close()


def _view(kind: str, key: str, revision: int, topic: str, partition: int, offset: int, content: str) -> View:
    fields: dict[str, Any] = json.loads(content)
    return View(kind, key, revision, fields, topic, partition, offset)
