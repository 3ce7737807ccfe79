"""Who on an exclusion list may be a person, where no NPI tells: by name and the keyed hash of the date of birth.

    listed(source, last name) --candidates--> Candidate(row, how strongly)

Pure but for `listed`, which reads. Names are compared exactly after folding; LEIE cuts names off, so a cut name equals
any that begins with it. A name alone is never a hit, only weak evidence; two different dates of birth are two persons.
Who asks must know the person: connectors/reference/screen.py asks for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

from connectors.reference.names import folded
from connectors.reference.source import Source
from connectors.reference.store import Folder, decode, reading

Match: TypeAlias = Literal["name_dob_state", "name_dob", "name_only"]
STRONGEST: tuple[Match, ...] = ("name_dob_state", "name_dob", "name_only")

LAST_CUT, FIRST_CUT = 20, 15
"""Where the publisher of LEIE cuts last and first names."""
SHORTEST = 12
"""A cut last name has 20 characters; folding takes its blanks and hyphens, never as many as this leaves."""


class Listed(NamedTuple):
    """One person on a list."""

    row: str
    last: str | None
    first: str | None
    dob_hash: str | None
    state: str | None


class Candidate(NamedTuple):
    """A row that may be the person."""

    row: str
    match: Match


def candidates(
    rows: Iterable[Listed], last: str, first: str, dob_hash: str | None, state: str | None
) -> list[Candidate]:
    """Those of the rows that may be this person, the strongest first. Call it for each name the person had."""
    found = [
        Candidate(row.row, _match(row, dob_hash, state))
        for row in rows
        if _alike(row.last, last, LAST_CUT)
        and _alike(row.first, first, FIRST_CUT)
        and not (row.dob_hash and dob_hash and row.dob_hash != dob_hash)
    ]
    return sorted(found, key=lambda candidate: (STRONGEST.index(candidate.match), candidate.row))


def _match(row: Listed, dob_hash: str | None, state: str | None) -> Match:
    if not (dob_hash and row.dob_hash == dob_hash):
        return "name_only"
    return "name_dob_state" if state and row.state == state.upper() else "name_dob"


def _alike(listed: str | None, name: str, cut: int) -> bool:
    short, full = folded(listed), folded(name)
    if not short or not full:
        return False
    return short == full or (len(listed or "") >= cut and full.startswith(short))


def possible_names(last: str) -> set[str]:
    """This last name, and what the publisher may have cut it to; folded."""
    name = folded(last)
    return {name, *(name[:length] for length in range(SHORTEST, LAST_CUT + 1))}


def listed(folder: Folder, source: Source, last: str) -> Iterator[Listed]:
    """The persons of a loaded list whose last name is this one, or this one cut off."""
    names = possible_names(last)
    marks = ", ".join("?" * len(names))
    db = reading(folder.file(source.name))
    try:
        for key, body in db.execute(f"select key, body from entry where name in ({marks})", [*names]):  # noqa: S608
            said = decode(body)
            if said.get("last_name"):
                yield Listed(key, *(said.get(n) for n in ("last_name", "first_name", "dob_hash", "state")))
    finally:
        db.close()
