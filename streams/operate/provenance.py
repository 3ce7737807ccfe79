"""Which claim each value of each view comes from: the views' functions told as data.

    (view, kind) -> path in the view -> Leaf(column of the target, canonical fields, how they become the value)

Stands beside `streams.core.view` and is read by `explain`. Tested three ways: every field of every view schema has
an entry, every column an adapter writes is named, and changing a named field changes the view's value. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from connectors.described import DESCRIBED
from streams.core.canonical import Affiliation, Location, Row
from streams.core.entity import Golden
from streams.core.today import Look, Today, today
from streams.core.view import license_shown
from streams.operate.wording import place_of
from streams.systems import TAKEN


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value of a view.

    column   `table.column` of the target that receives it; empty where the target takes it from elsewhere
    sources  `record.field` names; empty: the platform decides it
    first    only the first source that has a value counts (else all do)
    """

    column: str
    sources: tuple[str, ...] = ()
    first: bool = False
    how: str = ""


def _from(column: str, *sources: str, first: bool = False, how: str = "") -> Leaf:
    return Leaf(column, sources, first, how)


_DECIDED: Mapping[str, Leaf] = {
    "revision": Leaf("concord_applied.revision", how="the platform's: rises when the view changes"),
    "status": Leaf("", ("provider.provider_status",), how="the gates' verdict"),
    "reason": Leaf("", ("provider.provider_status",), how="the gates' verdict"),
}
_OF_REFERENCE: Mapping[str, Leaf] = {
    **_DECIDED,
    "status": Leaf("", how="the gates' verdict"),
    "reason": Leaf("", how="the gates' verdict"),
}
_TAXONOMY = "of the current primary taxonomy"
_LICENSE = "of the licence that supports the primary taxonomy"
_LATER = "the later of the two"


def _same(columns: Mapping[str, str], record: str) -> dict[str, Leaf]:
    """Fields that keep their canonical name."""
    return {name: _from(column, f"{record}.{name}") for name, column in columns.items()}


_LISTING: Mapping[str, Leaf] = {
    "location_id": _from("dir_listing.dir_location_id", "provider_location.location_id"),
    "payer": _from("dir_listing.network_id", "network_participation.payer"),
    "product": _from("dir_listing.network_id", "network_participation.product"),
    "network": _from("dir_listing.network_id", "network_participation.network"),
    "group_name": _from(
        "dir_listing.group_name", "organization.dba_name", "organization.legal_name", first=True
    ),
    "specialty_nucc": _from("dir_listing.specialty_nucc", "taxonomy.nucc_code", how=_TAXONOMY),
    "telehealth": _from("dir_listing.telehealth_cd", "location.telehealth"),
    "listed_from": _from(
        "dir_listing.listed_from",
        "provider_location.effective_from",
        "network_participation.effective_from",
        how=_LATER,
    ),
    "location_name": _from("", "location.name"),
    **_same(dict.fromkeys(("line1", "line2", "city", "state", "postal_code", "phone"), ""), "location"),
}

PROVENANCE: Mapping[tuple[str, str], Mapping[str, Leaf]] = {
    ("directory", "provider"): {
        **_DECIDED,
        "provider_id": _from("dir_provider.cred_provider_ref", "provider.provider_id"),
        "display_name": _from(
            "dir_provider.display_name",
            "provider.first_name",
            "provider.middle_name",
            "provider.last_name",
            "provider.name_suffix",
            "provider.degree",
        ),
        **_same(
            {
                "npi": "dir_provider.npi_number",
                "last_name": "dir_provider.last_name",
                "first_name": "dir_provider.first_name",
                "middle_name": "",
                "name_suffix": "",
                "degree": "dir_provider.credential_text",
                "sex": "dir_provider.gender",
                "languages": "dir_provider.langs",
            },
            "provider",
        ),
        **{f"listings[].{name}": leaf for name, leaf in _LISTING.items()},
    },
    ("directory", "location"): {
        **_OF_REFERENCE,
        "location_id": _from("dir_location.cred_location_ref", "location.location_id"),
        **_same(
            {
                "organization_id": "",
                "name": "dir_location.loc_name",
                "line1": "dir_location.street_1",
                "line2": "dir_location.street_2",
                "city": "dir_location.city",
                "state": "dir_location.state_cd",
                "postal_code": "dir_location.zip5, dir_location.zip4",
                "county_fips": "dir_location.county_fips",
                "latitude": "dir_location.lat",
                "longitude": "dir_location.lon",
                "phone": "dir_location.phone10",
                "fax": "dir_location.fax10",
                "accessibility": "dir_location.ada",
                "telehealth": "",
            },
            "location",
        ),
        **{
            f"hours[].{name}": _from("dir_location.hours", "location.hours")
            for name in ("day", "open", "close", "all_day")
        },
    },
    ("enrollment", "provider"): {
        **_DECIDED,
        "provider_id": _from("enr_provider.cred_ref", "provider.provider_id"),
        **_same(
            {
                "npi": "enr_provider.prov_npi",
                "last_name": "enr_provider.prov_last",
                "first_name": "enr_provider.prov_first",
            },
            "provider",
        ),
        "middle_initial": _from("enr_provider.prov_mi", "provider.middle_name", how="its first letter"),
        "taxonomy_code": _from("enr_provider.taxonomy_cd", "taxonomy.nucc_code", how=_TAXONOMY),
        "license_state": _from("enr_provider.lic_state", "license.state", how=_LICENSE),
        "license_number": _from("enr_provider.lic_no", "license.number_raw", how=f"normalised, {_LICENSE}"),
        "license_expires": _from("enr_provider.lic_exp", "license.expires", how=_LICENSE),
        "groups[].location_id": _from("enrollment.svc_loc_ref", "provider_location.location_id"),
        "groups[].organization_id": _from("", "location.organization_id"),
        "groups[].group_npi": _from("enrollment.group_npi", "organization.npi"),
        "groups[].group_tax_id": _from("enrollment.group_tax_id", "organization.tin"),
    },
    ("billing", "provider"): {
        **_DECIDED,
        "provider_id": _from("bil_rendering.cred_ref", "provider.provider_id"),
        "npi": _from("bil_rendering.rendering_npi", "provider.npi"),
        "last_name": _from("bil_rendering.last_nm", "provider.last_name", how="upper case"),
        "first_name": _from("bil_rendering.first_nm", "provider.first_name", how="upper case"),
        "taxonomy_code": _from("bil_rendering.taxonomy10", "taxonomy.nucc_code", how=_TAXONOMY),
        "affiliations[].organization_id": _from("bil_affiliation.be_id", "affiliation.organization_id"),
        "affiliations[].effective_from": _from("bil_affiliation.eff_dt", "affiliation.effective_from"),
        "affiliations[].effective_to": _from("bil_affiliation.end_dt", "affiliation.effective_to"),
    },
    ("billing", "organization"): {
        **_OF_REFERENCE,
        "organization_id": _from("bil_billing_entity.cred_org_ref", "organization.organization_id"),
        "npi": _from("bil_billing_entity.billing_npi", "organization.npi"),
        "tin": _from("bil_billing_entity.tax_id", "organization.tin"),
        "legal_name": _from("bil_billing_entity.legal_nm", "organization.legal_name"),
    },
    ("billing", "location"): {
        **_OF_REFERENCE,
        "location_id": _from("bil_service_location.cred_location_ref", "location.location_id"),
        "facility_npi": _from("bil_service_location.facility_npi", "location.location_npi"),
        **_same(
            {
                "organization_id": "",
                "name": "bil_service_location.facility_nm",
                "line1": "bil_service_location.addr1",
                "city": "bil_service_location.city",
                "state": "bil_service_location.st",
                "postal_code": "bil_service_location.zip9",
            },
            "location",
        ),
    },
}

"""(view, kind) -> path -> leaf, with the columns of the system the view is called after"""


@cache
def told_of(system: str, kind: str) -> Mapping[str, Leaf]:
    """The leaves of the view a system is sent; of a view it shares, the columns are what its own mapping names."""
    name = TAKEN[system][kind]
    leaves = PROVENANCE[name, kind]
    if name == system:
        return leaves
    return {path: replace(leaf, column=_column(system, path, leaf)) for path, leaf in leaves.items()}


def _column(system: str, path: str, leaf: Leaf) -> str:
    """The column its adapter writes of its root row; what stands in lists is each adapter's own."""
    if path in _DECIDED:
        return leaf.column
    if len(leaf.sources) != 1 or "[]" in path:
        return ""
    record, _, name = leaf.sources[0].partition(".")
    table, _, column = place_of(system, record, name).partition(".")
    return f"{table}.{column}" if column in DESCRIBED[system].written().get(table, ()) else ""


# ---- from a named field to the row that said it ----

RowRef = tuple[str, str]
"""(`kind/id` of the entity, row id)"""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a view was made of: the entity's golden record, the references, and the date it was."""

    golden: Golden
    look: Look
    as_of: str
    item: Mapping[str, Any] = field(default_factory=dict)
    """the list item the value stands in"""

    @property
    def name(self) -> str:
        """`kind/id` of the entity."""
        return f"{self.golden.kind}/{self.golden.id}"


def rows(scene: Scene, record: str) -> list[RowRef]:
    """The rows of a record that the view's value was taken from."""
    if record == scene.golden.kind:
        return _root(scene.name, scene.golden)
    if record in ("location", "organization"):
        return _reference(scene, record)
    found = _CHOOSE[record](scene)
    of_record = scene.golden.named(record)
    return [(scene.name, row) for row, values in of_record.items() if any(values is f for f in found)]


def _root(name: str, golden: Golden | None) -> list[RowRef]:
    return [(name, row) for row in golden.named(golden.kind)] if golden else []


def _reference(scene: Scene, record: str) -> list[RowRef]:
    location_id = str(scene.item.get("location_id") or "")
    location = scene.look("location", location_id)
    if record == "location":
        return _root(f"location/{location_id}", location)
    root = location.one(Location) if location else None
    owner = root.organization_id if root else None
    return _root(f"organization/{owner}", scene.look("organization", owner) if owner else None)


def _today(scene: Scene) -> Today:
    """What the views themselves chose."""
    return today(scene.golden, scene.look, scene.as_of)


def _taxonomies(scene: Scene) -> Sequence[Row]:
    found = _today(scene).taxonomy
    return [found] if found is not None else []


def _place(scene: Scene) -> Sequence[Row]:
    places = [place.row for place in _today(scene).places]
    return [row for row in places if row.location_id == scene.item.get("location_id")]


def _licenses(scene: Scene) -> Sequence[Row]:
    found = license_shown(_today(scene))
    return [found] if found is not None else []


def _networks(scene: Scene) -> Sequence[Row]:
    named = (scene.item.get("payer") or "", scene.item.get("product"), scene.item.get("network"))
    return [row for row in _today(scene).networks if (row.payer or "", row.product, row.network) == named]


def _affiliations(scene: Scene) -> Sequence[Row]:
    item = scene.item
    named = (item.get("organization_id"), item.get("effective_from"), item.get("effective_to"))
    return [
        row
        for row in scene.golden.rows(Affiliation).values()
        if row.bills_under and (row.organization_id, row.effective_from, row.effective_to) == named
    ]


_CHOOSE: Mapping[str, Callable[[Scene], Sequence[Row]]] = {
    "taxonomy": _taxonomies,
    "license": _licenses,
    "provider_location": _place,
    "network_participation": _networks,
    "affiliation": _affiliations,
}
"""record -> the rows a view takes; which row it is follows from the views' own choices."""
