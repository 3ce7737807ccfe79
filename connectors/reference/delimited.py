"""Delimited text by column name: what is no such file is refused with its place, never read in part.

    lines --rows_of--> rows --layout_of--> where each column stands --complete--> rows of full width

Pure. Both readers of published files use it (the witnesses' loader, the credentialing loader), each with its own
`Refusal`: the words are the same, the codes are theirs. A file that is cut off must never look like success.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from streams.errors import ConcordError

Refusal: TypeAlias = Callable[[str, str], ConcordError]
"""(why, message) -> the error; why: not_text, not_csv, not_data, column_missing, row_shape, no_rows."""

Rows: TypeAlias = Iterator[tuple[int, list[str]]]
"""Line number and fields."""

SHOWN = 3


@dataclass(frozen=True, slots=True)
class Shape:
    """A publisher's columns: those that must be there, those read where they are, those never read.

    aliases  a column's name here -> the other names it is published under
    """

    required: Sequence[str]
    optional: Sequence[str] = ()
    ignored: Sequence[str] = ()
    aliases: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def read(self) -> tuple[str, ...]:
        return (*self.required, *self.optional)

    def called(self, column: str) -> tuple[str, ...]:
        """Every name a column goes by, the one here first."""
        return (column, *self.aliases.get(column, ()))

    def published(self) -> frozenset[str]:
        """All names, folded."""
        known = (name for column in (*self.read, *self.ignored) for name in self.called(column))
        return frozenset(map(folded, known))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each column that is read stands in this file; one the file lacks has no place."""

    names: tuple[str, ...]
    at: Mapping[str, int]
    unknown: tuple[str, ...]
    """columns the publisher's layout doesn't name: new ones, worth a look"""

    @property
    def width(self) -> int:
        return len(self.names)

    def text(self, row: list[str], column: str) -> str | None:
        """The trimmed value; blank and NPPES's <UNAVAIL> are None."""
        place = self.at.get(column)
        value = "" if place is None else row[place].strip()
        return None if value in ("", "<UNAVAIL>") else value


def rows_of(lines: Iterable[str], name: str, refuse: Refusal) -> Rows:
    """The fields of each line that is not blank."""
    last = _Last(lines)
    reader = csv.reader(last, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as failure:
            message = f"{name}, line {reader.line_num}: {failure}; is the file cut off?"
            raise refuse("not_csv", message) from failure
        except UnicodeDecodeError as failure:
            raise refuse("not_text", f"{name}, after line {reader.line_num}: not UTF-8 text") from failure
        if row:
            yield reader.line_num, row
    if not last.line.endswith(("\n", "\r", '"')):
        # The last field may be half of one: only an end of line or a closing quote proves that it is whole.
        raise refuse("row_shape", f"{name}: the last line has no end; is the file cut off?")


class _Last:
    """Lines as they come; remembers the last one."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.line = "\n"

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        self.line = next(self._lines)
        return self.line


def layout_of(header: Sequence[str], shape: Shape, name: str, refuse: Refusal) -> Layout:
    """The places of the columns, or the refusal that shows what is missing and what stands there instead."""
    names = tuple(column.strip().removeprefix("\ufeff") for column in header)
    if not names or names[0].startswith("<"):
        raise refuse("not_data", f"{name} {'is HTML, not data' if names else 'is empty'}")
    at, known = _places(names, shape), shape.published()
    unknown = tuple(column for column in names if folded(column) not in known)
    missing = [column for column in shape.required if column not in at]
    if missing:
        raise refuse("column_missing", f"{name}: no column {_listed(missing)}{_instead(at, unknown)}")
    return Layout(names, at, unknown)


def _instead(at: Mapping[str, int], unknown: Sequence[str]) -> str:
    """What stands there instead; of a file without header nothing is shown: it would be somebody's data."""
    if not at:
        return "; its first line is no header"
    return f"; unknown columns: {_listed(unknown)}" if unknown else ""


def _places(names: Sequence[str], shape: Shape) -> dict[str, int]:
    """By name, whatever its case; the first of two that are alike."""
    found = {folded(column): place for place, column in reversed(list(enumerate(names)))}
    places = {column: [found.get(folded(name)) for name in shape.called(column)] for column in shape.read}
    return {
        column: next(place for place in where if place is not None)
        for column, where in places.items()
        if any(place is not None for place in where)
    }


def folded(column: str) -> str:
    """`State / Province` and `state_province` are one column."""
    return "".join(filter(str.isalnum, column)).lower()


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return ", ".join(repr(column[:60]) for column in columns[:SHOWN]) + more


def complete(rows: Rows, layout: Layout, name: str, refuse: Refusal) -> Iterator[list[str]]:
    """The data rows, each of full width, at least one."""
    empty = True
    for line, row in rows:
        if len(row) != layout.width:
            message = f"{name}, line {line}: {len(row)} of {layout.width} columns; is the file cut off?"
            raise refuse("row_shape", message)
        empty = False
        yield row
    if empty:
        raise refuse("no_rows", f"{name}: a header and no rows")
