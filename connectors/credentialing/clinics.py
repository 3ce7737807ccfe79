"""Invented clinics: an organization with two or three locations at places that are not there.

Pure. What a clinic is depends on the seed and its number alone, so that providers can name it without its rows.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from random import Random
from uuid import UUID

from connectors.credentialing import identifiers
from connectors.credentialing.bundle import Bundle, document
from connectors.credentialing.fiction import (
    ACCESSIBILITY,
    CLINIC_KINDS,
    NAME_ENDS,
    NAME_STARTS,
    NETWORKS,
    PLACES,
    STREETS,
    Place,
)

BAD_ZIP = 0.02
"""Share of locations whose ZIP code has the wrong shape."""
BAD_PHONE = 0.02
FIRST_TIN = 997_000_000
_ORGANIZATIONS, _LOCATIONS = 280_000_000, 285_000_000  # NPI stems; providers' lie below


@lru_cache(maxsize=64)
def clinic(seed: int, number: int) -> tuple[Place, UUID, tuple[UUID, ...]]:
    """Where a clinic is, its organization and its locations, without its rows."""
    rng = Random(f"{seed}/clinic/{number}")  # noqa: S311 (repeatable on purpose)
    locations = tuple(random_uuid(rng) for _ in range(rng.choice((2, 2, 3))))
    return rng.choice(PLACES), random_uuid(rng), locations


def add_clinic(bundle: Bundle, seed: int, number: int, as_of: date) -> None:
    place, org_id, locations = clinic(seed, number)
    rng = Random(f"{seed}/clinic rows/{number}")  # noqa: S311
    name = f"{rng.choice(NAME_STARTS)}{rng.choice(NAME_ENDS)} {rng.choice(CLINIC_KINDS)}"
    delegated = rng.random() < 0.1
    bundle.add(
        "organization",
        org_id=org_id,
        npi=identifiers.npi(_ORGANIZATIONS + number % 5_000_000),
        legal_name=f"{name}, LLC",
        dba=name if rng.random() < 0.7 else None,
        tin=f"{FIRST_TIN + number % 1_000_000:09d}",
        tin_type="EIN",
        org_type="prvgrp",
        delegated_flag=delegated,
    )
    if delegated:
        _add_delegation(bundle, rng, org_id, as_of)
    for k, location_id in enumerate(locations):
        _add_location(bundle, rng, place, org_id, location_id, f"{name} {('', 'East', 'West')[k]}".strip())
        bundle.rows["practice_location"][-1]["location_npi"] = identifiers.npi(
            _LOCATIONS + (number * 3 + k) % 15_000_000
        )


def _add_delegation(bundle: Bundle, rng: Random, org_id: UUID, as_of: date) -> None:
    bundle.add(
        "delegation_agreement",
        id=random_uuid(rng),
        org_id=org_id,
        payer=rng.choice(NETWORKS).payer,
        standards="NCQA 2025",
        roster_cadence="monthly",
        last_audit=day_before(rng, as_of, 300),
    )


def _add_location(
    bundle: Bundle, rng: Random, place: Place, org_id: UUID, location_id: UUID, name: str
) -> None:
    bundle.add(
        "practice_location",
        location_id=location_id,
        org_id=org_id,
        name=name,
        line1=address(rng),
        line2=f"Suite {rng.randrange(100, 900, 10)}" if rng.random() < 0.4 else None,
        city=place.city,
        state=place.state,
        zip=_zip(rng, place),
        county_fips=place.county_fips,
        latitude=f"{place.latitude + rng.uniform(-0.01, 0.01):.6f}",
        longitude=f"{place.longitude + rng.uniform(-0.01, 0.01):.6f}",
        geocoded_at="2026-06-01T12:00:00Z",
        phone=_phone(rng, place),
        fax=f"+1{place.area_code}55501{rng.randrange(100):02d}" if rng.random() < 0.6 else None,
        hours=document(_hours(rng)),
        accessibility=sorted(rng.sample(ACCESSIBILITY, rng.randrange(4))),
        telehealth=rng.choice(("none", "none", "in_addition")),
    )


def address(rng: Random) -> str:
    """A street line that leads nowhere."""
    return f"{rng.randrange(10, 9900)} {rng.choice(STREETS)}"


def _zip(rng: Random, place: Place) -> str:
    if rng.random() < BAD_ZIP:
        return rng.choice((place.zip5[:4], f"{place.zip5}-12", f"{place.zip5[:4]}O"))
    return f"{place.zip5}-{rng.randrange(1000, 9999)}" if rng.random() < 0.5 else place.zip5


def _phone(rng: Random, place: Place) -> str:
    number = f"{place.area_code}55501{rng.randrange(100):02d}"
    if rng.random() < BAD_PHONE:
        return rng.choice((number[:9], f"1{number[:9]}", f"{number} x4"))
    return f"+1{number}"


def _hours(rng: Random) -> list[dict[str, object]]:
    opens, closes = rng.choice((("08:00", "17:00"), ("07:30", "16:30"), ("09:00", "18:00")))
    days = ("mon", "tue", "wed", "thu", "fri")[: rng.choice((4, 5, 5))]
    return [{"day": day, "open": opens, "close": closes, "all_day": False} for day in days]


def day_before(rng: Random, day: date, most: int) -> date:
    """Some day at least a month and less than `most` days before `day`."""
    return day - timedelta(days=rng.randrange(31, most))


def random_uuid(rng: Random) -> UUID:
    """A version 4 uuid that the seed decides."""
    return UUID(int=rng.getrandbits(128), version=4)
