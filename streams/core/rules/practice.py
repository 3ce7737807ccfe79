"""Rules on where and with whom a provider practises, and on places themselves: R14, R23, R30, G03, G04."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.core.canonical import Affiliation, Location
from streams.core.today import Place, Today, is_current

_PO_BOX = re.compile(r"\W*(P\W*O\W*|POST\s+OFFICE\s+)BOX\b", re.IGNORECASE).match

ZIP_STATES = {
    digit: frozenset(states.split())
    for digit, states in {
        "0": "CT MA ME NH NJ NY PR RI VI VT",
        "1": "DE NY PA",
        "2": "DC MD NC SC VA WV",
        "3": "AL FL GA MS TN",
        "4": "IN KY MI OH",
        "5": "DC IA MN MT ND SD WI",
        "6": "IL KS MO NE",
        "7": "AR LA OK TX",
        "8": "AZ CO ID NM NV TX UT WY",
        "9": "AK AS CA GU HI MP OR WA",
    }.items()
}
"""First digit of a ZIP code -> states it is used in: a coarse check that needs no table of counties."""


def _unaffiliated(today: Today) -> list[Place]:
    """Places of a group the provider doesn't bill under today."""
    found: list[Place] | None = today.noted.get("unaffiliated")
    if found is not None:
        return found
    rows = today.golden.rows(Affiliation).values()
    groups = {
        row.organization_id
        for row in rows
        if row.bills_under and is_current(row.effective_from, row.effective_to, today.as_of)
    }
    owners = [(place, place.location.organization_id) for place in today.places]
    found = today.noted["unaffiliated"] = [place for place, owner in owners if owner and owner not in groups]
    return found


def affiliation_missing(today: Today) -> Iterator[str]:
    """A place shown belongs to a group without a current affiliation that bills under it (R14)."""
    for place in _unaffiliated(today):
        yield f"location/{place.row.location_id}"


def affiliation_none(today: Today) -> Iterator[str]:
    """No place shown is left with an affiliation: the provider has gone (R14, G03)."""
    if today.places and len(_unaffiliated(today)) == len(today.places):
        yield "affiliation"


def nowhere(today: Today) -> Iterator[str]:
    """Places are on record, and none is for today (G03)."""
    if not today.places:
        yield "provider_location"


def incomplete(today: Today) -> Iterator[str]:
    """What patients need to find and call a place (G04)."""
    root: Location = today.root
    for field in ("line1", "city", "state", "postal_code", "phone"):
        if not getattr(root, field):
            yield f"location/{field}"


def po_box(today: Today) -> Iterator[str]:
    """Nobody is treated in a PO box (R23)."""
    root: Location = today.root
    if root.line1 and _PO_BOX(root.line1):
        yield "location/line1"


def zip_and_state(today: Today) -> Iterator[str]:
    """A ZIP code that no address of the state has (R23)."""
    root: Location = today.root
    if root.postal_code and root.state and root.state not in ZIP_STATES.get(root.postal_code[0], ()):
        yield "location/postal_code"


def telehealth_only(today: Today) -> Iterator[str]:
    """Only by telehealth, and yet with office hours (R30)."""
    root: Location = today.root
    if root.telehealth == "only" and isinstance(root.hours, list) and root.hours:
        yield "location/telehealth"
