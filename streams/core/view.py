"""Views: what each system gets to know of an entity, one pure function per sink and kind.

The last value of the flow. The contract of each view is the newest `schemas/view/<view>.<kind>.v<N>.avsc`; a field that
a topic's contract does not clear never enters its function (invariant 11). `NAMED` is the visible registry; which
system is sent which view stands in `streams/systems.py`, so that two systems may share one.
A view's struct has the schema's fields in the schema's order without `revision`, so that equal content has equal
bytes; as an array it is what an entity remembers to have sent: fields are appended, never moved or removed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple, replace

from streams.core.canonical import (
    Affiliation,
    License,
    Location,
    NetworkParticipation,
    Organization,
    Provider,
)
from streams.core.entity import Golden
from streams.core.formats import canonical_license_number, canonical_phone, canonical_postal_code
from streams.core.today import FOREVER, Look, Place, Today, in_order, is_current, supporting_license, today
from streams.systems import TAKEN

WITHDRAWN = "withdrawn"
"""The status of a view of what must go."""


class Part(Struct, array_like=True, frozen=True, gc=False):
    """A record within a view."""


class View(Struct, array_like=True, frozen=True, gc=False):
    """What one system gets to know of one entity."""

    status: str = "active"
    reason: str | None = None


class Listing(Part, array_like=True, frozen=True, gc=False):
    """One place and network of a provider, as patients see it."""

    location_id: str
    payer: str
    product: str | None
    network: str | None
    group_name: str | None
    specialty_nucc: str | None
    telehealth: str | None
    listed_from: str | None
    location_name: str | None
    line1: str | None
    line2: str | None
    city: str | None
    state: str | None
    postal_code: str | None
    phone: str | None


class DirectoryProvider(View, array_like=True, frozen=True, gc=False):
    """sink.directory.provider"""

    provider_id: str = ""
    npi: str | None = None
    display_name: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    middle_name: str | None = None
    name_suffix: str | None = None
    degree: str | None = None
    sex: str | None = None
    languages: list[str] = []
    listings: list[Listing] = []


class Hours(Part, array_like=True, frozen=True, gc=False):
    """Opening hours of a day."""

    day: str
    open: str | None
    close: str | None
    all_day: bool


class DirectoryLocation(View, array_like=True, frozen=True, gc=False):
    """sink.directory.location"""

    location_id: str = ""
    organization_id: str | None = None
    name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    county_fips: str | None = None
    latitude: str | None = None
    longitude: str | None = None
    phone: str | None = None
    fax: str | None = None
    accessibility: list[str] = []
    hours: list[Hours] = []
    telehealth: str | None = None


class Group(Part, array_like=True, frozen=True, gc=False):
    """The group a provider practises with at a location, by the identifiers payers know."""

    location_id: str
    organization_id: str
    group_npi: str | None
    group_tax_id: str | None


class EnrollmentProvider(View, array_like=True, frozen=True, gc=False):
    """sink.enrollment.provider"""

    provider_id: str = ""
    npi: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    middle_initial: str | None = None
    taxonomy_code: str | None = None
    license_state: str | None = None
    license_number: str | None = None
    license_expires: str | None = None
    groups: list[Group] = []


class Period(Part, array_like=True, frozen=True, gc=False):
    """When a provider bills under an organization."""

    organization_id: str
    effective_from: str | None
    effective_to: str | None


class BillingProvider(View, array_like=True, frozen=True, gc=False):
    """sink.billing.provider"""

    provider_id: str = ""
    npi: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    taxonomy_code: str | None = None
    affiliations: list[Period] = []


class BillingOrganization(View, array_like=True, frozen=True, gc=False):
    """sink.billing.organization"""

    organization_id: str = ""
    npi: str | None = None
    tin: str | None = None
    legal_name: str | None = None


class BillingLocation(View, array_like=True, frozen=True, gc=False):
    """sink.billing.location"""

    location_id: str = ""
    organization_id: str | None = None
    facility_npi: str | None = None
    name: str | None = None
    line1: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None


def display_name(root: Provider) -> str | None:
    """`First M. Last, Degree`: what is shown where the directory has no wording of its own."""
    middle = root.middle_name
    parts = (root.first_name, f"{middle[0]}." if middle else None, root.last_name, root.name_suffix)
    name = " ".join([part for part in parts if part])
    return f"{name}, {root.degree}" if name and root.degree else name or None


def _languages(root: Provider) -> list[str]:
    spoken = (item.get("code") if isinstance(item, dict) else item for item in _items(root.languages))
    return _words(spoken)


def _items(document: Any) -> list[Any]:
    """The elements of a JSON list; any other document is none."""
    return document if isinstance(document, list) else []


def _words(items: Iterable[Any]) -> list[str]:
    """The texts among them, each once, sorted."""
    return sorted({item for item in items if item and isinstance(item, str)})


def directory_provider(today: Today) -> DirectoryProvider:
    """Identity, and one listing per current practice location and network that enrollment confirms (G01)."""
    root = today.root
    return DirectoryProvider(
        "active",
        None,
        today.golden.id,
        root.npi,
        root.display_name or display_name(root),
        root.last_name,
        root.first_name,
        root.middle_name,
        root.name_suffix,
        root.degree,
        root.sex,
        _languages(root),
        [_listing(place, network, today) for place, network in today.listed],
    )


def _listing(place: Place, network: NetworkParticipation, today: Today) -> Listing:
    row, location, group = place.row, place.location, place.group
    return Listing(
        row.location_id or "",
        network.payer or "",
        network.product,
        network.network,
        (group.dba_name or group.legal_name) if group is not None else None,
        today.taxonomy_code,
        location.telehealth,
        max(row.effective_from or "", network.effective_from or "") or None,
        location.name,
        location.line1,
        location.line2,
        location.city,
        location.state,
        canonical_postal_code(location.postal_code),
        canonical_phone(location.phone),
    )


def directory_location(today: Today) -> DirectoryLocation:
    """A practice location as the directory shows it."""
    row: Location = today.root
    return DirectoryLocation(
        "active",
        None,
        today.golden.id,
        row.organization_id,
        row.name,
        row.line1,
        row.line2,
        row.city,
        row.state,
        canonical_postal_code(row.postal_code),
        row.county_fips,
        row.latitude,
        row.longitude,
        canonical_phone(row.phone),
        canonical_phone(row.fax),
        _words(_items(row.accessibility)),
        [_hours(h) for h in _items(row.hours) if isinstance(h, dict) and _text(h.get("day"))],
        row.telehealth,
    )


def _hours(item: dict[str, Any]) -> Hours:
    return Hours(
        item["day"], _text(item.get("open")), _text(item.get("close")), bool(item.get("all_day", False))
    )


def _text(value: Any) -> str | None:
    """A JSON value as text; what is none says nothing."""
    return value if isinstance(value, str) else None


def enrollment_provider(today: Today) -> EnrollmentProvider:
    """Identity for enrollment, and the group identifiers its existing enrollments carry per location."""
    root, held = today.root, license_shown(today) or _NO_LICENSE
    return EnrollmentProvider(
        "active",
        None,
        today.golden.id,
        root.npi,
        root.last_name,
        root.first_name,
        root.middle_name[0] if root.middle_name else None,
        today.taxonomy_code,
        held.state,
        canonical_license_number(held.number_raw),
        held.expires,
        [_group(place, place.group) for place in today.places if place.group is not None],
    )


_NO_LICENSE = License()


def license_shown(today: Today) -> License | None:
    """The licence enrollment shows: it supports the primary taxonomy in the state of the first place of practice."""
    first = next((p for p in today.places if p.row.is_primary), today.places[0] if today.places else None)
    state = first.location.state if first is not None else None
    return supporting_license(today.golden, today.taxonomy, state)


def _group(place: Place, group: Organization) -> Group:
    owner = place.location.organization_id or ""
    return Group(place.row.location_id or "", owner, group.npi, group.tin)


def billing_provider(today: Today) -> BillingProvider:
    """The rendering provider and whom the provider bills under, in the forms of X12 837."""
    root = today.root
    return BillingProvider(
        "active",
        None,
        today.golden.id,
        root.npi,
        _upper(root.last_name),
        _upper(root.first_name),
        today.taxonomy_code,
        [Period(r.organization_id or "", r.effective_from, r.effective_to) for r in _billing_periods(today)],
    )


def _billing_periods(today: Today) -> list[Affiliation]:
    """Current and coming affiliations; of several with one organization (roles) none within another."""
    rows = [
        r
        for r in in_order(today.golden.rows(Affiliation))
        if r.bills_under and r.organization_id and is_current(None, r.effective_to, today.as_of)
    ]
    if len(rows) < 2:
        return rows
    rows.sort(key=lambda r: r.effective_to or FOREVER, reverse=True)
    rows.sort(key=lambda r: (r.organization_id, r.effective_from or ""))
    kept: list[Affiliation] = []
    for row in rows:
        if not kept or not _covers(kept[-1], row):
            kept.append(row)
    return kept


def _covers(longer: Affiliation, row: Affiliation) -> bool:
    return longer.organization_id == row.organization_id and (
        (row.effective_to or FOREVER) <= (longer.effective_to or FOREVER)
    )


def billing_organization(today: Today) -> BillingOrganization:
    """A pay-to organization."""
    row: Organization = today.root
    return BillingOrganization("active", None, today.golden.id, row.npi, row.tin, row.legal_name)


def billing_location(today: Today) -> BillingLocation:
    """A service location as claims name it."""
    row: Location = today.root
    return BillingLocation(
        "active",
        None,
        today.golden.id,
        row.organization_id,
        row.location_npi,
        row.name,
        row.line1,
        row.city,
        row.state,
        canonical_postal_code(row.postal_code),
    )


def _upper(text: str | None) -> str | None:
    return text.upper() if text else text


class Contract(Struct, frozen=True):
    """One sink's view of a kind: the function that builds it, its struct, and how it is read back."""

    build: Callable[[Today], View]
    view: type[View]
    decode: Callable[[bytes], View]


def _contract(build: Callable[[Today], View], view: type[View]) -> Contract:
    return Contract(build, view, msgspec.msgpack.Decoder(view).decode)


NAMED: dict[str, dict[str, Contract]] = {
    "provider": {
        "directory": _contract(directory_provider, DirectoryProvider),
        "enrollment": _contract(enrollment_provider, EnrollmentProvider),
        "billing": _contract(billing_provider, BillingProvider),
    },
    "organization": {"billing": _contract(billing_organization, BillingOrganization)},
    "location": {
        "directory": _contract(directory_location, DirectoryLocation),
        "billing": _contract(billing_location, BillingLocation),
    },
}
"""kind -> the view's name -> its contract. A new view is a function, a schema and a line here."""

VIEWS: dict[str, dict[str, Contract]] = {
    kind: {system: views[taken[kind]] for system, taken in TAKEN.items() if kind in taken}
    for kind, views in NAMED.items()
}
"""kind -> sink system -> the contract of the view it is sent"""

encode = msgspec.msgpack.Encoder().encode


def build(golden: Golden, look: Look, as_of: str) -> dict[str, View]:
    """Every sink's view of an entity whose own row exists, by sink system."""
    return of(today(golden, look, as_of))


def of(facts: Today) -> dict[str, View]:
    """Every sink's view from facts that are known already."""
    return {sink: contract.build(facts) for sink, contract in VIEWS.get(facts.golden.kind, {}).items()}


def withdrawn(golden: Golden, sink: str, reason: str) -> View:
    """The view of something a system must no longer show: its id, its NPI to find it by, and why."""
    root, kind = golden.root, golden.kind
    told: dict[str, Any] = {"status": WITHDRAWN, "reason": reason, f"{kind}_id": golden.id}
    if kind in ("provider", "organization"):
        told["npi"] = root.npi if root is not None else None
    return VIEWS[kind][sink].view(**told)


ENDING: dict[str, tuple[str, ...]] = {
    "listings": ("location_id", "payer", "product", "network"),
    "affiliations": ("organization_id",),
}
"""parts that the platform ends in a system -> what each is of"""


def ended(kept: View, built: View) -> View | None:
    """The view a system keeps while it is on hold, without the parts that are over; None where none is. Restriction
    comes first, and a listing that is to go must not be what the hold is about."""
    for parts, names in ENDING.items():
        had = getattr(kept, parts, [])
        going_on = {_key(part, names) for part in getattr(built, parts, [])}
        left = [part for part in had if _key(part, names) in going_on]
        if len(left) < len(had):
            return replace(kept, **{parts: left})
    return None


def _key(part: Part, names: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(getattr(part, name) for name in names)


_parts = msgspec.msgpack.Decoder(list[Raw]).decode


def changed_fields(contract: Contract, before: bytes | None, after: bytes) -> list[str]:
    """The top-level fields that differ between two encoded views; every field when there was none before."""
    names = contract.view.__struct_fields__
    if before is None:
        return list(names)
    old, new = _parts(before), _parts(after)
    if len(old) != len(new):  # sent before a field was appended
        old = _parts(encode(contract.decode(before)))
    return [name for name, was, now in zip(names, old, new, strict=True) if was != now]


def named(view: View) -> dict[str, Any]:
    """A view as plain data by field name, for people, tools and tests."""
    return {name: _named(value) for name, value in zip(view.__struct_fields__, astuple(view), strict=True)}


def _named(value: Any) -> Any:
    if isinstance(value, list):
        return [msgspec.structs.asdict(item) if isinstance(item, Part) else item for item in value]
    return value
