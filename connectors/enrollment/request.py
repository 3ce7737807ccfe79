"""Enrollment: a view as a row of enr_provider and credentialing's columns of existing enrollment rows.

    View --build--> Request --adapter--> PostgreSQL

Pure. Never asks for an enrollment to be made or ended: enrollments are the payer enrollment team's own.
"""

from __future__ import annotations

from connectors.sink import Request, Row, View


def build(view: View) -> Request:
    content = view.content
    root = _provider_row(content) if view.tells("last_name") else None
    return Request(view, root, tuple(_group_row(group) for group in content["groups"]))


def _provider_row(content: Row) -> Row:
    return {
        "cred_ref": content["provider_id"],
        "prov_npi": content["npi"],
        "prov_last": content["last_name"],
        "prov_first": content["first_name"],
        "prov_mi": content["middle_initial"],
        "taxonomy_cd": content["taxonomy_code"],
        "lic_state": content["license_state"],
        "lic_no": content["license_number"],
        "lic_exp": content["license_expires"],
    }


def _group_row(group: Row) -> Row:
    return {
        "svc_loc_ref": group["location_id"],
        "group_npi": group["group_npi"],
        "group_tax_id": group["group_tax_id"],
    }
