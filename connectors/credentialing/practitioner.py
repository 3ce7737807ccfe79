"""Everything credentialing holds about one invented provider: identity, licences, credentials, work, networks.

Pure: rows follow from the random source alone. Defects come at the rates of `DEFECTS`, so that validation has
something to find. Invents nothing that could meet a real person (fiction.py).
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from uuid import UUID

from connectors.credentialing import identifiers
from connectors.credentialing.bundle import Bundle, document
from connectors.credentialing.clinics import BAD_PHONE, BAD_ZIP, day_before, random_uuid
from connectors.credentialing.fiction import (
    CARRIERS,
    FIRST_NAMES,
    LANGUAGES,
    NAME_ENDS,
    NAME_STARTS,
    NETWORKS,
    PLACES,
    SCHOOLS,
    SPECIALTIES,
    UNUSUAL_ENDS,
    Place,
    Specialty,
)

DEFECTS = {
    "npi": 0.012,  # of providers: too short, a letter, a wrong check digit
    "zip": BAD_ZIP,  # of locations
    "phone": BAD_PHONE,  # of locations
    "dates": 0.004,  # of licences: issued after expiry
    "no_primary": 0.005,  # of providers: no primary taxonomy
    "expired_license": 0.025,
    "restricted_license": 0.01,
    "not_active": 0.06,  # of providers: applicant, inactive, suspended, terminated
}
"""The domain pages give rates for NPPES and the directory only; these are ours, one to two per cent a format."""


def add_provider_at(
    bundle: Bundle,
    rng: Random,
    npi: str,
    where: tuple[Place, UUID, tuple[UUID, ...]],
    as_of: date,
    flawless: bool = False,
) -> UUID:
    """Add one provider who works at the clinic `where`; `flawless` leaves the defects out."""
    place, org_id, locations = where
    specialty = rng.choice(SPECIALTIES)
    provider_id, started = random_uuid(rng), day_before(rng, as_of, 3000)
    defects = dict.fromkeys(DEFECTS, 0.0) if flawless else DEFECTS
    last_name = _last_name(rng)
    status = _status(rng, defects)
    _add_identity(
        bundle, rng, provider_id, _flawed_npi(rng, npi, defects), last_name, status, specialty, as_of
    )
    license_id = _add_license(bundle, rng, provider_id, specialty, place.state, as_of, defects)
    _add_taxonomies(bundle, rng, provider_id, specialty, license_id, started, defects)
    _add_credentials(bundle, rng, provider_id, specialty, last_name, place.state, started, as_of)
    _add_work(bundle, rng, provider_id, org_id, locations, started)
    _add_cycle(bundle, rng, provider_id, license_id, status, as_of)
    _add_networks(bundle, rng, provider_id, status, started)
    return provider_id


def _add_identity(
    bundle: Bundle,
    rng: Random,
    provider_id: UUID,
    npi: str,
    last_name: str,
    status: str,
    specialty: Specialty,
    as_of: date,
) -> None:
    spoken = ["en", *rng.sample(LANGUAGES, rng.choice((0, 0, 1, 1, 2)))]
    bundle.add(
        "provider",
        provider_id=provider_id,
        npi=npi,
        entity_type="1",
        first_name=rng.choice(FIRST_NAMES),
        middle_name=rng.choice(FIRST_NAMES) if rng.random() < 0.6 else None,
        last_name=last_name,
        name_suffix="Jr." if rng.random() < 0.02 else None,
        degree=specialty.degree,
        dob=as_of - timedelta(days=rng.randrange(28 * 365, 70 * 365)),
        sex=rng.choices("MFX", (49, 49, 2))[0],
        caqh_id=f"{rng.randrange(10_000_000, 99_999_999)}",
        languages=document(
            [{"code": code, "proficiency": rng.choice(("30", "40", "50"))} for code in spoken]
        ),
        status=status,
        ssn=f"9{rng.randrange(10**8):08d}",
        updated_by="generator",
    )
    if rng.random() < 0.06:
        _add_former_name(bundle, rng, provider_id, as_of)


def _add_former_name(bundle: Bundle, rng: Random, provider_id: UUID, as_of: date) -> None:
    bundle.add(
        "provider_name_history",
        id=random_uuid(rng),
        provider_id=provider_id,
        name_type="former",
        last_name=_last_name(rng),
        valid_to=day_before(rng, as_of, 4000),
    )


def _add_license(
    bundle: Bundle,
    rng: Random,
    provider_id: UUID,
    specialty: Specialty,
    state: str,
    as_of: date,
    defects: dict[str, float],
) -> UUID:
    """The licence of the state of practice; one provider in ten has a second state's."""
    license_id = random_uuid(rng)
    states = [state]
    if rng.random() < 0.1:
        states.append(rng.choice([place.state for place in PLACES if place.state != state]))
    for k, where in enumerate(states):
        status, issued, expires = _license_term(rng, as_of, defects)
        bundle.add(
            "license",
            license_id=license_id if k == 0 else random_uuid(rng),
            provider_id=provider_id,
            state=where,
            license_type=specialty.license_type,
            number=f"{specialty.license_type}.{rng.randrange(1_000_000):07d}",
            status=status,
            issued=issued,
            expires=expires,
            disciplinary_flag=status in ("probation", "restricted"),
        )
    return license_id


def _license_term(rng: Random, as_of: date, defects: dict[str, float]) -> tuple[str, date, date]:
    issued, expires = day_before(rng, as_of, 5000), as_of + timedelta(days=rng.randrange(45, 730))
    chance = rng.random()
    if chance < defects["expired_license"]:
        return "expired", issued, as_of - timedelta(days=rng.randrange(1, 200))
    if chance < defects["expired_license"] + defects["restricted_license"]:
        return rng.choice(("probation", "restricted")), issued, expires
    if rng.random() < defects["dates"]:
        return "active", expires + timedelta(days=30), expires
    return "active", issued, expires


def _add_taxonomies(
    bundle: Bundle,
    rng: Random,
    provider_id: UUID,
    specialty: Specialty,
    license_id: UUID,
    started: date,
    defects: dict[str, float],
) -> None:
    codes = [specialty.nucc_code]
    if rng.random() < 0.2:
        same = [s.nucc_code for s in SPECIALTIES if s.degree == specialty.degree and s is not specialty]
        codes += rng.sample(same, min(1, len(same)))
    primary = None if rng.random() < defects["no_primary"] else specialty.nucc_code
    for code in codes:
        bundle.add(
            "taxonomy",
            taxonomy_id=random_uuid(rng),
            provider_id=provider_id,
            nucc_code=code,
            is_primary=code == primary,
            license_id=license_id,
            effective_from=started,
        )


def _add_credentials(
    bundle: Bundle,
    rng: Random,
    provider_id: UUID,
    specialty: Specialty,
    last_name: str,
    state: str,
    started: date,
    as_of: date,
) -> None:
    soon = as_of + timedelta(days=rng.randrange(60, 1000))
    if specialty.prescribes and rng.random() < 0.55:
        registrant = "M" if specialty.degree in ("NP", "PA") else "F"
        bundle.add(
            "dea_registration",
            dea_id=random_uuid(rng),
            provider_id=provider_id,
            number=identifiers.dea(registrant, last_name, rng.randrange(10**6)),
            state=state,
            schedules=["2", "2N", "3", "3N", "4", "5"],
            activity_code="C",
            status="active",
            expires=soon,
        )
    if specialty.board and rng.random() < 0.6:
        bundle.add(
            "board_certification",
            cert_id=random_uuid(rng),
            provider_id=provider_id,
            board=specialty.board,
            specialty=specialty.name,
            certificate_no=f"{rng.randrange(10**6):06d}",
            cert_type="MOC",
            issued=started,
            expires=soon,
            moc_status="participating",
        )
    if rng.random() < 0.3:
        bundle.add(
            "education",
            id=random_uuid(rng),
            provider_id=provider_id,
            institution=rng.choice(SCHOOLS),
            degree=specialty.degree,
            from_date=started - timedelta(days=6 * 365),
            to_date=started - timedelta(days=2 * 365),
        )
    if rng.random() < 0.3:
        bundle.add(
            "malpractice_coverage",
            id=random_uuid(rng),
            provider_id=provider_id,
            carrier=rng.choice(CARRIERS),
            policy_no=f"UP-{rng.randrange(10**7):07d}",
            per_occurrence=1_000_000,
            aggregate=3_000_000,
            effective_from=started,
            effective_to=soon,
        )


def _add_work(
    bundle: Bundle, rng: Random, provider_id: UUID, org_id: UUID, locations: tuple[UUID, ...], started: date
) -> None:
    bundle.add(
        "affiliation",
        affiliation_id=random_uuid(rng),
        provider_id=provider_id,
        org_id=org_id,
        role=rng.choice(("member", "employed", "employed")),
        bills_under=True,
        effective_from=started,
    )
    for k, location_id in enumerate(rng.sample(locations, rng.choice((1, 1, 2)))):
        bundle.add(
            "provider_location",
            id=random_uuid(rng),
            provider_id=provider_id,
            location_id=location_id,
            is_primary=k == 0,
            effective_from=started,
        )


def _add_cycle(
    bundle: Bundle, rng: Random, provider_id: UUID, license_id: UUID, status: str, as_of: date
) -> None:
    """The current credentialing cycle; who is past the committee has its decision and a verified licence."""
    decided = day_before(rng, as_of, 1000)
    past_committee = status != "applicant"
    cycle_id = random_uuid(rng)
    bundle.add(
        "credentialing_cycle",
        cycle_id=cycle_id,
        provider_id=provider_id,
        type=rng.choice(("initial", "recred")),
        application_received=decided - timedelta(days=60),
        attestation_signed_at=f"{decided - timedelta(days=55)}T15:00:00Z",
        status={"active": "active", "applicant": "psv_in_progress"}.get(status, "terminated"),
        due_date=decided + timedelta(days=3 * 365) if past_committee else None,
    )
    if past_committee:
        bundle.add(
            "committee_decision",
            id=random_uuid(rng),
            provider_id=provider_id,
            cycle_id=cycle_id,
            decision="approve",
            decided_at=f"{decided}T17:00:00Z",
            minutes_ref=f"CC-{decided:%Y-%m}",
        )
    if past_committee and rng.random() < 0.5:
        bundle.add(
            "psv_record",
            id=random_uuid(rng),
            provider_id=provider_id,
            element="license",
            element_ref=license_id,
            source="state board",
            method="website",
            performed_at=f"{decided - timedelta(days=20)}T10:00:00Z",
            expires_at=f"{decided + timedelta(days=100)}T10:00:00Z",
            result="verified",
            evidence_hash=f"{rng.getrandbits(256):064x}",
            performed_by="cvo",
        )


def _add_networks(bundle: Bundle, rng: Random, provider_id: UUID, status: str, started: date) -> None:
    for network in rng.sample(NETWORKS, rng.choice((1, 1, 2, 2))):
        participating = status == "active" and rng.random() < 0.93
        bundle.add(
            "network_participation",
            id=random_uuid(rng),
            provider_id=provider_id,
            **network._asdict(),
            tier=rng.choice((None, "1", "2")),
            par_status="par" if participating else "pending",
            effective=started + timedelta(days=30) if participating else None,
        )


def _last_name(rng: Random) -> str:
    name = rng.choice(NAME_STARTS) + rng.choice(NAME_ENDS)
    return name + rng.choice(UNUSUAL_ENDS) if rng.random() < 0.03 else name


def _status(rng: Random, defects: dict[str, float]) -> str:
    if rng.random() < defects["not_active"]:
        return rng.choice(("applicant", "inactive", "suspended", "terminated"))
    return "active"


def _flawed_npi(rng: Random, npi: str, defects: dict[str, float]) -> str:
    if rng.random() >= defects["npi"]:
        return npi
    return rng.choice((npi[:9], f"{npi[:9]}O", f"{npi[:9]}{(int(npi[9]) + 1) % 10}"))
