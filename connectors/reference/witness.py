"""What a witness says of an NPI, and the claims that tell it to who holds that NPI.

    <source>.sqlite, Holder --claims--> Claim(values | None) --> publish

None is a statement too: the row is gone, or a whole published file has no such NPI. Of a source that was never loaded
nothing is said. A witness owns nothing: what its claims are worth is for authority and the rules to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
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
        """Every row there is or was; one that is under the NPI's own name where there never was one."""
        found: list[tuple[str, Values | None]] = list(self.rows(npi))
        found += [(key, None) for (key,) in self._db.execute(GONE, [npi])]
        yield from found or [(npi, None)]


def open_all(folder: Folder, sources: Iterable[Source]) -> list[Witness]:
    """Those of the sources that were loaded."""
    return [Witness(source, folder) for source in sources if folder.file(source.name).exists()]


def claims(witness: Witness, holder: Holder) -> Iterator[Claim]:
    """What the witness tells a holder; who no longer holds the NPI is told that none of it is about him."""
    source, version = witness.source, witness.version
    assert source.record is not None
    for row, values in witness.says(holder.npi):
        yield Claim(
            witness=source.name,
            kind=holder.kind,
            id=holder.id,
            record=source.record,
            row=row,
            # Rises with each load; within one load with each announcement of who holds the NPI.
            position=(version.load, 0, holder.place),
            as_of=version.as_of,
            values=whole(source.record, values) if values is not None and holder.holds else None,
        )


def whole(record: str, values: Values) -> Values:
    """Every field of the record: what the row leaves out is None, and blanks nothing elsewhere."""
    return {name: values.get(name) for name in load_catalog().records[record].fields}
