"""Of which tables Debezium would misread, in silence, what follows a reading beside the stream: they aren't read so.

    publication, columns of a table --places--> Place(published column, the column it would be taken for) --> refused

A reading (incremental snapshot) replaces what Debezium 3.7 knows of a table by all of its columns; the rows that follow
have the published ones only and are read by position, until the task starts anew. Where a value can't be of the type it
is read as, the task fails, and starts anew by itself: nothing is misread. Asks the source, changes nothing
(docs/decisions/20261123-no-reading-that-is-followed-by-a-silent-misreading.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors import origin
from connectors.sources import Source
from streams.errors import EnvironmentFault

NUMBERS = frozenset({"int2", "int4", "int8"})
NEVER_A_NUMBER = frozenset({"date", "timestamp", "timestamptz", "time", "timetz", "interval", "uuid"})
"""No value of these reads as a whole number."""

PLACES = """
select p.schemaname || '.' || p.tablename, listed.name, a.attnotnull, t.typname, taken.name, taken.type,
       exists (select from pg_index join pg_class c on c.oid = indrelid where c.oid = a.attrelid and
               a.attnum = any(indkey) and (indisreplident or (indisprimary and c.relreplident = 'd')))
from pg_publication_tables p
cross join lateral unnest(p.attnames) with ordinality listed (name, place)
join pg_attribute a on a.attrelid = format('%%I.%%I', p.schemaname, p.tablename)::regclass and a.attname = listed.name
join pg_type t on t.oid = a.atttypid
join lateral (select every.attname, of.typname, row_number() over (order by every.attnum)
    from pg_attribute every join pg_type of on of.oid = every.atttypid
    where every.attrelid = a.attrelid and every.attnum > 0 and not every.attisdropped) taken (name, type, place)
    on taken.place = listed.place
where p.pubname = %(publication)s and p.schemaname || '.' || p.tablename = any(%(tables)s)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A published column, and the one that its values would be taken for."""

    name: str
    required: bool
    type: str
    taken_for: str
    taken_for_type: str
    identity: bool = False
    """of the replica identity: all that a delete has"""

    @property
    def is_shifted(self) -> bool:
        """It stands behind a column that isn't published."""
        return self.name != self.taken_for

    @property
    def fails(self) -> bool:
        """Every row with it fails: it has a value, which can't be of that type."""
        return self.required and self.type in NEVER_A_NUMBER and self.taken_for_type in NUMBERS


def is_silent(places: Iterable[Place]) -> bool:
    """Whether a row of the table may be misread and nobody learns of it."""
    shifted = [place for place in places if place.is_shifted]
    return bool(shifted) and (not any(p.fails for p in shifted) or any(p.identity for p in shifted))


def refuse(source: Source, tables: Sequence[str]) -> None:
    """EnvironmentFault where one of these (`schema.table`) may not be read beside the stream."""
    if found := [name for name, places in look(source, tables).items() if is_silent(places)]:
        what = (
            f"{', '.join(found)}: a column that isn't published stands before one that is, "
            "so what is written once it is read would be taken for other columns"
        )
        step = f"concord sources apply {source.names.system} --resnapshot; for good: give that column the last place"
        raise EnvironmentFault("backfill.misread", what, step)


def look(source: Source, tables: Sequence[str]) -> Mapping[str, list[Place]]:
    """Where the published columns of these tables stand."""
    found = defaultdict(list)
    asked = {"publication": source.names.publication, "tables": [*tables]}
    with origin.connected(source.dsn) as connection:
        for table, *place in connection.execute(PLACES, asked):
            found[table].append(Place(*place))
    return found
