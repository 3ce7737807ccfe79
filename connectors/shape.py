"""The tables an adapter writes, as they were when it could: what somebody has altered since.

    place --remember--> concord_shape          a view refused, a column unknown --altered--> what is narrower now

Without it a narrowed column would look like bad data: each view too long for it would be refused for itself, and be
lost to the system until its next change. What became wider is remembered by itself; what became narrower holds the
system back until it is altered back, or accepted by deleting its row. Alters nothing and looks at no row of the system.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from connectors.postgres import Cursor
from connectors.resolve import text

Written: TypeAlias = Mapping[str, frozenset[str]]
"""table -> the columns that the adapter writes"""


class Column(NamedTuple):
    """A column's type, empty where the adapter doesn't write it, and whether a row must have a value of its there."""

    type: str
    needed: bool


Shape: TypeAlias = dict[tuple[str, str], Column]

LOOK = """
select written.name, a.attname,
       case when a.attname = any(written.columns) then format_type(a.atttypid, a.atttypmod) else '' end,
       a.attnotnull and (a.attname = any(written.columns)
                         or (%(inserts)s and not (a.atthasdef or a.attidentity <> '')))
from jsonb_to_recordset(%(tables)s) as written(name text, columns text[])
join pg_attribute a on a.attrelid = to_regclass(written.name) and a.attnum > 0 and not a.attisdropped
"""
KNOWN = "select table_name, column_name, type, needed from concord_shape"
REMEMBER = """
insert into concord_shape (table_name, column_name, type, needed)
select table_name, column_name, type, needed
from jsonb_to_recordset(%(rows)s) as r(table_name text, column_name text, type text, needed boolean)
order by table_name, column_name
on conflict (table_name, column_name) do update set type = excluded.type, needed = excluded.needed
"""

_TYPE = re.compile(r"([^(]+)(?:\((\d+)(?:,(-?\d+))?\))?(.*)")
_TEXTS = {"text": "text", "character varying": "text", "character": "text"}
_WHOLE = ("smallint", "integer", "bigint")


def remember(cursor: Cursor, written: Written, *, inserts: bool = True) -> None:
    """Keep what is there, unless it is narrower than what is known. `inserts`: the adapter makes rows, too."""
    now, known = _look(cursor, written, inserts), _known(cursor)
    rows = [
        {"table_name": place[0], "column_name": place[1], **column._asdict()}
        for place, column in now.items()
        if column != known.get(place) and not _is_narrower(place, column, known)
    ]
    if rows:
        cursor.execute(REMEMBER, {"rows": text(rows)})


def altered(cursor: Cursor, written: Written, *, inserts: bool = True) -> list[str]:
    """What the adapter can no longer write as it could: names and types, never a value."""
    return list(differences(_look(cursor, written, inserts), _known(cursor), written))


def differences(now: Shape, known: Shape, written: Written) -> Iterator[str]:
    """Pure."""
    for table, columns in sorted(written.items()):
        for name in sorted(columns):
            if (table, name) not in now:
                yield f"{table}.{name} is gone"
    for place, column in sorted(now.items()):
        if _is_narrower(place, column, known):
            yield _words(".".join(place), column, known.get(place))


def _is_narrower(place: tuple[str, str], now: Column, known: Shape) -> bool:
    was = known.get(place)
    if was is None:  # a new column is no matter, unless every new row must have a value there
        return now.needed and any(table == place[0] for table, _ in known)
    if now.type and not was.type:
        return False  # this version of the adapter began to write it
    return (now.needed and not was.needed) or not fits(was.type, now.type)


def _words(place: str, now: Column, was: Column | None) -> str:
    if was is None:
        return f"{place} is new and must have a value"
    if not fits(was.type, now.type):
        return f"{place} is {now.type}, was {was.type}"
    return f"{place} must have a value now"


def fits(was: str, now: str) -> bool:
    """Whether every value of the type that was can be one of the type that is."""
    if was == now:
        return True
    (name, size, scale, rest), (now_name, now_size, now_scale, now_rest) = _parts(was), _parts(now)
    if rest != now_rest:
        return False
    if name == now_name == "text":
        return now_size is None or (size is not None and size <= now_size)
    if name in _WHOLE and now_name in _WHOLE:
        return _WHOLE.index(name) <= _WHOLE.index(now_name)
    if name == now_name == "numeric" and size is not None:
        return now_size is None or (size - scale <= now_size - now_scale and scale <= now_scale)
    return name == now_name and now_size is None


def _parts(name: str) -> tuple[str, int | None, int, str]:
    found = _TYPE.fullmatch(name)
    assert found is not None
    base, size, scale, rest = found.groups()
    return _TEXTS.get(base, base), int(size) if size else None, int(scale or 0), rest


def _look(cursor: Cursor, written: Written, inserts: bool) -> Shape:
    tables = [{"name": table, "columns": sorted(columns)} for table, columns in written.items()]
    return _shape(cursor.execute(LOOK, {"tables": text(tables), "inserts": inserts}).fetchall())


def _known(cursor: Cursor) -> Shape:
    return _shape(cursor.execute(KNOWN).fetchall())


def _shape(rows: list[tuple[Any, ...]]) -> Shape:
    return {(table, name): Column(kind, needed) for table, name, kind, needed in rows}
