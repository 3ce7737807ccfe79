"""Views as a file: JSON Lines, one view a line; or CSV, lists and documents in it as JSON.

    spool --write--> provider.jsonl --> File (records, bytes, sha256)

The fields and their order are those of the sink's contract. A file is synced to disk before it is named anywhere.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from connectors.sink import View
from connectors.wire import reader_schema
from streams.operate.export.manifest import File, Form, digest


class Tally:
    """What went into a file."""

    def __init__(self) -> None:
        self.records = self.withdrawn = 0
        self.lowest: int | None = None
        self.highest: int | None = None

    def counted(self, views: Iterable[View]) -> Iterator[View]:
        for view in views:
            self.records += 1
            self.withdrawn += view.withdrawn
            self.lowest = min(view.revision, self.lowest or view.revision)
            self.highest = max(view.revision, self.highest or view.revision)
            yield view


def write(folder: Path, system: str, kind: str, form: Form, views: Iterable[View]) -> File:
    """All views of a kind into one new file."""
    path, tally = folder / f"{kind}.{form}", Tally()
    with path.open("w", encoding="utf-8", newline="") as file:
        columns = [field["name"] for field in reader_schema(system, kind)["fields"]]
        _rows(file, form, columns, tally.counted(views))
        file.flush()
        os.fsync(file.fileno())
    counts = (tally.records, tally.withdrawn, path.stat().st_size, digest(path))
    return File(path.name, kind, *counts, tally.lowest, tally.highest)


def _rows(file: TextIO, form: Form, columns: Sequence[str], views: Iterable[View]) -> None:
    if form == "jsonl":
        for view in views:
            row = {column: view.content.get(column) for column in columns}
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    for view in views:
        writer.writerow([_cell(view.content.get(column)) for column in columns])


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict | bool) else value
