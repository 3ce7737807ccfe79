"""Rules on what searches of the witnesses' lists gave: R02 (an NPI that NPPES doesn't know), R08 (screening age).

A search is told only of a list that was read whole: of a source that was never loaded, or could not be read, nothing
is known here, which is neither clear nor a hit.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import LeieSearch, NppesSearch, SamSearch
from streams.core.rules.days import between
from streams.core.today import Today

SCREEN_DAYS = 30
LEIE_DAYS, SAM_DAYS = 40, 3
"""How old a list may be when it is searched: then it counts as stale."""


def npi_unknown(today: Today) -> Iterator[str]:
    """The newest whole list has no row of the NPI, not even a dark one (R02)."""
    for row_id, row in today.golden.rows(NppesSearch).items():
        if row.found == 0:
            yield f"nppes_search/{row_id}/found"


def leie_old(today: Today) -> Iterator[str]:
    """The LEIE was last searched too long ago, or was stale when it was (R08)."""
    for row_id, row in today.golden.rows(LeieSearch).items():
        if _too_old(row.searched_on, row.list_of, LEIE_DAYS, today.as_of):
            yield f"leie_search/{row_id}/searched_on"


def sam_old(today: Today) -> Iterator[str]:
    """As the LEIE (R08)."""
    for row_id, row in today.golden.rows(SamSearch).items():
        if _too_old(row.searched_on, row.list_of, SAM_DAYS, today.as_of):
            yield f"sam_search/{row_id}/searched_on"


def _too_old(searched: str | None, list_of: str | None, list_days: int, as_of: str) -> bool:
    return (between(searched, as_of) or 0) > SCREEN_DAYS or (between(list_of, searched) or 0) > list_days
