"""Rules on exclusions a screening found: R08. A hit by NPI stops at once; a hit by name is reviewed first."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import ExclusionHit
from streams.core.today import Today

CONFIRMED = "confirmed"
CLEARED = ("false_positive", "waived")
BY_NAME = ("name_dob", "name_dob_state", "name_only")


def confirmed(today: Today) -> Iterator[str]:
    """A reviewer confirmed it."""
    for row_id, row in today.golden.rows(ExclusionHit).items():
        if row.disposition == CONFIRMED:
            yield f"exclusion_hit/{row_id}"


def is_open(today: Today) -> Iterator[str]:
    """Not reviewed yet, and not by name alone: what doesn't say how it matched is taken for a hit."""
    for row_id, row in _unreviewed(today):
        if row.match_type not in BY_NAME:
            yield f"exclusion_hit/{row_id}"


def possible(today: Today) -> Iterator[str]:
    """Not reviewed yet, by name."""
    for row_id, row in _unreviewed(today):
        if row.match_type in BY_NAME:
            yield f"exclusion_hit/{row_id}"


def _unreviewed(today: Today) -> Iterator[tuple[str, ExclusionHit]]:
    for row_id, row in today.golden.rows(ExclusionHit).items():
        if row.disposition != CONFIRMED and row.disposition not in CLEARED:
            yield row_id, row
