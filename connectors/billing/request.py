"""Billing: a view as rows of bil_service_location, bil_billing_entity, bil_rendering and bil_affiliation.

    View --build--> Request --adapter--> PostgreSQL

Pure. Names are upper case and ZIPs bare digits, as X12 837 wants them. Never touches claims, holds or
payer identifiers, which are billing's and enrollment's own.
"""

from __future__ import annotations

from connectors.form import digits, upper
from connectors.sink import Request, Row, View, reference


def build(view: View) -> Request:
    match view.kind:
        case "location":
            return Request(view, _location_row(view.content) if view.tells("name") else None)
        case "organization":
            return Request(view, _organization_row(view.content) if view.tells("legal_name") else None)
        case _:
            return _provider(view)


def _provider(view: View) -> Request:
    rows = () if view.withdrawn else tuple(_affiliation_row(row) for row in view.content["affiliations"])
    needs = frozenset(row["be_id"] for row in rows)
    return Request(view, _provider_row(view.content) if view.tells("last_name") else None, rows, needs)


def _location_row(content: Row) -> Row:
    return {
        "cred_location_ref": content["location_id"],
        "facility_npi": content["facility_npi"],
        "facility_nm": content["name"],
        "addr1": content["line1"],
        "city": content["city"],
        "st": content["state"],
        "zip9": digits(content["postal_code"]),
    }


def _organization_row(content: Row) -> Row:
    return {
        "cred_org_ref": content["organization_id"],
        "billing_npi": content["npi"],
        "tax_id": content["tin"],
        "legal_nm": content["legal_name"],
    }


def _provider_row(content: Row) -> Row:
    return {
        "cred_ref": content["provider_id"],
        "rendering_npi": content["npi"],
        "last_nm": upper(content["last_name"]),
        "first_nm": upper(content["first_name"]),
        "taxonomy10": content["taxonomy_code"],
    }


def _affiliation_row(affiliation: Row) -> Row:
    return {
        "be_id": reference("organization", affiliation["organization_id"]),
        "eff_dt": affiliation["effective_from"],
        "end_dt": affiliation["effective_to"],
    }
