"""Enrollment: the provider's root row, and the group identifiers on enrollments that exist.

Described as data for connectors.relational. Never makes, ends or deletes an enrollment: states, dates and
payer identifiers are the enrollment system's own (Invariant 9).
"""
# ruff: noqa: S608  (the names come from our own table descriptions, values are parameters)

from __future__ import annotations

from connectors.enrollment.request import build
from connectors.statement import recordset
from connectors.table import Children, Root, System

PROVIDER = Root(
    table="enr_provider",
    key="enr_provider_id",
    reference="cred_ref",
    npi="prov_npi",
    columns={
        "cred_ref": "uuid",
        "prov_npi": "text",
        "prov_last": "text",
        "prov_first": "text",
        "prov_mi": "text",
        "taxonomy_cd": "text",
        "lic_state": "text",
        "lic_no": "text",
        "lic_exp": "date",
    },
)
GROUP_FIELDS = {
    "enr_provider_id": "bigint",
    "svc_loc_ref": "text",
    "group_npi": "text",
    "group_tax_id": "text",
}

IDENTIFY = f"""
update enrollment held set group_npi = wanted.group_npi, group_tax_id = wanted.group_tax_id
from {recordset(GROUP_FIELDS, "wanted")}
where held.enr_provider_id = wanted.enr_provider_id and held.svc_loc_ref = wanted.svc_loc_ref
  and (held.group_npi, held.group_tax_id) is distinct from (wanted.group_npi, wanted.group_tax_id)
"""

ENROLLMENT = System(
    name="enrollment",
    build=build,
    roots={"provider": PROVIDER},
    children={
        "provider": Children(
            table="enrollment",
            parent="enr_provider_id",
            key=("svc_loc_ref",),
            fields=GROUP_FIELDS,
            statements=(IDENTIFY,),
            columns=frozenset({"group_npi", "group_tax_id"}),
        )
    },
    lookups={},
    owned={
        "enrollment": frozenset(
            {
                "enrollment_id",
                "enr_provider_id",
                "svc_loc_ref",
                "payer_id",
                "product_id",
                "state",
                "par_status",
                "requested_eff",
                "payer_eff",
                "loaded_at",
                "retro_bill_from",
                "term_dt",
                "term_reason_cd",
                "payer_prov_id",
                "payer_loc_id",
            }
        )
    },
)
