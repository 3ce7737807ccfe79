"""What a witness says of an NPI, and the claims that tell it to who holds that NPI.

    <source>.sqlite, Holder --claims--> Claim(values | None) --> publish
    <source>.sqlite         --entities--> Claim              --> publish     (NUCC: its codes are about nobody)

None says that a row is gone. That the newest whole list lacks an NPI is a claim of its own (`Source.search`), with the
list's date and the day of the search: R02 and R08 read it. Of a source that was never loaded nothing is said, and of a
file that could not be read neither. A witness owns nothing: what its claims are worth is for the rules to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import date
from typing import Any, Self

from msgspec import Struct

from connectors.reference.holder import Holder
from connectors.reference.source import Source, Values, Version
from connectors.reference.store import Folder, decode, reading, versions_of
from schemas.catalog import load_catalog

ROWS = {
    "key": "select key, body from entry where key = ?",
    "npi": "select key, body from entry where npi = ? order by key",
}
GONE = "select key from gone where npi = ? order by key"
ALL = "select key, body from entry order by key"
LIST = "list"
"""The entity that stands for a whole list."""


class Claim(Struct, frozen=True):
    """One row of a witness, as topic `claims.witness` carries it. `values`: every field of the record, or None."""

    witness: str
    kind: str
    id: str
    record: str
    row: str
    position: tuple[int, int, int]
    as_of: str
    values: dict[str, Any] | None


class Witness:
    """A source's file, open. Use as a context, and for a moment only: a load puts another file in its place."""

    def __init__(self, source: Source, folder: Folder) -> None:
        self.source = source
        self._db = reading(folder.file(source.name))
        self.versions = versions_of(self._db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @property
    def version(self) -> Version:
        return self.versions[0]

    def rows(self, npi: str) -> Iterator[tuple[str, Values]]:
        """(key, values) of the rows about an NPI."""
        if self.source.by is not None:
            for key, body in self._db.execute(ROWS[self.source.by], [npi]):
                yield key, decode(body)

    def row(self, key: str) -> Values | None:
        """The row of this key."""
        found = self._db.execute("select body from entry where key = ?", [key]).fetchone()
        return dict(decode(found[0])) if found else None

    def named(self, names: Collection[str]) -> Iterator[tuple[str, str]]:
        """(key, body) of the rows under these folded names."""
        marks = ", ".join("?" * len(names))
        yield from self._db.execute(f"select key, body from entry where name in ({marks})", [*names])  # noqa: S608

    def says(self, npi: str) -> Iterator[tuple[str, Values | None]]:
        """Every row there is or was; where a row is named by its NPI, also the one there never was."""
        found: list[tuple[str, Values | None]] = list(self.rows(npi))
        found += [(key, None) for (key,) in self._db.execute(GONE, [npi])]
        yield from found or ([(npi, None)] if self.source.by == "key" else [])

    def all(self) -> Iterator[tuple[str, Values]]:
        """(key, values) of every row."""
        for key, body in self._db.execute(ALL):
            yield key, decode(body)


def open_all(folder: Folder, sources: Iterable[Source]) -> list[Witness]:
    """Those of the sources that were loaded."""
    return [Witness(source, folder) for source in sources if folder.file(source.name).exists()]


def claims(witness: Witness, holder: Holder, today: date) -> Iterator[Claim]:
    """What the witness tells a holder; who no longer holds the NPI is told that none of it is about him."""
    source, found = witness.source, 0
    assert source.record is not None
    for row, values in witness.says(holder.npi):
        found += values is not None
        # Rises with each load; within one load with each announcement of who holds the NPI.
        yield _claim(witness, holder, source.record, row, values)
    if source.search is not None:
        searched = {"list_of": witness.version.as_of, "searched_on": today.isoformat(), "found": found}
        # The same list may be searched again on a later day: that is what R08 asks for.
        yield _claim(witness, holder, source.search, holder.npi, searched, today.toordinal())


def _claim(
    witness: Witness, holder: Holder, record: str, row: str, values: Values | None, day: int = 0
) -> Claim:
    version = witness.version
    return Claim(
        witness=witness.source.name,
        kind=holder.kind,
        id=holder.id,
        record=record,
        row=row,
        position=(version.load, day, holder.place),
        as_of=version.as_of,
        values=whole(record, values) if values is not None and holder.holds else None,
    )


def entities(witness: Witness) -> Iterator[Claim]:
    """Every row as an entity of its own; the one that stands for the list comes last."""
    source, version = witness.source, witness.version
    assert source.record is not None
    assert source.kind is not None
    rows = [*witness.all(), (LIST, {"list_of": version.as_of})]
    for key, values in rows:
        yield Claim(
            witness=source.name,
            kind=source.kind,
            id=key,
            record=source.record,
            row=key,
            position=(version.load, 0, 0),
            as_of=version.as_of,
            values=whole(source.record, values),
        )


def whole(record: str, values: Values) -> Values:
    """Every field of the record: what the row leaves out is None, and blanks nothing elsewhere."""
    return {name: values.get(name) for name in load_catalog().records[record].fields}
