"""What a source of reference data is: how its file is read, kept and how old it may be. One module a source follows it.

    File --Source.read--> Parcel(rows of the source, what the file is, what was left out) --> store

`sources.py` lists them. Pure; a row's values are canonical fields (schemas/canonical.toml), nothing else is kept.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from sqlite3 import Connection
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from connectors.reference.files import File
from connectors.reference.secret import Secret

Mode: TypeAlias = Literal["full", "increment", "deactivated", "reinstated"]
"""full: everything there is · increment: rows to put over what is known · deactivated: NPPES's list of NPIs that are
· reinstated: rows that left."""
MODES: tuple[Mode, ...] = get_args(Mode)

Values: TypeAlias = dict[str, Any]


class Row(NamedTuple):
    """One row as it is kept.

    key      tells rows apart: the NPI, a code, or a keyed hash of what identifies the row
    npi      whom it is about, where the row says so
    name     folded last or business name: screening by name looks there
    subject  whom and what it is about, so that a reinstatement finds it
    """

    key: str
    values: Values
    npi: str | None = None
    name: str | None = None
    subject: str | None = None


RowOf: TypeAlias = Callable[[list[str]], "Row | str"]
"""Fields -> the row, or in one word why it is left out."""


@dataclass(slots=True)
class Parcel:
    """What a file turned out to be. `read`, `left_out`, `counts` and `newest` are filled while the rows are read."""

    mode: Mode
    header: Sequence[str]
    rows: Iterator[Row] = field(default_factory=lambda: iter(()))
    as_of: str | None = None
    """the publisher's date, where name or title tell it"""
    newest: str | None = None
    """the newest date in the data: the publisher's can't be before it"""
    read: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    """rows that are not kept, by why; the others are"""
    counts: Counter[str] = field(default_factory=Counter)
    """what else is worth telling of the rows"""
    warnings: list[str] = field(default_factory=list)

    def take(self, records: Iterable[list[str]], row_of: RowOf) -> None:
        """Read `records` through `row_of`, once somebody wants the rows."""
        self.rows = self._taken(records, row_of)

    def _taken(self, records: Iterable[list[str]], row_of: RowOf) -> Iterator[Row]:
        for record in records:
            self.read += 1
            row = row_of(record)
            if isinstance(row, Row):
                yield row
            else:
                self.left_out[row] += 1

    def saw(self, day: str | None) -> None:
        """A date of the data."""
        if day is not None and (self.newest is None or day > self.newest):
            self.newest = day

    def unknown(self, columns: Sequence[str]) -> None:
        """Columns the publisher's layout doesn't name."""
        if columns:
            listed = ", ".join(columns[:5]) + (f" and {len(columns) - 5} more" if len(columns) > 5 else "")
            self.warnings.append(f"unknown columns, left out: {listed}")

    @property
    def header_hash(self) -> str:
        return hashlib.sha256("\x1f".join(self.header).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Version:
    """One load of a source that became what is in use. `load` rises with each and is kept in no other place."""

    load: int
    mode: Mode
    file: str
    sha256: str
    as_of: str
    loaded_at: str
    entries: int
    header: str
    parser: int
    secret: str


@dataclass(frozen=True, slots=True)
class Limit:
    """How many days after its publisher's date a source's newest version of these modes may be used."""

    days: int
    modes: tuple[Mode, ...] = MODES

    def overstepped(self, versions: Sequence[Version], today: date) -> str | None:
        """What is too old, if it is."""
        days = [version.as_of for version in versions if version.mode in self.modes]
        if not days:
            return None
        newest = max(days)
        if today - date.fromisoformat(newest) <= timedelta(days=self.days):
            return None
        what = "" if self.modes == MODES else f"{self.modes[0]} "
        return f"the newest {what}file is of {newest}, more than {self.days} days ago"


Stale: TypeAlias = Callable[[Sequence[Version], date], "str | None"]
"""(versions, today) -> why the source is stale, or None."""
Merge: TypeAlias = Callable[[Connection, Version], "Counter[str]"]
"""Works on table `incoming` before it is put over `entry`; returns what to count."""


def limits(*each: Limit) -> Stale:
    """The first limit that is overstepped."""

    def stale(versions: Sequence[Version], today: date) -> str | None:
        return next((why for limit in each if (why := limit.overstepped(versions, today))), None)

    return stale


@dataclass(frozen=True, slots=True)
class Source:
    """One source. `record`: what its rows are claimed as; `by`: the column an NPI is looked up in, if in any."""

    name: str
    title: str
    parser: int
    member: str
    """which file of a published zip"""
    read: Callable[[File, Secret, Mode | None], Parcel]
    stale: Stale
    record: str | None = None
    by: Literal["key", "npi"] | None = None
    search: str | None = None
    """the record that says what a search for an NPI gave"""
    kind: str | None = None
    """the kind of entity that each of its rows is, where they are about nobody"""
    modes: tuple[Mode, ...] = ("full",)
    merge: Mapping[Mode, Merge] = field(default_factory=dict)
