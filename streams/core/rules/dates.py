"""Rules on periods: R15, what one row alone can't get wrong: two rows of the same fact for the same days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from streams.core.canonical import Affiliation, ProviderLocation, Taxonomy
from streams.core.today import FOREVER, Today

Period = tuple[str, str, str, str]
"""(what it is of, from, to, row id)"""


def _overlaps(record: str, periods: Iterable[Period]) -> Iterator[str]:
    """Rows that begin before another row of the same fact has ended."""
    ends: dict[str, str] = {}
    for fact, start, end, row_id in sorted(periods):
        if start < ends.get(fact, ""):
            yield f"{record}/{row_id}/effective_from"
        ends[fact] = max(ends.get(fact, ""), end)


def place_overlap(today: Today) -> Iterator[str]:
    """One place twice."""
    rows = today.golden.rows(ProviderLocation).items()
    if len(rows) > 1:
        yield from _overlaps(
            "provider_location",
            [(r.location_id or "", r.effective_from or "", r.effective_to or FOREVER, i) for i, r in rows],
        )


def affiliation_overlap(today: Today) -> Iterator[str]:
    """One role in one group twice."""
    rows = today.golden.rows(Affiliation).items()
    if len(rows) > 1:
        yield from _overlaps(
            "affiliation",
            [
                (f"{r.organization_id} {r.role}", r.effective_from or "", r.effective_to or FOREVER, i)
                for i, r in rows
            ],
        )


def taxonomy_overlap(today: Today) -> Iterator[str]:
    """One code with one licence twice: each state's licence may stand beside a row of the same code."""
    rows = today.golden.rows(Taxonomy).items()
    if len(rows) > 1:
        yield from _overlaps(
            "taxonomy",
            [
                (f"{r.nucc_code} {r.license_id}", r.effective_from or "", r.effective_to or FOREVER, i)
                for i, r in rows
            ],
        )
