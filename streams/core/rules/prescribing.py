"""Rules on DEA registrations: R07, what needs no outside data."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import DeaRegistration, FormerName
from streams.core.today import Today

USABLE = "active"
ANY_LETTER = "9"
"""A business address stands here instead of the last name's first letter."""


def _usable(row: DeaRegistration, as_of: str) -> bool:
    return row.status in (None, USABLE) and (not row.expires or as_of <= row.expires)


def expired(today: Today) -> Iterator[str]:
    """A registration that may no longer be used."""
    for row_id, row in today.golden.rows(DeaRegistration).items():
        if not _usable(row, today.as_of):
            yield f"dea_registration/{row_id}/expires"


def last_name_letter(today: Today) -> Iterator[str]:
    """The second character is the first letter of the last name, today's or a former one."""
    first: str = (today.root.last_name or "")[:1].upper()
    for row_id, row in today.golden.rows(DeaRegistration).items():
        letter = (row.number or "")[1:2] or ANY_LETTER
        if first and letter not in (first, ANY_LETTER) and letter not in _former_letters(today):
            yield f"dea_registration/{row_id}/number"


def _former_letters(today: Today) -> set[str]:
    return {row.last_name[0].upper() for row in today.golden.rows(FormerName).values() if row.last_name}


def state_missing(today: Today) -> Iterator[str]:
    """Registered somewhere, but not in a state of practice."""
    rows = [row for row in today.golden.rows(DeaRegistration).values() if _usable(row, today.as_of)]
    if not rows or any(not row.state for row in rows):
        return
    states = {row.state for row in rows}
    for place in today.places:
        if place.location.state and place.location.state not in states:
            yield f"location/{place.row.location_id}"
