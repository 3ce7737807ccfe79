"""Rules on an enrollment that is about to be submitted: E01-E03, E05, E06, E09-E11 (section 5 of the domain's rules).

    enrollment in state packet_building or ready --> what still keeps it from `submitted`

Each asks what other rules know already; subjects are the enrollment rows, so that one packet's list is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streams.core.canonical import (
    Affiliation,
    CredentialingCycle,
    Enrollment,
    MalpracticeCoverage,
    ProviderLocation,
    ReconItem,
)
from streams.core.rules import (
    code_set,
    credentialing,
    enrolled,
    exclusion,
    licence,
    search,
    taxonomy,
    witness,
)
from streams.core.rules.credentialing import DENIED
from streams.core.today import Today, is_current

PREPARED = frozenset({"packet_building", "ready"})
OPEN_ITEM = frozenset({"open", "new", "assigned"})

VALIDATED: tuple[Callable[[Today], Iterable[str]], ...] = (
    search.npi_unknown,
    witness.npi_deactivated,
    witness.npi_type,
    taxonomy.primary_count,
    code_set.unknown,
    code_set.unusable,
    licence.lapsed,
    exclusion.confirmed,
    exclusion.is_open,
)
"""R01-R04, R06 and R08 as far as they are rules over a record (E02)."""


def _prepared(today: Today) -> list[tuple[str, Enrollment]]:
    return [(i, row) for i, row in enrolled.running(today) if row.state in PREPARED]


def _each(today: Today) -> Iterator[str]:
    for row_id, _ in _prepared(today):
        yield f"enrollment/{row_id}/state"


def not_approved(today: Today) -> Iterator[str]:
    """No approval of the committee, or the cycle is overdue (E01)."""
    known = credentialing.decisions(today)
    approved = bool(known) and known[-1][2].decision != DENIED
    if not approved or any(credentialing.recredential_lapsed(today)):
        yield from _each(today)


def not_validated(today: Today) -> Iterator[str]:
    """Something that identifies or permits the provider doesn't hold (E02)."""
    if _prepared(today) and any(any(finds(today)) for finds in VALIDATED):
        yield from _each(today)


def not_verified(today: Today) -> Iterator[str]:
    """A verification was too old at the decision, or the application was never signed (E03)."""
    cycles = today.golden.rows(CredentialingCycle).values()
    unsigned = bool(cycles) and not any(row.attestation_signed_at for row in cycles)
    if _prepared(today) and (unsigned or any(credentialing.psv_too_old(today))):
        yield from _each(today)


def not_affiliated(today: Today) -> Iterator[str]:
    """On the day asked for, the provider doesn't practise there or bills under nobody (E05)."""
    places = today.golden.rows(ProviderLocation).values()
    affiliations = today.golden.rows(Affiliation).values()
    for row_id, row in _prepared(today):
        day = row.requested_effective or today.as_of
        there = any(
            p.location_id == row.location_id and is_current(p.effective_from, p.effective_to, day)
            for p in places
        )
        bills = any(a.bills_under and is_current(a.effective_from, a.effective_to, day) for a in affiliations)
        if not (there and bills):
            yield f"enrollment/{row_id}/location_id"


def group_disagrees(today: Today) -> Iterator[str]:
    """TIN or NPI are not the group's (E06)."""
    prepared = {row_id for row_id, _ in _prepared(today)}
    differing = {subject.split("/")[1] for subject in enrolled.group_differs(today)} if prepared else set()
    for row_id in sorted(prepared & differing):
        yield f"enrollment/{row_id}/group_tin"


def in_conflict(today: Today) -> Iterator[str]:
    """A difference with the payer is still open (E09)."""
    items = today.golden.rows(ReconItem).values()
    open_now = {str(item.enrollment_id) for item in items if item.state in OPEN_ITEM}
    for row_id, _ in _prepared(today):
        if row_id in open_now:
            yield f"enrollment/{row_id}/state"


def not_covered(today: Today) -> Iterator[str]:
    """The attestation is old, or malpractice cover has lapsed (E10)."""
    lapsed = today.golden.rows(MalpracticeCoverage) and any(credentialing.malpractice_lapsed(today))
    if _prepared(today) and (lapsed or any(credentialing.attestation_old(today))):
        yield from _each(today)


def twice(today: Today) -> Iterator[str]:
    """Another enrollment that is not terminated has the same group, place, payer and product (E11)."""
    prepared = _prepared(today)
    if not prepared:
        return
    keys = [_key(row) for _, row in enrolled.running(today)]
    for row_id, row in prepared:
        if keys.count(_key(row)) > 1:
            yield f"enrollment/{row_id}/payer_id"


def _key(row: Enrollment) -> tuple[object, ...]:
    return (row.group_tin, row.group_npi, row.location_id, row.payer_id, row.product_id)
