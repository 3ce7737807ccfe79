"""Which mapped columns somebody has altered although their rows can still be read: another type, another column.

    Survey, Survey, ... --Shapes--> Altered          of what can't be read any more, mapping_check speaks

PostgreSQL rewrites a table without a change event: after `alter column ... type ... using`, or a column that was
dropped and made anew, values may be others than those that were captured, and nothing says so. Remembers what it saw
last; a verification finds what was altered while nobody looked. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from connectors.mapping_check import fits, place
from connectors.survey import Column, Survey
from schemas.catalog import Catalog, Mapping, Table


@dataclass(frozen=True, slots=True)
class Altered:
    """One column: where (`system.schema.table.column`), the mapping's line, what became of it, and its type now."""

    where: str
    table: str
    place: str
    message: str
    now: str


class Shapes:
    """The mapped columns of one source, as they were when they could be read."""

    def __init__(self) -> None:
        self._last: dict[str, Column] = {}

    def altered(self, mapping: Mapping, catalog: Catalog, seen: Survey) -> Iterator[Altered]:
        """What was altered since the last look; what can't be read now is left as it was."""
        for table in mapping.tables.values():
            facts = seen.tables.get(table.qualified)
            for name in table.captured if facts else ():
                column = facts.columns.get(name) if facts else None
                if column is not None and _readable(table, name, column, catalog):
                    where = f"{mapping.system}.{table.qualified}.{name}"
                    before, self._last[where] = self._last.get(where, column), column
                    if what := _difference(before, column):
                        what = f"{what}: if its values were rewritten, no event said so"
                        yield Altered(where, table.name, place(mapping, where), what, column.spelled)


def _readable(table: Table, name: str, column: Column, catalog: Catalog) -> bool:
    field = catalog.field(*table.target(name)) if name in table.columns else None
    return field is None or fits(field.type, column)


def _difference(before: Column, now: Column) -> str:
    if before.identity != now.identity:
        return "the column was dropped and made anew"
    if before.spelled != now.spelled:
        return f"the column is {now.spelled}, was {before.spelled}"
    return ""
