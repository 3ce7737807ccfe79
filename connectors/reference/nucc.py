"""NUCC: the provider taxonomy, a list of codes. Loaded at run time for its licence's sake: definitions and notes are
never kept. Each code is an entity of its own that providers point at; `list` stands for the whole.

Released on 1 January (x.0, usable from 1 April) and 1 July (x.1, usable from 1 October). A code that a version no
longer has is kept with the day from which it may not be used.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from connectors.reference import delimited
from connectors.reference.delimited import Layout, Shape
from connectors.reference.files import File
from connectors.reference.refusal import unusable
from connectors.reference.secret import Secret
from connectors.reference.source import Mode, Parcel, Row, Source, Version

SHAPE = Shape(
    required=("Code", "Grouping", "Classification", "Specialization", "Section"),
    optional=("Display Name",),
    ignored=("Definition", "Notes"),
)
PLAIN = {
    "grouping": "Grouping",
    "classification": "Classification",
    "specialization": "Specialization",
    "display_name": "Display Name",
    "section": "Section",
}
_is_code = re.compile(r"\d{3}[0-9A-Z]{6}X").fullmatch


def read(file: File, secret: Secret, mode: Mode | None) -> Parcel:
    """Always the whole code set; a list of other codes is refused."""
    rows = file.rows()
    layout = delimited.layout_of(next(rows, (0, []))[1], SHAPE, file.name, unusable)
    parcel = Parcel(mode or "full", layout.names, as_of=_as_of(file))
    parcel.unknown(layout.unknown)

    def code(row: list[str]) -> Row:
        return _row(layout, row, file.name)

    parcel.take(delimited.complete(rows, layout, file.name, unusable), code)
    return parcel


def _row(layout: Layout, row: list[str], name: str) -> Row:
    code = layout.text(row, "Code") or ""
    if not _is_code(code):
        # A like list of HL7 ends its codes in N: none of them may become a taxonomy here.
        raise unusable("not_codes", f"{name}: {code[:12]!r} is no NUCC code (ten characters ending in X)")
    return Row(code, {"code": code, **{name: layout.text(row, column) for name, column in PLAIN.items()}})


def _as_of(file: File) -> str | None:
    """nucc_taxonomy_261.csv: the second release of 2026."""
    version = file.named(r"taxonomy_(\d{2})([01])\b")
    return f"20{version[1]}-{'07' if version[2] == '1' else '01'}-01" if version else None


def usable_from(released: str) -> str:
    """The first day a version released on or before this day may be used."""
    year, month = released[:4], int(released[5:7])
    return f"{year}-10-01" if month >= 7 else f"{year}-04-01"


def _merge(db: sqlite3.Connection, version: Version) -> Counter[str]:
    """Codes this version adds are usable from its day, codes it lacks no longer from then on."""
    day = usable_from(version.as_of)
    (known,) = db.execute("select count(*) from before.entry").fetchone()
    db.execute(KEEP)
    db.execute(ADD, [day if known else None])
    retired = db.execute("select count(*) from before.entry where key not in (select key from incoming)")
    counts = Counter({"retired_kept": retired.fetchone()[0]})
    db.execute(RETIRE, [day])
    db.execute("update incoming set hash = digest(body)")
    return counts


KEEP = """
    update incoming set body = json_set(incoming.body, '$.usable_from', json_extract(e.body, '$.usable_from'))
    from before.entry e where e.key = incoming.key and json_extract(e.body, '$.usable_from') is not null
"""
ADD = """
    update incoming set body = json_patch(body, json_object('usable_from', ?))
    where key not in (select key from before.entry)
"""
RETIRE = """
    insert into incoming (key, hash, body)
    select key, hash, json_set(body, '$.retired_on', coalesce(json_extract(body, '$.retired_on'), ?))
    from before.entry where key not in (select key from incoming)
"""


def codes(path: Path) -> Iterator[tuple[str, str, str | None, str | None]]:
    """(code, section, usable_from, retired_on) of what is loaded at `path`; dates are ISO text.

    usable_from is None for codes of the first version that was loaded: since when is not known here.
    """
    query = """select key, json_extract(body, '$.section'), json_extract(body, '$.usable_from'),
               json_extract(body, '$.retired_on') from entry order by key"""
    with closing(sqlite3.connect(f"file:{path.resolve()}?mode=ro", uri=True)) as db:
        yield from db.execute(query)


def _stale(versions: Sequence[Version], today: date) -> str | None:
    """The next version may be used already, and isn't here."""
    if not versions:
        return None
    newest = max(version.as_of for version in versions)
    year, half = int(newest[:4]), int(newest[5:7]) >= 7
    due = f"{year + 1}-04-01" if half else f"{year}-10-01"
    return f"the version usable from {due} is not loaded" if today.isoformat() >= due else None


SOURCE = Source(
    name="nucc",
    title="NUCC provider taxonomy",
    parser=1,
    member=r"nucc_taxonomy.*\.csv$",
    read=read,
    stale=_stale,
    record="nucc",
    kind="nucc",
    merge={"full": _merge},
)
