"""Looks at a source's database: what is there, published, identified and granted. Reads system catalogs only.

    database --survey--> Survey --mapping_check--> problems with fixes

I/O and nothing else: it judges nothing, changes nothing and never reads a row of a captured table. That it
could not look is an error (Unavailable), which is not the same as finding something wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import psycopg

from streams.errors import Unavailable

EVENTS = ("insert", "update", "delete", "truncate")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its base type's name (`_text` = text[]), whether it is an enum, NOT NULL, and readable; its type as
    people write it, and (table's oid, column's number), which another column of the same name doesn't have."""

    type: str
    enum: bool
    required: bool
    readable: bool
    spelled: str = ""
    identity: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """One table; `identity` = columns of its replica identity (None: FULL or NOTHING), `published` = its
    published columns (None: not in the publication)."""

    columns: Mapping[str, Column]
    identity: tuple[str, ...] | None = None
    primary: tuple[str, ...] = ()
    published: tuple[str, ...] | None = None
    row_filter: str | None = None
    rights: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Survey:
    """What was seen of the tables asked for; a table that is missing here is missing there. `strangers`: what is
    published and was not asked for."""

    tables: Mapping[str, Facts] = field(default_factory=dict)
    role: bool = True
    publication: bool = True
    events: frozenset[str] = frozenset(EVENTS)
    strangers: tuple[str, ...] = ()


_COLUMNS = """
select n.nspname || '.' || c.relname, a.attname, b.typname, b.typtype = 'e', a.attnotnull,
       has_column_privilege(%(role)s, c.oid, a.attnum, 'select'),
       format_type(a.atttypid, a.atttypmod), c.oid::int8, a.attnum::int
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
join pg_type b on b.oid = coalesce(nullif(t.typbasetype, 0), t.oid)
where n.nspname || '.' || c.relname = any(%(tables)s) and c.relkind in ('r', 'p')
order by a.attnum
"""

_INDEXES = """
select n.nspname || '.' || c.relname, i.indisprimary,
       case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end,
       array(select a.attname::text from unnest(i.indkey[:i.indnkeyatts - 1]) k
             join pg_attribute a on a.attrelid = c.oid and a.attnum = k)
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
join pg_index i on i.indrelid = c.oid and (i.indisprimary or i.indisreplident)
where n.nspname || '.' || c.relname = any(%(tables)s)
"""

_PUBLISHED = """
select schemaname || '.' || tablename, attnames::text[], rowfilter
from pg_publication_tables where pubname = %(publication)s
"""

_EVENTS = (
    "select pubinsert, pubupdate, pubdelete, pubtruncate from pg_publication where pubname = %(publication)s"
)

_RIGHTS = """
select n.nspname || '.' || c.relname, array_agg(r) filter (where has_any_column_privilege(%(role)s, c.oid, r))
from pg_class c join pg_namespace n on n.oid = c.relnamespace, unnest(array['select', 'insert', 'update']) r
where n.nspname || '.' || c.relname = any(%(tables)s) group by 1
"""


def survey(dsn: str, tables: Iterable[str], *, role: str, publication: str) -> Survey:
    """Look at these tables (`schema.table`) as `role` and `publication` see them; any login may ask."""
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=10) as connection:
            return look(connection, tables, role=role, publication=publication)
    except psycopg.OperationalError as fault:
        raise _unreachable(fault) from None


def look(connection: psycopg.Connection, tables: Iterable[str], *, role: str, publication: str) -> Survey:
    """The same over a connection that stays."""
    tables = list(tables)
    asked = {"tables": tables, "role": role, "publication": publication}
    known = connection.execute("select 1 from pg_roles where rolname = %(role)s", asked).fetchone()
    events = connection.execute(_EVENTS, asked).fetchone()
    if not known:
        return Survey({}, role=False, publication=events is not None)
    sent = frozenset(name for name, on in zip(EVENTS, events or (), strict=False) if on)
    published = {table: (tuple(names), rows) for table, names, rows in connection.execute(_PUBLISHED, asked)}
    found = _tables(connection, asked, published)
    strangers = tuple(sorted(published.keys() - set(tables)))
    return Survey(found, publication=events is not None, events=sent, strangers=strangers)


Published = Mapping[str, tuple[tuple[str, ...], str | None]]


def _tables(
    connection: psycopg.Connection, asked: Mapping[str, object], published: Published
) -> dict[str, Facts]:
    columns: dict[str, dict[str, Column]] = {}
    for table, name, kind, enum, required, readable, *more in connection.execute(_COLUMNS, asked):
        spelled, oid, number = more
        column = Column(kind, enum, required, readable, spelled, (oid, number))
        columns.setdefault(table, {})[name] = column
    primary, identity = _indexes(connection, asked)
    rights = {table: frozenset(names or ()) for table, names in connection.execute(_RIGHTS, asked)}
    return {
        table: Facts(
            found,
            identity=identity.get(table),
            primary=primary.get(table, ()),
            published=published[table][0] if table in published else None,
            row_filter=published[table][1] if table in published else None,
            rights=rights.get(table, frozenset()),
        )
        for table, found in columns.items()
    }


def _indexes(
    connection: psycopg.Connection, asked: Mapping[str, object]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    primary: dict[str, tuple[str, ...]] = {}
    identity: dict[str, tuple[str, ...]] = {}
    for table, is_primary, is_identity, names in connection.execute(_INDEXES, asked):
        if is_primary:
            primary[table] = tuple(names)
        if is_identity:
            identity[table] = tuple(names)
    return primary, identity


def _unreachable(fault: psycopg.Error) -> Unavailable:
    reason = (fault.diag.message_primary or str(fault)).splitlines()[0]
    step = "check the address and that the database runs (`concord doctor`), then repeat"
    return Unavailable("source.unreachable", f"could not look at the source's database: {reason}", step)
