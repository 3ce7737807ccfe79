"""Rules on taxonomy codes: R04 (one current primary, a code of the section for individuals)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import Taxonomy
from streams.core.today import Today, is_current

NON_INDIVIDUAL = frozenset("25 26 27 28 29 30 31 32 33 34 38".split())
"""First two characters of NUCC codes in section Non-Individual."""


def primary_count(today: Today) -> Iterator[str]:
    """Exactly one current primary; where no row says which is primary, nothing is known."""
    told, count = False, 0
    for row in today.golden.rows(Taxonomy).values():
        if row.nucc_code and row.is_primary is not None:
            told = True
            count += row.is_primary and is_current(row.effective_from, row.effective_to, today.as_of)
    if told and count != 1:
        yield "taxonomy/is_primary"


def section(today: Today) -> Iterator[str]:
    """A code for agencies, facilities or suppliers on an individual."""
    for row_id, row in today.golden.rows(Taxonomy).items():
        if row.nucc_code and row.nucc_code[:2] in NON_INDIVIDUAL:
            yield f"taxonomy/{row_id}/nucc_code"
