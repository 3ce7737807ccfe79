"""Rules on enrollments as the enrollment system holds them: R15 (dates), R13 (TIN and NPI of the group), G01 (what the
master observes and no enrollment confirms).

They read its own claims: without these nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import Enrollment, NetworkParticipation
from streams.core.rules.days import between
from streams.core.today import Place, Today

ENDED = "terminated"
RETRO_DAYS = 30
"""Medicare: billing begins at most so many days before the effective date (90 in a declared disaster)."""


def running(today: Today) -> list[tuple[str, Enrollment]]:
    """Enrollments that are not terminated."""
    found: list[tuple[str, Enrollment]] | None = today.noted.get("enrollments")
    if found is None:
        rows = today.golden.rows(Enrollment).items()
        found = today.noted["enrollments"] = [(i, r) for i, r in rows if r.state != ENDED]
    return found


def dates_order(today: Today) -> Iterator[str]:
    """Covered to a day before the first, or billed back from a day after it (R15)."""
    for row_id, row in today.golden.rows(Enrollment).items():
        start = row.payer_effective
        if start and row.term_date and row.term_date < start:
            yield f"enrollment/{row_id}/term_date"
        if start and row.retro_bill_from and row.retro_bill_from > start:
            yield f"enrollment/{row_id}/retro_bill_from"


def retro_window(today: Today) -> Iterator[str]:
    """Billed back further than Medicare allows (R15)."""
    for row_id, row in running(today):
        if (between(row.retro_bill_from, row.payer_effective) or 0) > RETRO_DAYS:
            yield f"enrollment/{row_id}/retro_bill_from"


def group_differs(today: Today) -> Iterator[str]:
    """Another TIN or NPI than that of the group the place belongs to (R13)."""
    for row_id, row in running(today):
        place = place_of(today, row)
        group = place.group if place is not None else None
        if group is None:
            continue
        if row.group_npi and group.npi and row.group_npi != group.npi:
            yield f"enrollment/{row_id}/group_npi"
        if row.group_tin and group.tin and _digits(row.group_tin) != _digits(group.tin):
            yield f"enrollment/{row_id}/group_tin"


def unconfirmed(today: Today) -> Iterator[str]:
    """The master observes a network that no enrollment in force confirms at some place: it isn't listed there (G01)."""
    shown = {(place.row.location_id, network) for place, network in today.listed}
    for row_id, row in today.golden.rows(NetworkParticipation).items():
        if row in today.networks and any((place.row.location_id, row) not in shown for place in today.places):
            yield f"network_participation/{row_id}/par_status"


def place_of(today: Today, row: Enrollment) -> Place | None:
    """Today's place that an enrollment is for."""
    return next((place for place in today.places if place.row.location_id == row.location_id), None)


def _digits(tin: str) -> str:
    return tin.replace("-", "")
