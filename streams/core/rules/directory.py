"""Rules on what the directory holds of a provider: R21 and R22 (its clocks), T02 and T04 (the past, the future), G06,
G09, G10. They read its own claims (listing, attestation, publication): without these nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.core.canonical import Attestation, Listing, ProviderLocation, Publication
from streams.core.rules.business import business_days_later
from streams.core.rules.days import between
from streams.core.today import Today, is_current

VERIFY_DAYS, ALERT_DAYS, REMOVE_DAYS = 90, 75, 180
"""A listing is verified every 90 days, alerted about from the 75th on, and removed when two such periods passed."""
ACCEPTING_DAYS = 90
PUBLISH_DAYS = 2
"""Business days from learning something to publishing it."""
CLOSED = "nopt"

_RESTRICTED = re.compile(r"\b(\d{3}-\d{2}-\d{4}|\d{2}-\d{7}|[A-Z][A-Z9]\d{7})\b").search
"""Shapes of a social security number, a TIN and a DEA number in free text."""


def _listings(today: Today) -> list[tuple[str, Listing]]:
    """What the directory shows today, by its own dates."""
    found: list[tuple[str, Listing]] | None = today.noted.get("listings")
    if found is None:
        rows = today.golden.rows(Listing).items()
        found = [(i, r) for i, r in rows if is_current(r.effective_from, r.effective_to, today.as_of)]
        today.noted["listings"] = found
    return found


def _age(row: Listing, today: Today) -> int:
    """Days since it was verified; 0 of one that never was."""
    return between(row.verified_on, today.as_of) or 0


def verification_due(today: Today) -> Iterator[str]:
    """Soon 90 days since somebody verified it (R21)."""
    for row_id, row in _listings(today):
        if ALERT_DAYS <= _age(row, today) <= VERIFY_DAYS:
            yield f"listing/{row_id}/verified_on"


def verification_overdue(today: Today) -> Iterator[str]:
    """More than 90 days since (R21): of several listings one may be older than what removes them all."""
    if any(removal_due(today)):
        return
    for row_id, row in _listings(today):
        if _age(row, today) > VERIFY_DAYS:
            yield f"listing/{row_id}/verified_on"


def indicator_missing(today: Today) -> Iterator[str]:
    """Not verified within the clock, or never, and shown as if it were (G06)."""
    for row_id, row in _listings(today):
        age = between(row.verified_on, today.as_of)
        if (age is None or age > VERIFY_DAYS) and row.unverified is False:
            yield f"listing/{row_id}/unverified"


def removal_due(today: Today) -> Iterator[str]:
    """Nobody verified any of the listings for so long that they must go (G06).

    Ended ones speak, too: so who was taken out stays out, until somebody verifies or attests one of them.
    """
    day, row_id = last_verified(today)
    if (between(day, today.as_of) or 0) > REMOVE_DAYS:
        yield f"listing/{row_id}/verified_on"


def last_verified(today: Today) -> tuple[str, str]:
    """(day, listing) of the newest verification or attestation; empty: nobody ever said so."""
    said = [(row.verified_on, i) for i, row in today.golden.rows(Listing).items() if row.verified_on]
    attested = [row for row in today.golden.rows(Attestation).values() if row.listing_id is not None]
    said += [(row.attested_at[:10], str(row.listing_id)) for row in attested if row.attested_at]
    return max(said, default=("", ""))


def publication_late(today: Today) -> Iterator[str]:
    """What was received two business days ago is not published (R21)."""
    for row_id, row in today.golden.rows(Publication).items():
        if row.info_received_at and not row.published_at and not row.withdrawn_at:
            due = business_days_later(row.info_received_at[:10], PUBLISH_DAYS)
            if due is not None and today.as_of > due:
                yield f"publication/{row_id}/published_at"


def accepting_missing(today: Today) -> Iterator[str]:
    """Verified, and yet nobody said whether new patients are accepted (R22). Unverified ones say so (G06)."""
    for row_id, row in _listings(today):
        if row.verified_on and not row.accepting:
            yield f"listing/{row_id}/accepting"


def accepting_old(today: Today) -> Iterator[str]:
    """The last attestation of a listing is older than 90 days (R22)."""
    newest: dict[str, str] = {}
    for said in today.golden.rows(Attestation).values():
        listing, when = str(said.listing_id), (said.attested_at or "")[:10]
        newest[listing] = max(newest.get(listing, ""), when)
    for row_id, row in _listings(today):
        if row.accepting and (between(newest.get(row_id), today.as_of) or 0) > ACCEPTING_DAYS:
            yield f"listing/{row_id}/accepting"


def accepting_inconsistent(today: Today) -> Iterator[str]:
    """No new patients, and yet who they may be (R22)."""
    for row_id, row in _listings(today):
        if row.accepting == CLOSED and row.accepting_notes:
            yield f"listing/{row_id}/accepting_notes"


def past_shown(today: Today) -> Iterator[str]:
    """The directory shows who has no place, or takes part in no network, any more (T02), enrollment's word included."""
    if today.listed or _coming(today):
        return
    for row_id, _ in _listings(today):
        yield f"listing/{row_id}/effective_to"


def future_shown(today: Today) -> Iterator[str]:
    """The directory shows who begins only later (T04)."""
    if not _coming(today):
        return
    for row_id, _ in _listings(today):
        yield f"listing/{row_id}/effective_from"


def _coming(today: Today) -> bool:
    """Every place there is begins later."""
    rows = today.golden.rows(ProviderLocation).values()
    return bool(rows) and all((row.effective_from or "") > today.as_of for row in rows)


def restricted_text(today: Today) -> Iterator[str]:
    """A number in the shape of an SSN, TIN or DEA number in text that the directory's people type, or in the group's
    name that its view would show (G09). What stands in a listing's copy of that name, the view writes over."""
    for row_id, row in today.golden.rows(Listing).items():
        if _RESTRICTED(row.accepting_notes or ""):
            yield f"listing/{row_id}/accepting_notes"
    for place in today.places:
        if place.group is not None and _RESTRICTED(place.group.dba_name or place.group.legal_name or ""):
            yield f"location/{place.row.location_id}/group_name"


def unsaid(today: Today) -> Iterator[str]:
    """Languages, accessibility or telehealth of who is listed are neither known nor said to be unknown (G10)."""
    if not _listings(today):
        return
    if today.root.languages is None:
        yield "provider/languages"
    for place in today.places:
        for field in ("accessibility", "telehealth"):
            if getattr(place.location, field) is None:
                yield f"location/{place.row.location_id}/{field}"
