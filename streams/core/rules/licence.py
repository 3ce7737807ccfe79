"""Rules on licences: R06 (usable in every state of practice, expiry ahead), and what is not known of them."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import License
from streams.core.rules.days import later
from streams.core.today import USABLE_LICENSES, Today

ALERT_DAYS = 90
"""The first of the alerts at 90, 60, 30 and 7 days; the row says how long it is now."""


def lapsed(today: Today) -> Iterator[str]:
    """No licence is usable today in a state of practice. A licence whose status is not told is neither (unknown)."""
    told, open_states = False, []
    for row in today.golden.rows(License).values():
        told = told or bool(row.status)
        if _may_be_used(row, today.as_of):
            open_states.append(row.state)
    for place in today.places if told else ():
        if place.location.state and place.location.state not in open_states:
            yield f"location/{place.row.location_id}"


def _may_be_used(row: License, as_of: str) -> bool:
    """Issued and expiry are days of validity themselves."""
    if row.status and row.status not in USABLE_LICENSES:
        return False
    return (not row.issued or row.issued <= as_of) and (not row.expires or as_of <= row.expires)


def expiring(today: Today) -> Iterator[str]:
    """A usable licence ends within the alert period."""
    limit = later(today.as_of, ALERT_DAYS) if today.as_of else None
    for row_id, row in today.golden.rows(License).items():
        if limit and row.expires and row.expires <= limit and _may_be_used(row, today.as_of):
            yield f"license/{row_id}/expires"


def missing(today: Today) -> Iterator[str]:
    """A provider practises somewhere and no licence at all is on record."""
    if today.places and not today.golden.rows(License):
        yield "license"


def status_unknown(today: Today) -> Iterator[str]:
    """Nobody says whether the licence may be used."""
    for row_id, row in today.golden.rows(License).items():
        if not row.status:
            yield f"license/{row_id}/status"
