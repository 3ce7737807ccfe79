"""Rules on licences: R06 (usable in every state of practice, expiry ahead), and what is not known of them."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import License
from streams.core.rules.days import later
from streams.core.today import USABLE_LICENSES, Today

ALERT_DAYS = 90
"""The first of the alerts at 90, 60, 30 and 7 days; the row says how long it is now."""


PENDING = "pending"
"""Applied for, or entered and verified by nobody: neither usable nor lapsed."""

Uncovered = tuple[list[str], list[str]]
"""(places whose licence is lost or was never there, places of whose licence nothing is decided yet)"""


def _uncovered(today: Today) -> Uncovered:
    """A licence whose status is not told covers its state, as one that is usable does: it is unknown."""
    found: Uncovered | None = today.noted.get("uncovered")
    if found is not None:
        return found
    usable, decided = [], []
    for row in today.golden.rows(License).values():
        if row.status and row.status != PENDING:
            decided.append(row.state)
        if _may_be_used(row, today.as_of):
            usable.append(row.state)
    states = [(place.location.state, f"location/{place.row.location_id}") for place in today.places]
    open_ones = [(state, name) for state, name in states if state and state not in usable]
    lost = [name for state, name in open_ones if decided and (state in decided or not _applied(today, state))]
    found = today.noted["uncovered"] = (lost, [name for _, name in open_ones if name not in lost])
    return found


def _applied(today: Today, state: str) -> bool:
    return any(row.state == state for row in today.golden.rows(License).values())


def lapsed(today: Today) -> Iterator[str]:
    """No licence is usable today in a state of practice."""
    yield from _uncovered(today)[0]


def pending(today: Today) -> Iterator[str]:
    """The only licences that could cover a state of practice are not decided on yet."""
    places = _uncovered(today)[1]
    if places and any(row.status == PENDING for row in today.golden.rows(License).values()):
        yield from places


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
