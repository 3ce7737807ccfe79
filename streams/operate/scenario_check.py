"""What is wrong with a scenario that its shape doesn't show: tables, columns and codes that nothing knows.

    Scenario, Places --> problems with file, line and the nearest valid name --> `concord rules test`

Beside scenario, as schemas/authority_check is beside the authority file. Never plays anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from schemas.catalog import load_mapping
from schemas.place import Path, Places
from schemas.problem import Problem, nearest
from streams.core.rules.book import CODES
from streams.systems import SYSTEMS

NO_COLUMN = "a column that isn't mapped is never captured, so no rule would ever read it"
NO_CODE = "a code that nobody gives is never found, and never missed"
NO_SYSTEM = "what no system says is never captured"


class Named(Protocol):
    """A row as a file names it."""

    @property
    def table(self) -> str: ...

    @property
    def row(self) -> Mapping[str, object]: ...


def of_row(system: str, row: Named, at: Path, places: Places, file: str) -> Iterator[Problem]:
    """A table or a column that the system's mapping doesn't have."""
    where = f"{file}:{places.of(at)}"
    if system not in SYSTEMS:
        yield Problem(
            "scenario.system", where, f"unknown system '{system}'", NO_SYSTEM, nearest(system, SYSTEMS)
        )
        return
    tables = load_mapping(system).tables
    table = tables.get(row.table)
    if table is None:
        what = f"{system} has no table '{row.table}'"
        yield Problem("scenario.table", where, what, NO_COLUMN, nearest(row.table, tables))
        return
    for name in sorted(row.row.keys() - set(table.captured)):
        what = f"{system}.{row.table} has no column '{name}'"
        yield Problem("scenario.column", where, what, NO_COLUMN, nearest(name, table.captured))


def of_code(found: str, at: Path, places: Places, file: str) -> Iterator[Problem]:
    """A finding, `CODE subject`, whose code the rule book doesn't have."""
    code = found.partition(" ")[0]
    if code not in CODES:
        where = f"{file}:{places.of(at)}"
        yield Problem("scenario.code", where, f"unknown code '{code}'", NO_CODE, nearest(code, CODES))
