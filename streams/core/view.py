"""Views: what each system gets to know of an entity, one pure function per sink and kind.

The last value of the flow. The contract of each view is `schemas/view/<system>.<kind>.v1.avsc`; a field that
a topic's contract does not clear never enters its function (invariant 11). `VIEWS` is the visible registry.
Content is a dict in the schema's order without `revision`, so that equal content has equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from streams.core.change import Values
from streams.core.entity import Golden
from streams.core.formats import canonical_license_number, canonical_phone, canonical_postal_code

Content = dict[str, Any]
Look = Callable[[str, str], Golden | None]
"""(kind, id) -> the referenced golden record, or None while it is unknown."""

FOREVER = "9999-12-31"
USABLE_LICENSES = ("active", "probation", "restricted")


def is_current(start: str | None, end: str | None, as_of: str) -> bool:
    """Half-open [start, end) on ISO dates; an open side has no bound."""
    return (start is None or start <= as_of) and (end is None or as_of < end)


def current_locations(golden: Golden, as_of: str) -> list[Values]:
    """Where the provider practises today, ordered by location."""
    rows = [
        r
        for _, r in _by_row_id(golden.rows("provider_location"))
        if is_current(r.get("effective_from"), r.get("effective_to"), as_of) and r.get("location_id")
    ]
    return sorted(rows, key=lambda r: (r.get("location_id"), r.get("effective_from") or ""))


def _by_row_id(rows: dict[str, Values]) -> list[tuple[str, Values]]:
    """Rows in an order of their own, so that a choice among equals never depends on which came first."""
    return sorted(rows.items()) if len(rows) > 1 else list(rows.items())


def current_networks(golden: Golden, as_of: str) -> list[Values]:
    """Networks the provider takes part in today, each once; a payer's term date is the last covered day."""
    rows = [
        r
        for _, r in _by_row_id(golden.rows("network_participation"))
        if r.get("par_status") == "par"
        and is_current(r.get("effective_from"), None, as_of)
        and as_of <= (r.get("term_date") or FOREVER)
    ]
    if len(rows) < 2:
        return rows
    rows.sort(key=lambda r: r.get("effective_from") or "", reverse=True)
    earliest = {_network(row): row for row in rows}
    return [earliest[network] for network in sorted(earliest)]


def _network(row: Values) -> tuple[str, str, str]:
    return (row.get("payer") or "", row.get("product") or "", row.get("network") or "")


def primary_taxonomy(golden: Golden, as_of: str) -> Values | None:
    """The current primary taxonomy; with several the smallest code, so that the choice is stable."""
    rows = [
        r
        for _, r in _by_row_id(golden.rows("taxonomy"))
        if r.get("is_primary")
        and r.get("nucc_code")
        and is_current(r.get("effective_from"), r.get("effective_to"), as_of)
    ]
    return min(rows, key=lambda r: str(r.get("nucc_code"))) if rows else None


def supporting_license(golden: Golden, taxonomy: Values | None, state: str | None) -> Values | None:
    """The licence the primary taxonomy names, else a usable one of the state of practice, else any."""
    licenses = golden.rows("license")
    named = licenses.get(str(taxonomy.get("license_id"))) if taxonomy is not None else None
    if named is not None:
        return named
    usable = [r for _, r in _by_row_id(licenses) if r.get("status") in USABLE_LICENSES]
    usable.sort(key=lambda r: (r.get("state") != state, r.get("state") or "", r.get("number_raw") or ""))
    return usable[0] if usable else None


def display_name(root: Values) -> str | None:
    """`First M. Last, Degree`."""
    middle = root.get("middle_name")
    parts = [
        root.get("first_name"),
        f"{middle[0]}." if middle else None,
        root.get("last_name"),
        root.get("name_suffix"),
    ]
    name = " ".join(p for p in parts if p)
    return f"{name}, {root['degree']}" if name and root.get("degree") else name or None


def _languages(root: Values) -> list[str]:
    spoken = (item.get("code") if isinstance(item, dict) else item for item in _items(root, "languages"))
    return _words(spoken)


def _items(row: Values, field: str) -> list[Any]:
    """The elements of a JSON list; any other document is none."""
    document = row.get(field)
    return document if isinstance(document, list) else []


def _words(items: Iterable[Any]) -> list[str]:
    """The texts among them, each once, sorted."""
    return sorted({item for item in items if item and isinstance(item, str)})


class Today(Struct, frozen=True, gc=False):
    """What several views ask of one golden record on one date, found once."""

    golden: Golden
    look: Look
    as_of: str
    root: Values
    taxonomy: Values | None
    taxonomy_code: str | None
    places: list[Values]
    networks: list[Values]


def today(golden: Golden, look: Look, as_of: str) -> Today:
    """The facts of `as_of`."""
    root = golden.one(golden.kind) or {}
    if golden.kind != "provider":
        return Today(golden, look, as_of, root, None, None, [], [])
    taxonomy = primary_taxonomy(golden, as_of)
    code = taxonomy.get("nucc_code") if taxonomy is not None else None
    places = _distinct(current_locations(golden, as_of))
    return Today(golden, look, as_of, root, taxonomy, code, places, current_networks(golden, as_of))


def directory_provider(today: Today) -> Content:
    """Identity, and one listing per current practice location and network."""
    root, networks = today.root, today.networks
    listings: list[Content] = []
    for place in today.places if networks else ():
        shown = _place(place, today.look)
        listings += [_listing(place, network, shown, today.taxonomy_code) for network in networks]
    return {
        "status": "active",
        "reason": None,
        "provider_id": today.golden.id,
        "npi": root.get("npi"),
        "display_name": display_name(root),
        "last_name": root.get("last_name"),
        "first_name": root.get("first_name"),
        "middle_name": root.get("middle_name"),
        "name_suffix": root.get("name_suffix"),
        "degree": root.get("degree"),
        "sex": root.get("sex"),
        "languages": _languages(root),
        "listings": listings,
    }


def _distinct(places: list[Values]) -> list[Values]:
    """One row a location: overlapping rows of one location are one place."""
    return list({row.get("location_id"): row for row in reversed(places)}.values())[::-1]


def _listing(place: Values, network: Values, shown: Content, specialty: str | None) -> Content:
    starts = [d for d in (place.get("effective_from"), network.get("effective_from")) if d]
    return {
        "location_id": place.get("location_id"),
        "payer": network.get("payer") or "",
        "product": network.get("product"),
        "network": network.get("network"),
        "group_name": shown["group_name"],
        "specialty_nucc": specialty,
        "telehealth": shown["telehealth"],
        "listed_from": max(starts) if starts else None,
        **shown["address"],
    }


def _location_and_group(location_id: str, look: Look) -> tuple[Values, Values]:
    """The rows of a location and of the organization it belongs to; empty while unknown."""
    golden = look("location", location_id)
    location = (golden.one("location") if golden else None) or {}
    owner = location.get("organization_id")
    organization = look("organization", owner) if owner else None
    return location, (organization.one("organization") if organization else None) or {}


def _place(place: Values, look: Look) -> Content:
    location, group = _location_and_group(str(place.get("location_id")), look)
    return {
        "group_name": group.get("dba_name") or group.get("legal_name"),
        "telehealth": location.get("telehealth"),
        "address": {
            "location_name": location.get("name"),
            "line1": location.get("line1"),
            "line2": location.get("line2"),
            "city": location.get("city"),
            "state": location.get("state"),
            "postal_code": canonical_postal_code(location.get("postal_code")),
            "phone": canonical_phone(location.get("phone")),
        },
    }


def directory_location(today: Today) -> Content:
    """A practice location as the directory shows it."""
    row = today.root
    return {
        "status": "active",
        "reason": None,
        "location_id": today.golden.id,
        "organization_id": row.get("organization_id"),
        "name": row.get("name"),
        "line1": row.get("line1"),
        "line2": row.get("line2"),
        "city": row.get("city"),
        "state": row.get("state"),
        "postal_code": canonical_postal_code(row.get("postal_code")),
        "county_fips": row.get("county_fips"),
        "latitude": row.get("latitude"),
        "longitude": row.get("longitude"),
        "phone": canonical_phone(row.get("phone")),
        "fax": canonical_phone(row.get("fax")),
        "accessibility": _words(_items(row, "accessibility")),
        "hours": [_hours(h) for h in _items(row, "hours") if isinstance(h, dict) and _text(h.get("day"))],
        "telehealth": row.get("telehealth"),
    }


def _hours(item: Content) -> Content:
    return {
        "day": item["day"],
        "open": _text(item.get("open")),
        "close": _text(item.get("close")),
        "all_day": bool(item.get("all_day", False)),
    }


def _text(value: Any) -> str | None:
    """A JSON value as text; what is none says nothing."""
    return value if isinstance(value, str) else None


def enrollment_provider(today: Today) -> Content:
    """Identity for enrollment, and the group identifiers its existing enrollments carry per location."""
    root, places = today.root, today.places
    groups = [group for place in places if (group := _group(str(place.get("location_id")), today.look))]
    first = next((p for p in places if p.get("is_primary")), places[0] if places else None)
    license_ = supporting_license(today.golden, today.taxonomy, _state_of(first, today.look)) or {}
    middle = root.get("middle_name")
    return {
        "status": "active",
        "reason": None,
        "provider_id": today.golden.id,
        "npi": root.get("npi"),
        "last_name": root.get("last_name"),
        "first_name": root.get("first_name"),
        "middle_initial": middle[0] if middle else None,
        "taxonomy_code": today.taxonomy_code,
        "license_state": license_.get("state"),
        "license_number": canonical_license_number(license_.get("number_raw")),
        "license_expires": license_.get("expires"),
        "groups": groups,
    }


def _state_of(place: Values | None, look: Look) -> str | None:
    golden = look("location", str(place.get("location_id"))) if place else None
    location = golden.one("location") if golden else None
    return location.get("state") if location else None


def _group(location_id: str, look: Look) -> Content | None:
    location, group = _location_and_group(location_id, look)
    if not group:
        return None
    return {
        "location_id": location_id,
        "organization_id": location.get("organization_id"),
        "group_npi": group.get("npi"),
        "group_tax_id": group.get("tin"),
    }


def billing_provider(today: Today) -> Content:
    """The rendering provider and whom the provider bills under, in the forms of X12 837."""
    root = today.root
    return {
        "status": "active",
        "reason": None,
        "provider_id": today.golden.id,
        "npi": root.get("npi"),
        "last_name": _upper(root.get("last_name")),
        "first_name": _upper(root.get("first_name")),
        "taxonomy_code": today.taxonomy_code,
        "affiliations": [
            {
                "organization_id": r.get("organization_id"),
                "effective_from": r.get("effective_from"),
                "effective_to": r.get("effective_to"),
            }
            for r in _billing_periods(today)
        ],
    }


def _billing_periods(today: Today) -> list[Values]:
    """Current and coming affiliations; of several with one organization (roles) none within another."""
    rows = [
        r
        for _, r in _by_row_id(today.golden.rows("affiliation"))
        if r.get("bills_under")
        and r.get("organization_id")
        and is_current(None, r.get("effective_to"), today.as_of)
    ]
    rows.sort(key=lambda r: r.get("effective_to") or FOREVER, reverse=True)
    rows.sort(key=lambda r: (r.get("organization_id"), r.get("effective_from") or ""))
    kept: list[Values] = []
    for row in rows:
        if not kept or not _covers(kept[-1], row):
            kept.append(row)
    return kept


def _covers(longer: Values, row: Values) -> bool:
    return longer.get("organization_id") == row.get("organization_id") and (
        (row.get("effective_to") or FOREVER) <= (longer.get("effective_to") or FOREVER)
    )


def billing_organization(today: Today) -> Content:
    """A pay-to organization."""
    row = today.root
    return {
        "status": "active",
        "reason": None,
        "organization_id": today.golden.id,
        "npi": row.get("npi"),
        "tin": row.get("tin"),
        "legal_name": row.get("legal_name"),
    }


def billing_location(today: Today) -> Content:
    """A service location as claims name it."""
    row = today.root
    return {
        "status": "active",
        "reason": None,
        "location_id": today.golden.id,
        "organization_id": row.get("organization_id"),
        "facility_npi": row.get("location_npi"),
        "name": row.get("name"),
        "line1": row.get("line1"),
        "city": row.get("city"),
        "state": row.get("state"),
        "postal_code": canonical_postal_code(row.get("postal_code")),
    }


def _upper(text: str | None) -> str | None:
    return text.upper() if text else text


Build = Callable[[Today], Content]

VIEWS: dict[str, dict[str, Build]] = {
    "provider": {
        "directory": directory_provider,
        "enrollment": enrollment_provider,
        "billing": billing_provider,
    },
    "organization": {"billing": billing_organization},
    "location": {"directory": directory_location, "billing": billing_location},
}
"""kind -> sink system -> the function that builds its view."""


def build(golden: Golden, look: Look, as_of: str) -> dict[str, Content]:
    """Every sink's view of an entity whose own row exists, by sink system."""
    facts = today(golden, look, as_of)
    return {sink: make(facts) for sink, make in VIEWS.get(golden.kind, {}).items()}


def withdrawn(golden: Golden, reason: str) -> Content:
    """The view of something a system must no longer show: its id, its NPI to find it by, and why."""
    root = golden.one(golden.kind) or {}
    content: Content = {"status": "withdrawn", "reason": reason, f"{golden.kind}_id": golden.id}
    if golden.kind in ("provider", "organization"):
        content["npi"] = root.get("npi")
    return content


def changed_fields(before: Content | None, after: Content) -> list[str]:
    """The top-level fields that differ; every field when there was no view before."""
    if before is None:
        return list(after)
    if before.keys() == after.keys():
        return [f for f, value in after.items() if before[f] != value]
    return [f for f in dict.fromkeys((*before, *after)) if before.get(f) != after.get(f)]
