"""The SQL every relational target shares: guard, locate, upsert, defer, offsets.

Pure: text built from the tables' descriptions. Rows arrive as one JSON parameter, so a batch costs the same
number of statements whatever its size. A row that would not change is never rewritten: it would be captured
as an event that says nothing.
"""
# ruff: noqa: S608  (the names come from our own table descriptions, values are parameters)

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.table import Children, Root


def recordset(columns: Mapping[str, str], alias: str = "r", parameter: str = "rows") -> str:
    """The rows of a JSON parameter as a table expression.

    Its limit says no more than how many there are, and is for the planner: it counts on 100 rows of any function, and
    for so many reads a whole table of some ten thousand rows where it would look up the one that is asked for.
    """
    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    rows = f"%({parameter})s"
    return f"(select * from jsonb_to_recordset({rows}) as t({typed}) limit jsonb_array_length({rows})) as {alias}"


# Locks what is held of the batch's entities, in key order; what is deferred counts as known, too.
GUARD = """
with held as (
    select entity_id, local_id, revision from concord_applied
    where kind = %(kind)s and entity_id = any(%(ids)s) order by entity_id for update
)
select entity_id, local_id, revision, null::bigint as deferred from held
union all
select entity_id, null, null, revision from concord_pending where kind = %(kind)s and entity_id = any(%(ids)s)
"""

# A lost race (another process created the same entity) writes fewer rows than asked: try the batch again.
APPLIED = f"""
insert into concord_applied as held (kind, entity_id, local_id, revision, view_hash, applied_at)
select %(kind)s, entity_id, local_id, revision, view_hash, clock_timestamp()
from {recordset({"entity_id": "text", "local_id": "text", "revision": "bigint", "view_hash": "text"})}
order by entity_id
on conflict (kind, entity_id) do update
set revision = excluded.revision, view_hash = excluded.view_hash, applied_at = excluded.applied_at
where held.revision < excluded.revision and held.local_id = excluded.local_id
"""

DEFER = f"""
insert into concord_pending as held (kind, entity_id, revision, view, waits_for)
select %(kind)s, entity_id, revision, view, waits_for
from {recordset({"entity_id": "text", "revision": "bigint", "view": "jsonb", "waits_for": "text"})}
order by entity_id
on conflict (kind, entity_id) do update
set revision = excluded.revision, view = excluded.view, waits_for = excluded.waits_for
where held.revision < excluded.revision
   or (held.revision = excluded.revision and held.waits_for <> excluded.waits_for)
"""

# Whatever is not newer than what is held has nothing to wait for any more.
SETTLE = """
delete from concord_pending waiting using concord_applied held
where waiting.kind = held.kind and waiting.entity_id = held.entity_id and waiting.revision <= held.revision
  and waiting.kind = %(kind)s and waiting.entity_id = any(%(ids)s)
"""

DISCARD = f"""
delete from concord_pending waiting
using {recordset({"kind": "text", "entity_id": "text", "revision": "bigint"})}
where waiting.kind = r.kind and waiting.entity_id = r.entity_id and waiting.revision <= r.revision
"""

AWAITED = "select distinct waits_for from concord_pending where waits_for <> ''"

RELEASE = """
select kind, entity_id, revision, view from concord_pending
where waits_for = any(%(there)s) order by kind, entity_id limit 1000
"""

# A process whose partition was taken over must not move the offsets of its successor backwards.
OFFSETS = f"""
insert into concord_offset as held (topic, partition, topic_id, next_offset)
select topic, partition, topic_id, next_offset
from {recordset({"topic": "text", "partition": "int", "topic_id": "text", "next_offset": "bigint"})}
order by topic, partition
on conflict (topic, partition) do update
set topic_id = excluded.topic_id, next_offset = excluded.next_offset
where held.topic_id <> excluded.topic_id or held.next_offset < excluded.next_offset
"""

STORED = f"""
select held.topic, held.partition, held.topic_id, held.next_offset
from concord_offset held
join {recordset({"topic": "text", "partition": "int", "topic_id": "text"})}
  on held.topic = r.topic and held.partition = r.partition and held.topic_id = r.topic_id
"""


def locate(root: Root) -> str:
    """Rows an entity may already have, locked: by cross reference, or by NPI while the row is nobody's."""
    taken = f"select from concord_applied where kind = %(kind)s and local_id = {root.key}::text"
    nobodys = f"{root.reference} is null and {root.npi} = any(%(npis)s) and not exists ({taken})"
    by_npi = f"or ({nobodys})" if root.npi else ""
    return f"""
        select {root.key}, {root.reference}::text, {root.npi or "null"}::text from {root.table}
        where {root.reference} = any(%(refs)s::uuid[]) {by_npi}
        order by {root.key} for update"""


def refer(root: Root) -> str:
    """Every row with the cross reference of one of these entities, locked."""
    return f"""
        select {root.key} from {root.table} where {root.reference} = any(%(refs)s::uuid[])
        order by {root.key} for update"""


def lock(below: Children) -> str:
    """What stands below the roots, locked before it is compared: an edit is seen, or comes after our commit and is
    known to be newer than the confirmation (Invariant 8)."""
    return f"select from {below.table} where {below.parent} = any(%(ids)s) order by {below.parent} for update"


def allocate(root: Root) -> str:
    """Ids for new rows before the rows exist: concord_applied names them first."""
    return f"""
        select nextval(pg_get_serial_sequence('{root.table}', '{root.key}'))
        from generate_series(1, %(count)s)"""


def upsert(root: Root) -> str:
    """The root rows; columns the system owns take their defaults and are never set again (Invariant 9)."""
    names = [root.key, *root.columns]
    return f"""
        insert into {root.table} as held ({listed(names)}) overriding system value
        select {listed(names)} from {recordset({root.key: "bigint", **root.columns})} order by {root.key}
        on conflict ({root.key}) do update set {", ".join(f"{c} = excluded.{c}" for c in root.columns)}
        where ({listed(root.columns, "held.")}) is distinct from ({listed(root.columns, "excluded.")})"""


def listed(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{name}" for name in names)
