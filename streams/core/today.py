"""What holds today of a golden record: the facts several views ask for, found once a decision.

Between gate and view. 'Today' is an argument; nothing here reads a clock, and nothing decides what a system may know.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from msgspec import Struct

from streams.core.canonical import (
    RECORDS,
    Enrollment,
    License,
    Location,
    NetworkParticipation,
    Organization,
    Payer,
    Product,
    ProviderLocation,
    Row,
    Taxonomy,
)
from streams.core.entity import Golden

Look = Callable[[str, str], Golden | None]
"""(kind, id) -> the referenced golden record, or None while it is unknown."""

FOREVER = "9999-12-31"
USABLE_LICENSES = ("active", "probation", "restricted")
ENROLLED = frozenset({"active", "revalidation_due"})
"""States of an enrollment that is in force; one that must be revalidated is until it ends."""
PARTICIPATES = frozenset({None, "P", "par"})
"""Participation statuses that don't deny it: the reference enrollment system's code, ours, and none given."""


def is_current(start: str | None, end: str | None, as_of: str) -> bool:
    """Half-open [start, end) on ISO dates; an open side has no bound."""
    return (start is None or start <= as_of) and (end is None or as_of < end)


def is_covered(start: str | None, term: str | None, as_of: str) -> bool:
    """Closed [start, term], as payers state it: the term date is the last covered day; an open side has no bound."""
    return is_current(start, None, as_of) and as_of <= (term or FOREVER)


R = TypeVar("R", bound=Row)


def in_order(rows: dict[str, R]) -> list[R]:
    """Rows in an order of their own, so that a choice among equals never depends on which came first."""
    return [row for _, row in sorted(rows.items())] if len(rows) > 1 else list(rows.values())


def current_locations(golden: Golden, as_of: str) -> list[ProviderLocation]:
    """Where the provider practises today, ordered by location."""
    rows = [
        r
        for r in in_order(golden.rows(ProviderLocation))
        if r.location_id and is_current(r.effective_from, r.effective_to, as_of)
    ]
    rows.sort(key=lambda r: (r.location_id, r.effective_from or ""))
    return rows


def current_networks(golden: Golden, as_of: str) -> list[NetworkParticipation]:
    """Networks the provider takes part in today, each once; a payer's term date is the last covered day."""
    rows = [
        r
        for r in in_order(golden.rows(NetworkParticipation))
        if r.par_status == "par" and is_covered(r.effective_from, r.term_date, as_of)
    ]
    if len(rows) < 2:
        return rows
    rows.sort(key=lambda r: r.effective_from or "", reverse=True)
    earliest = {_network(row): row for row in rows}
    return [earliest[network] for network in sorted(earliest)]


def _network(row: NetworkParticipation) -> tuple[str, str, str]:
    return (row.payer or "", row.product or "", row.network or "")


def in_force(row: Enrollment, as_of: str) -> bool:
    """Whether the payer takes the provider under this enrollment today (G01)."""
    return (
        row.state in ENROLLED
        and row.par_status in PARTICIPATES
        and is_covered(row.payer_effective, row.term_date, as_of)
    )


def confirms(row: Enrollment, place: ProviderLocation, network: NetworkParticipation, look: Look) -> bool:
    """Whether an enrollment is for this place and network: by its product's network, without a product by its payer.

    Where neither is known, and of a place it doesn't name, it may be for any: what is unknown takes nobody out.
    """
    if row.location_id is not None and row.location_id != place.location_id:
        return False
    known = look("product", str(row.product_id)) if row.product_id is not None else None
    product = known.one(Product) if known is not None else None
    if product is not None and product.network_code is not None:
        return bool(product.network_code == network.network)
    known = look("payer", str(row.payer_id)) if row.payer_id is not None else None
    payer = known.one(Payer) if known is not None else None
    return payer is None or payer.name is None or bool(payer.name == network.payer)


def primary_taxonomy(golden: Golden, as_of: str) -> Taxonomy | None:
    """The current primary taxonomy; with several the smallest code, so that the choice is stable."""
    rows = [
        r
        for r in in_order(golden.rows(Taxonomy))
        if r.is_primary and r.nucc_code and is_current(r.effective_from, r.effective_to, as_of)
    ]
    return min(rows, key=attrgetter("nucc_code")) if rows else None


def supporting_license(golden: Golden, taxonomy: Taxonomy | None, state: str | None) -> License | None:
    """The licence the primary taxonomy names, else a usable one of the state of practice, else any."""
    licenses = golden.rows(License)
    named = licenses.get(str(taxonomy.license_id)) if taxonomy is not None else None
    if named is not None:
        return named
    usable = [r for r in in_order(licenses) if r.status in USABLE_LICENSES]
    usable.sort(key=lambda r: (r.state != state, r.state or "", r.number_raw or ""))
    return usable[0] if usable else None


class Place(Struct, frozen=True, gc=False):
    """Where a provider practises today: the row that says so, the location, and the group it belongs to."""

    row: ProviderLocation
    location: Location
    group: Organization | None


def nobody(kind: str, entity_id: str) -> Golden | None:
    """Knows no reference."""
    return None


Shown = tuple[Place, NetworkParticipation]
"""Where and in which network a provider may be listed."""


class Today(Struct, frozen=True, gc=False):
    """What several views ask of one golden record on one date, found once."""

    golden: Golden
    as_of: str
    root: Any
    taxonomy: Taxonomy | None = None
    taxonomy_code: str | None = None
    places: list[Place] = []
    networks: list[NetworkParticipation] = []
    """what the master's observed copy says"""
    listed: list[Shown] = []
    """each place with each network, as far as enrollment confirms it (G01)"""
    noted: dict[str, Any] = {}
    """what one rule worked out and another asks again; lives as long as the decision"""
    look: Look = nobody
    """for rules that read a reference: one that is unknown holds nobody, and is asked for again once it is known"""


def today(golden: Golden, look: Look, as_of: str) -> Today:
    """The facts of `as_of`."""
    root = golden.root or RECORDS[golden.kind]()
    if golden.kind != "provider":
        return Today(golden, as_of, root, look=look)
    taxonomy = primary_taxonomy(golden, as_of)
    code = taxonomy.nucc_code if taxonomy is not None else None
    places = [_place(row, look) for row in _distinct(current_locations(golden, as_of))]
    networks = current_networks(golden, as_of)
    listed = confirmed(golden, places, networks, look, as_of)
    return Today(golden, as_of, root, taxonomy, code, places, networks, listed, look=look)


def confirmed(
    golden: Golden,
    places: Iterable[Place],
    networks: Sequence[NetworkParticipation],
    look: Look,
    as_of: str,
) -> list[Shown]:
    """What may be listed (G01): of whom enrollment holds nothing, what the master observes; else what an enrollment
    in force is for. The payer's word reaches enrollment first, the master's copy of it may be months old."""
    observed = [(place, network) for place in places for network in networks]
    enrollments = golden.rows(Enrollment)
    if not enrollments:
        return observed
    good = [row for row in enrollments.values() if in_force(row, as_of)]
    return [
        (place, network)
        for place, network in observed
        if any(confirms(row, place.row, network, look) for row in good)
    ]


def _distinct(rows: list[ProviderLocation]) -> list[ProviderLocation]:
    """One row a location: overlapping rows of one location are one place."""
    return rows if len(rows) < 2 else list({row.location_id: row for row in reversed(rows)}.values())[::-1]


def _place(row: ProviderLocation, look: Look) -> Place:
    golden = look("location", row.location_id or "")
    location = golden.one(Location) if golden is not None else None
    if location is None:
        return Place(row, _UNKNOWN, None)
    owner = look("organization", location.organization_id) if location.organization_id else None
    return Place(row, location, owner.one(Organization) if owner is not None else None)


_UNKNOWN = Location()
