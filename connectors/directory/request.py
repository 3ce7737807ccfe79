"""Directory: a view as rows of dir_location, dir_provider and dir_listing.

    View --build--> Request --adapter--> PostgreSQL

Pure. Names every column of the directory that the platform fills, and none that the directory owns.
"""

from __future__ import annotations

from connectors.form import phone10, zip4, zip5
from connectors.sink import Request, Row, View, reference


def build(view: View) -> Request:
    return location(view) if view.kind == "location" else provider(view)


def location(view: View) -> Request:
    return Request(view, _location_row(view.content) if view.tells("name") else None)


def provider(view: View) -> Request:
    content = view.content
    root = _provider_row(content) if view.tells("last_name") else None
    listings = () if view.withdrawn else tuple(_listing_row(row) for row in content["listings"])
    needs = frozenset(ref for row in listings for ref in (row["dir_location_id"], row["network_id"]))
    return Request(view, root, listings, needs)


def _location_row(content: Row) -> Row:
    return {
        "cred_location_ref": content["location_id"],
        "loc_name": content["name"],
        "street_1": content["line1"],
        "street_2": content["line2"],
        "city": content["city"],
        "state_cd": content["state"],
        "zip5": zip5(content["postal_code"]),
        "zip4": zip4(content["postal_code"]),
        "county_fips": content["county_fips"],
        "lat": content["latitude"],
        "lon": content["longitude"],
        "phone10": phone10(content["phone"]),
        "fax10": phone10(content["fax"]),
        "ada": content["accessibility"],
        "hours": content["hours"],
    }


def _provider_row(content: Row) -> Row:
    return {
        "cred_provider_ref": content["provider_id"],
        "npi_number": content["npi"],
        "display_name": content["display_name"],
        "last_name": content["last_name"],
        "first_name": content["first_name"],
        "credential_text": content["degree"],
        "gender": content["sex"],
        "langs": content["languages"],
    }


def _listing_row(listing: Row) -> Row:
    return {
        "dir_location_id": reference("location", listing["location_id"]),
        "network_id": reference("network", listing["payer"], listing["product"], listing["network"]),
        "group_name": listing["group_name"],
        "specialty_nucc": listing["specialty_nucc"],
        "telehealth_cd": listing["telehealth"],
        "listed_from": listing["listed_from"],
    }
