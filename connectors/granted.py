"""What connectors/<system>/capture.sql grants a role, as data: the one place where an adapter's rights are written.

    capture.sql --granted--> Right --missing(database)--> what the role lacks there --statement--> GRANT to paste

Reads the file and system catalogs; grants nothing. A right on columns stays one on columns (Invariant 9).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg

from connectors.mapping_check import quoted
from connectors.resolve import text
from connectors.systems import HERE

_COMMENT = re.compile(r"--[^\n]*")
_GRANT = re.compile(
    r"\bgrant\s+(.*?)\s+on\s+(sequence\s+|schema\s+|function\s+)?(.*?)\s+to\s+(\w+)\s*;", re.S | re.I
)
_ACT = re.compile(r"(\w+)\s*(?:\(([^)]*)\))?")

_MISSING = """
select r.act, r.kind, r.name, r.column,
       case r.kind
           when 'schema' then has_schema_privilege(%(role)s, to_regnamespace(r.name), r.act)
           when 'sequence' then has_sequence_privilege(%(role)s, to_regclass(r.name), r.act)
           when 'function' then has_function_privilege(%(role)s, to_regprocedure(r.name), r.act)
           else case when r.column = '' then has_table_privilege(%(role)s, to_regclass(r.name), r.act)
                else has_column_privilege(%(role)s, a.attrelid, a.attnum, r.act) end
       end
from jsonb_to_recordset(%(rights)s) as r(act text, kind text, name text, "column" text)
left join pg_attribute a on a.attrelid = to_regclass(r.name) and a.attname = r.column and not a.attisdropped
"""


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """One act on one thing; `kind` is table, sequence, schema or function, `column` empty for the whole table."""

    kind: str
    name: str
    act: str
    column: str = ""


def granted(system: str, role: str) -> list[Right]:
    """Every right that the system's capture.sql gives the role."""
    return list(parsed((HERE / system / "capture.sql").read_text("utf-8"), role))


def parsed(script: str, role: str) -> Iterator[Right]:
    """The same of any script of GRANTs; pure."""
    for acts, kind, names, to in _GRANT.findall(_COMMENT.sub("", script)):
        if to == role:
            what = kind.strip().lower() or "table"
            things = [names] if what == "function" else names.split(",")
            for thing in things:
                yield from _rights(what, " ".join(thing.split()), acts)


def _rights(kind: str, name: str, acts: str) -> Iterator[Right]:
    for act, columns in _ACT.findall(acts):
        for column in columns.split(","):
            yield Right(kind, name, act.lower(), column.strip())


def missing(
    connection: psycopg.Connection[Any], role: str, rights: Sequence[Right]
) -> tuple[list[Right], list[Right]]:
    """What the role lacks, and what is not there at all to have a right on. The role must exist."""
    rows = [{"kind": r.kind, "name": r.name, "act": r.act, "column": r.column} for r in rights]
    found = connection.execute(_MISSING, {"role": role, "rights": text(rows)}).fetchall()
    told = {Right(kind, name, act, column): has for act, kind, name, column, has in found}
    lacking = [right for right, has in told.items() if has is False]
    return lacking, [right for right, has in told.items() if has is None]


def statements(role: str, rights: Iterable[Right]) -> list[str]:
    """The GRANTs that give these rights, one a thing and act."""
    listed = sorted(rights)
    return [
        _statement(role, kind, name, act, [right.column for right in group if right.column])
        for (kind, name, act), group in groupby(listed, lambda r: (r.kind, r.name, r.act))
    ]


def _statement(role: str, kind: str, name: str, act: str, columns: Sequence[str]) -> str:
    listed = f" ({', '.join(quoted(column) for column in columns)})" if columns else ""
    thing = name if kind == "function" else quoted(name)
    return f"grant {act}{listed} on {'' if kind == 'table' else f'{kind} '}{thing} to {quoted(role)};"
