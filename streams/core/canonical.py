"""The canonical records as typed rows. Written by `python -m schemas.canonical` from schemas/canonical.toml.

A row is what one system says of one canonical record; None: it says nothing, or null. Dates are ISO text. As bytes
(`encode`, `decode`) a row is an array in the order of its fields, so fields are appended, never moved or removed:
a row stored before a field existed reads None there. Do not edit: change the catalogue and write this anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct


class Row(Struct, array_like=True, frozen=True, gc=False):
    """A row of any record."""

    RECORD: ClassVar[str] = ""


class Holder(Row, array_like=True, frozen=True, gc=False):
    """holder, of kind npi: the platform's own record of who says to hold an NPI; no system has such a table."""

    RECORD: ClassVar[str] = "holder"

    kind: str | None = None
    id: str | None = None


class Provider(Row, array_like=True, frozen=True, gc=False):
    """provider, of kind provider."""

    RECORD: ClassVar[str] = "provider"

    provider_id: str | None = None
    npi: str | None = None
    entity_type: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    name_suffix: str | None = None
    degree: str | None = None
    date_of_birth: str | None = None
    sex: str | None = None
    caqh_id: str | None = None
    languages: Any = None
    provider_status: str | None = None
    display_name: str | None = None
    row_version: int | None = None
    updated_at: str | None = None
    updated_by: str | None = None


class FormerName(Row, array_like=True, frozen=True, gc=False):
    """former_name, of kind provider."""

    RECORD: ClassVar[str] = "former_name"

    name_type: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    last_name: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class License(Row, array_like=True, frozen=True, gc=False):
    """license, of kind provider."""

    RECORD: ClassVar[str] = "license"

    state: str | None = None
    license_type: str | None = None
    number_raw: str | None = None
    status: str | None = None
    issued: str | None = None
    expires: str | None = None
    disciplinary_flag: bool | None = None


class DeaRegistration(Row, array_like=True, frozen=True, gc=False):
    """dea_registration, of kind provider."""

    RECORD: ClassVar[str] = "dea_registration"

    number: str | None = None
    state: str | None = None
    schedules: list[str | None] | None = None
    activity_code: str | None = None
    status: str | None = None
    expires: str | None = None


class CdsRegistration(Row, array_like=True, frozen=True, gc=False):
    """cds_registration, of kind provider."""

    RECORD: ClassVar[str] = "cds_registration"

    state: str | None = None
    number: str | None = None
    schedules: list[str | None] | None = None
    status: str | None = None
    expires: str | None = None


class BoardCertification(Row, array_like=True, frozen=True, gc=False):
    """board_certification, of kind provider."""

    RECORD: ClassVar[str] = "board_certification"

    board: str | None = None
    specialty: str | None = None
    certificate_no: str | None = None
    certificate_type: str | None = None
    issued: str | None = None
    expires: str | None = None
    moc_status: str | None = None
    lifetime_flag: bool | None = None


class Taxonomy(Row, array_like=True, frozen=True, gc=False):
    """taxonomy, of kind provider."""

    RECORD: ClassVar[str] = "taxonomy"

    nucc_code: str | None = None
    is_primary: bool | None = None
    license_id: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class Education(Row, array_like=True, frozen=True, gc=False):
    """education, of kind provider."""

    RECORD: ClassVar[str] = "education"

    institution: str | None = None
    degree: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None
    ecfmg_no: str | None = None


class WorkHistory(Row, array_like=True, frozen=True, gc=False):
    """work_history, of kind provider."""

    RECORD: ClassVar[str] = "work_history"

    employer: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None
    gap_explanation: str | None = None


class Affiliation(Row, array_like=True, frozen=True, gc=False):
    """affiliation, of kind provider."""

    RECORD: ClassVar[str] = "affiliation"

    organization_id: str | None = None
    billing_entity_id: int | None = None
    role: str | None = None
    bills_under: bool | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class ProviderLocation(Row, array_like=True, frozen=True, gc=False):
    """provider_location, of kind provider."""

    RECORD: ClassVar[str] = "provider_location"

    location_id: str | None = None
    is_primary: bool | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class HospitalPrivilege(Row, array_like=True, frozen=True, gc=False):
    """hospital_privilege, of kind provider."""

    RECORD: ClassVar[str] = "hospital_privilege"

    facility_org_id: str | None = None
    category: str | None = None
    status: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class MalpracticeCoverage(Row, array_like=True, frozen=True, gc=False):
    """malpractice_coverage, of kind provider."""

    RECORD: ClassVar[str] = "malpractice_coverage"

    carrier: str | None = None
    policy_no: str | None = None
    per_occurrence: str | None = None
    aggregate: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None
    tail_flag: bool | None = None


class MalpracticeClaim(Row, array_like=True, frozen=True, gc=False):
    """malpractice_claim, of kind provider."""

    RECORD: ClassVar[str] = "malpractice_claim"

    claim_no: str | None = None
    occurred_on: str | None = None
    reported_on: str | None = None
    closed_on: str | None = None
    status: str | None = None
    allegation: str | None = None
    amount_paid: str | None = None


class ExclusionHit(Row, array_like=True, frozen=True, gc=False):
    """exclusion_hit, of kind provider."""

    RECORD: ClassVar[str] = "exclusion_hit"

    source: str | None = None
    match_type: str | None = None
    source_row_hash: str | None = None
    disposition: str | None = None
    reviewer: str | None = None
    decided_at: str | None = None


class PsvRecord(Row, array_like=True, frozen=True, gc=False):
    """psv_record, of kind provider."""

    RECORD: ClassVar[str] = "psv_record"

    element: str | None = None
    element_ref: str | None = None
    source: str | None = None
    method: str | None = None
    performed_at: str | None = None
    expires_at: str | None = None
    result: str | None = None
    evidence_hash: str | None = None
    performed_by: str | None = None


class CredentialingCycle(Row, array_like=True, frozen=True, gc=False):
    """credentialing_cycle, of kind provider."""

    RECORD: ClassVar[str] = "credentialing_cycle"

    cycle_type: str | None = None
    application_received: str | None = None
    attestation_signed_at: str | None = None
    status: str | None = None
    due_date: str | None = None


class CommitteeDecision(Row, array_like=True, frozen=True, gc=False):
    """committee_decision, of kind provider."""

    RECORD: ClassVar[str] = "committee_decision"

    cycle_id: str | None = None
    decision: str | None = None
    decided_at: str | None = None
    minutes_ref: str | None = None


class NetworkParticipation(Row, array_like=True, frozen=True, gc=False):
    """network_participation, of kind provider."""

    RECORD: ClassVar[str] = "network_participation"

    payer: str | None = None
    product: str | None = None
    network: str | None = None
    tier: str | None = None
    par_status: str | None = None
    effective_from: str | None = None
    term_date: str | None = None
    term_reason: str | None = None


class Enrollment(Row, array_like=True, frozen=True, gc=False):
    """enrollment, of kind provider."""

    RECORD: ClassVar[str] = "enrollment"

    group_npi: str | None = None
    group_tin: str | None = None
    location_id: str | None = None
    payer_id: int | None = None
    product_id: int | None = None
    state: str | None = None
    par_status: str | None = None
    requested_effective: str | None = None
    payer_effective: str | None = None
    loaded_at: str | None = None
    retro_bill_from: str | None = None
    term_date: str | None = None
    term_reason: str | None = None
    payer_provider_id: str | None = None
    payer_location_id: str | None = None


class EnrollmentEvent(Row, array_like=True, frozen=True, gc=False):
    """enrollment_event, of kind provider."""

    RECORD: ClassVar[str] = "enrollment_event"

    enrollment_id: int | None = None
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    occurred_at: str | None = None
    actor: str | None = None


class RosterRow(Row, array_like=True, frozen=True, gc=False):
    """roster_row, of kind provider."""

    RECORD: ClassVar[str] = "roster_row"

    submission_id: int | None = None
    row_no: int | None = None
    enrollment_id: int | None = None
    action: str | None = None
    row_state: str | None = None


class PayerResponse(Row, array_like=True, frozen=True, gc=False):
    """payer_response, of kind provider."""

    RECORD: ClassVar[str] = "payer_response"

    submission_id: int | None = None
    row_no: int | None = None
    status: str | None = None
    reason_code: str | None = None
    normalized_reason: str | None = None
    payer_provider_id: str | None = None
    payer_effective: str | None = None
    term_date: str | None = None
    field: str | None = None
    submitted_value: str | None = None
    payer_value: str | None = None


class ReconItem(Row, array_like=True, frozen=True, gc=False):
    """recon_item, of kind provider."""

    RECORD: ClassVar[str] = "recon_item"

    enrollment_id: int | None = None
    mismatch_class: str | None = None
    field: str | None = None
    internal_value: str | None = None
    payer_value: str | None = None
    opened_at: str | None = None
    state: str | None = None
    owner_team: str | None = None


class Listing(Row, array_like=True, frozen=True, gc=False):
    """listing, of kind provider."""

    RECORD: ClassVar[str] = "listing"

    directory_location_id: int | None = None
    network_id: int | None = None
    group_name: str | None = None
    accepting: str | None = None
    accepting_notes: str | None = None
    telehealth: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None
    verified_on: str | None = None
    verification_status: str | None = None
    unverified: bool | None = None


class Attestation(Row, array_like=True, frozen=True, gc=False):
    """attestation, of kind provider."""

    RECORD: ClassVar[str] = "attestation"

    listing_id: int | None = None
    attested_by: str | None = None
    channel: str | None = None
    attested_at: str | None = None
    changes: Any = None


class Publication(Row, array_like=True, frozen=True, gc=False):
    """publication, of kind provider."""

    RECORD: ClassVar[str] = "publication"

    listing_id: int | None = None
    resource_type: str | None = None
    resource_id: str | None = None
    version_id: str | None = None
    published_at: str | None = None
    withdrawn_at: str | None = None
    info_received_at: str | None = None


class BillingPayer(Row, array_like=True, frozen=True, gc=False):
    """billing_payer, of kind provider."""

    RECORD: ClassVar[str] = "billing_payer"

    billing_entity_id: int | None = None
    service_location_id: int | None = None
    payer_code: str | None = None
    product_code: str | None = None
    payer_provider_id: str | None = None
    effective_from: str | None = None
    effective_to: str | None = None
    in_network: str | None = None
    source_enrollment_version: int | None = None


class Claim(Row, array_like=True, frozen=True, gc=False):
    """claim, of kind provider."""

    RECORD: ClassVar[str] = "claim"

    billing_entity_id: int | None = None
    service_location_id: int | None = None
    payer_code: str | None = None
    product_code: str | None = None
    dos_from: str | None = None
    dos_to: str | None = None
    status: str | None = None
    attr_version_snapshot: Any = None
    timely_filing_deadline: str | None = None


class ClaimHold(Row, array_like=True, frozen=True, gc=False):
    """claim_hold, of kind provider."""

    RECORD: ClassVar[str] = "claim_hold"

    claim_id: int | None = None
    billing_entity_id: int | None = None
    service_location_id: int | None = None
    payer_code: str | None = None
    product_code: str | None = None
    reason_code: str | None = None
    opened_at: str | None = None
    oldest_dos: str | None = None
    released_at: str | None = None
    release_event_id: str | None = None


class Denial(Row, array_like=True, frozen=True, gc=False):
    """denial, of kind provider."""

    RECORD: ClassVar[str] = "denial"

    claim_id: int | None = None
    group_code: str | None = None
    carc: str | None = None
    rarc: str | None = None
    normalized_reason: str | None = None
    field_at_fault: str | None = None
    received_at: str | None = None


class Organization(Row, array_like=True, frozen=True, gc=False):
    """organization, of kind organization."""

    RECORD: ClassVar[str] = "organization"

    organization_id: str | None = None
    npi: str | None = None
    legal_name: str | None = None
    dba_name: str | None = None
    tin: str | None = None
    tin_type: str | None = None
    org_type: str | None = None
    parent_id: str | None = None
    delegated_flag: bool | None = None
    billing_line1: str | None = None
    billing_city: str | None = None
    billing_state: str | None = None
    billing_postal_code: str | None = None
    billing_taxonomy: str | None = None
    remit_address: Any = None


class DelegationAgreement(Row, array_like=True, frozen=True, gc=False):
    """delegation_agreement, of kind organization."""

    RECORD: ClassVar[str] = "delegation_agreement"

    payer: str | None = None
    standards: str | None = None
    roster_cadence: str | None = None
    last_audit: str | None = None


class Location(Row, array_like=True, frozen=True, gc=False):
    """location, of kind location."""

    RECORD: ClassVar[str] = "location"

    location_id: str | None = None
    organization_id: str | None = None
    location_npi: str | None = None
    name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    postal_code_extension: str | None = None
    county_fips: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    geocoded_at: str | None = None
    phone: str | None = None
    fax: str | None = None
    url: str | None = None
    hours: Any = None
    accessibility: Any = None
    telehealth: str | None = None
    pos_code: str | None = None


class Payer(Row, array_like=True, frozen=True, gc=False):
    """payer, of kind payer."""

    RECORD: ClassVar[str] = "payer"

    name: str | None = None
    payer_code: str | None = None
    edi_receiver_id: str | None = None


class Product(Row, array_like=True, frozen=True, gc=False):
    """product, of kind product."""

    RECORD: ClassVar[str] = "product"

    payer_id: int | None = None
    line_of_business: str | None = None
    network_code: str | None = None


class Contract(Row, array_like=True, frozen=True, gc=False):
    """contract, of kind contract."""

    RECORD: ClassVar[str] = "contract"

    payer_id: int | None = None
    group_tin: str | None = None
    product_id: int | None = None
    effective_from: str | None = None
    effective_to: str | None = None


class Network(Row, array_like=True, frozen=True, gc=False):
    """network, of kind network."""

    RECORD: ClassVar[str] = "network"

    payer_name: str | None = None
    plan_name: str | None = None
    plan_type: str | None = None
    network_name: str | None = None
    market: str | None = None


class Nppes(Row, array_like=True, frozen=True, gc=False):
    """nppes, of kind provider."""

    RECORD: ClassVar[str] = "nppes"

    nppes_npi: str | None = None
    entity_type: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    name_suffix: str | None = None
    organization_name: str | None = None
    other_name: Any = None
    credential: str | None = None
    status: str | None = None
    deactivated_on: str | None = None
    reactivated_on: str | None = None
    replacement_npi: str | None = None
    practice: Any = None
    mailing: Any = None
    taxonomies: Any = None
    last_update: str | None = None


class Leie(Row, array_like=True, frozen=True, gc=False):
    """leie, of kind provider."""

    RECORD: ClassVar[str] = "leie"

    leie_npi: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    business_name: str | None = None
    general: str | None = None
    specialty: str | None = None
    dob_hash: str | None = None
    address: Any = None
    state: str | None = None
    exclusion_type: str | None = None
    excluded_on: str | None = None
    reinstated_on: str | None = None
    waived_on: str | None = None
    waiver_state: str | None = None


class Sam(Row, array_like=True, frozen=True, gc=False):
    """sam, of kind provider."""

    RECORD: ClassVar[str] = "sam"

    sam_npi: str | None = None
    sam_number: str | None = None
    classification: str | None = None
    name: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    name_suffix: str | None = None
    address: Any = None
    state: str | None = None
    uei: str | None = None
    cage: str | None = None
    program: str | None = None
    agency: str | None = None
    ct_code: str | None = None
    exclusion_type: str | None = None
    comments: str | None = None
    active_on: str | None = None
    terminates_on: str | None = None
    indefinite: bool | None = None
    record_status: str | None = None
    cross_reference: str | None = None
    created_on: str | None = None


class DeaRegistry(Row, array_like=True, frozen=True, gc=False):
    """dea_registry, of kind provider."""

    RECORD: ClassVar[str] = "dea_registry"

    number: str | None = None
    name: str | None = None
    company: str | None = None
    business_activity: str | None = None
    sub_code: str | None = None
    schedules: list[str | None] | None = None
    expires: str | None = None
    address: Any = None
    state: str | None = None
    payment: str | None = None
    activity: str | None = None


class NppesSearch(Row, array_like=True, frozen=True, gc=False):
    """nppes_search, of kind provider."""

    RECORD: ClassVar[str] = "nppes_search"

    list_of: str | None = None
    searched_on: str | None = None
    found: int | None = None


class LeieSearch(Row, array_like=True, frozen=True, gc=False):
    """leie_search, of kind provider."""

    RECORD: ClassVar[str] = "leie_search"

    list_of: str | None = None
    searched_on: str | None = None
    found: int | None = None


class SamSearch(Row, array_like=True, frozen=True, gc=False):
    """sam_search, of kind provider."""

    RECORD: ClassVar[str] = "sam_search"

    list_of: str | None = None
    searched_on: str | None = None
    found: int | None = None


class Nucc(Row, array_like=True, frozen=True, gc=False):
    """nucc, of kind nucc."""

    RECORD: ClassVar[str] = "nucc"

    code: str | None = None
    grouping: str | None = None
    classification: str | None = None
    specialization: str | None = None
    display_name: str | None = None
    section: str | None = None
    usable_from: str | None = None
    retired_on: str | None = None
    list_of: str | None = None


class Proposal(Row, array_like=True, frozen=True, gc=False):
    """proposal, of kind any."""

    RECORD: ClassVar[str] = "proposal"

    subject_kind: str | None = None
    system: str | None = None
    record: str | None = None
    row_id: str | None = None
    field: str | None = None
    value: Any = None
    effective_date: str | None = None
    position: str | None = None
    author: str | None = None
    reason: str | None = None
    state: str | None = None
    submitted_at: str | None = None
    expires_at: str | None = None


class Ruling(Row, array_like=True, frozen=True, gc=False):
    """ruling, of kind any."""

    RECORD: ClassVar[str] = "ruling"

    subject_kind: str | None = None
    proposal_id: int | None = None
    record: str | None = None
    row_id: str | None = None
    field: str | None = None
    decision: str | None = None
    value: Any = None
    bound_position: str | None = None
    effective_date: str | None = None
    expires_at: str | None = None
    reason: str | None = None
    ruled_by: str | None = None
    ruled_at: str | None = None


class Approval(Row, array_like=True, frozen=True, gc=False):
    """approval, of kind any."""

    RECORD: ClassVar[str] = "approval"

    subject_kind: str | None = None
    proposal_id: int | None = None
    level: str | None = None
    approver: str | None = None
    role: str | None = None
    verdict: str | None = None
    bound_position: str | None = None
    decided_at: str | None = None
    evidence: Any = None


class Request(Row, array_like=True, frozen=True, gc=False):
    """request, of kind any."""

    RECORD: ClassVar[str] = "request"

    subject_kind: str | None = None
    field: str | None = None
    outcome: str | None = None
    settled_at: str | None = None


class Comment(Row, array_like=True, frozen=True, gc=False):
    """comment, of kind any."""

    RECORD: ClassVar[str] = "comment"

    subject_kind: str | None = None
    proposal_id: int | None = None
    author: str | None = None
    body: str | None = None
    written_at: str | None = None


RECORDS: Mapping[str, type[Row]] = {
    "holder": Holder,
    "provider": Provider,
    "former_name": FormerName,
    "license": License,
    "dea_registration": DeaRegistration,
    "cds_registration": CdsRegistration,
    "board_certification": BoardCertification,
    "taxonomy": Taxonomy,
    "education": Education,
    "work_history": WorkHistory,
    "affiliation": Affiliation,
    "provider_location": ProviderLocation,
    "hospital_privilege": HospitalPrivilege,
    "malpractice_coverage": MalpracticeCoverage,
    "malpractice_claim": MalpracticeClaim,
    "exclusion_hit": ExclusionHit,
    "psv_record": PsvRecord,
    "credentialing_cycle": CredentialingCycle,
    "committee_decision": CommitteeDecision,
    "network_participation": NetworkParticipation,
    "enrollment": Enrollment,
    "enrollment_event": EnrollmentEvent,
    "roster_row": RosterRow,
    "payer_response": PayerResponse,
    "recon_item": ReconItem,
    "listing": Listing,
    "attestation": Attestation,
    "publication": Publication,
    "billing_payer": BillingPayer,
    "claim": Claim,
    "claim_hold": ClaimHold,
    "denial": Denial,
    "organization": Organization,
    "delegation_agreement": DelegationAgreement,
    "location": Location,
    "payer": Payer,
    "product": Product,
    "contract": Contract,
    "network": Network,
    "nppes": Nppes,
    "leie": Leie,
    "sam": Sam,
    "dea_registry": DeaRegistry,
    "nppes_search": NppesSearch,
    "leie_search": LeieSearch,
    "sam_search": SamSearch,
    "nucc": Nucc,
    "proposal": Proposal,
    "ruling": Ruling,
    "approval": Approval,
    "request": Request,
    "comment": Comment,
}
"""record -> its row"""


def decoder(record: type[Row]) -> Callable[[bytes], Row]:
    """Reads a stored row of this record."""
    return msgspec.msgpack.Decoder(record).decode


encode = msgspec.msgpack.Encoder().encode
DECODE: Mapping[str, Callable[[bytes], Row]] = {name: decoder(record) for name, record in RECORDS.items()}
"""record -> what reads a stored row of it"""
