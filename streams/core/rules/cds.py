"""Rules on prescribing that need the state's own registration or the form of the DEA number: R07."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import CdsRegistration, DeaRegistration
from streams.core.rules.prescribing import USABLE
from streams.core.today import Today

STATES = frozenset("AL CT DC DE HI IA ID IL IN LA MA MD MI MO NJ NM NV OK PR RI SC SD UT WY GU".split())
"""States with a registration of their own for controlled substances."""
FIRST_LETTERS = frozenset("ABFGMPR")


def _usable(row: CdsRegistration, as_of: str) -> bool:
    return row.status in (None, USABLE) and (not row.expires or as_of <= row.expires)


def expired(today: Today) -> Iterator[str]:
    """A registration that may no longer be used."""
    for row_id, row in today.golden.rows(CdsRegistration).items():
        if not _usable(row, today.as_of):
            yield f"cds_registration/{row_id}/expires"


def missing(today: Today) -> Iterator[str]:
    """A prescriber with a registration elsewhere lacks one where the state of practice asks for it."""
    rows = today.golden.rows(CdsRegistration).values()
    states = {row.state for row in rows if _usable(row, today.as_of)}
    if not rows or not today.golden.rows(DeaRegistration):
        return
    for place in today.places:
        if place.location.state in STATES and place.location.state not in states:
            yield f"location/{place.row.location_id}"


def first_letter(today: Today) -> Iterator[str]:
    """A DEA number begins with a letter nobody is known to be given."""
    for row_id, row in today.golden.rows(DeaRegistration).items():
        if row.number and row.number[0] not in FIRST_LETTERS:
            yield f"dea_registration/{row_id}/number"
