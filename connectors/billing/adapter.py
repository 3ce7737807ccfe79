"""Billing: rendering providers, billing entities, service locations, and who bills under whom.

Described as data for connectors.relational. An affiliation is ended, never deleted: claims of its time need
it. Billing's own addresses, taxonomies, remittance and place of service are never set (Invariant 9).
"""
# ruff: noqa: S608  (the names come from our own table descriptions, values are parameters)

from __future__ import annotations

from connectors.billing.request import build
from connectors.statement import recordset
from connectors.table import Children, Root, System

LOCATION = Root(
    table="bil_service_location",
    key="sl_id",
    reference="cred_location_ref",
    columns={
        "cred_location_ref": "uuid",
        "facility_npi": "text",
        "facility_nm": "text",
        "addr1": "text",
        "city": "text",
        "st": "text",
        "zip9": "text",
    },
)
ORGANIZATION = Root(
    table="bil_billing_entity",
    key="be_id",
    reference="cred_org_ref",
    npi="billing_npi",
    columns={"cred_org_ref": "uuid", "billing_npi": "text", "tax_id": "text", "legal_nm": "text"},
)
PROVIDER = Root(
    table="bil_rendering",
    key="rend_id",
    reference="cred_ref",
    npi="rendering_npi",
    columns={
        "cred_ref": "uuid",
        "rendering_npi": "text",
        "last_nm": "text",
        "first_nm": "text",
        "taxonomy10": "text",
    },
)
AFFILIATION_FIELDS = {"rend_id": "bigint", "be_id": "bigint", "eff_dt": "date", "end_dt": "date"}
ROOTS = recordset({"local_id": "bigint", "withdrawn": "boolean"}, "root", "roots")
WANTED = recordset(AFFILIATION_FIELDS, "wanted")
SAME = """held.rend_id = wanted.rend_id and held.be_id = wanted.be_id
      and held.eff_dt is not distinct from wanted.eff_dt"""
TODAY = "greatest(current_date, held.eff_dt)"

# Ends come before beginnings: at most one open affiliation with an entity, at every moment.
DROP = f"""
update bil_affiliation held set end_dt = {TODAY}
from {ROOTS}
where held.rend_id = root.local_id and (held.end_dt is null or held.end_dt > {TODAY})
  and not exists (select from {WANTED} where {SAME})
"""

END = f"""
update bil_affiliation held set end_dt = wanted.end_dt
from {WANTED}
where {SAME} and wanted.end_dt is not null and held.end_dt is distinct from wanted.end_dt
"""

REOPEN = f"""
update bil_affiliation held set end_dt = null
from {WANTED}
where {SAME} and wanted.end_dt is null and held.end_dt is not null
"""

BEGIN = f"""
insert into bil_affiliation ({", ".join(AFFILIATION_FIELDS)})
select {", ".join(AFFILIATION_FIELDS)} from {WANTED}
where not exists (select from bil_affiliation held where {SAME})
order by rend_id, be_id, eff_dt
"""

FIND_ORGANIZATION = f"""
select ref, be_id from {recordset({"ref": "text", "names": "text[]"})}
join bil_billing_entity on cred_org_ref = names[1]::uuid
"""

BILLING = System(
    name="billing",
    build=build,
    roots={"location": LOCATION, "organization": ORGANIZATION, "provider": PROVIDER},
    children={
        "provider": Children(
            table="bil_affiliation",
            parent="rend_id",
            key=("be_id", "eff_dt"),
            fields=AFFILIATION_FIELDS,
            statements=(DROP, END, REOPEN, BEGIN),
            columns=frozenset(AFFILIATION_FIELDS),
            links=("be_id",),
        )
    },
    lookups={"organization": FIND_ORGANIZATION},
    owned={
        "bil_billing_entity": frozenset({"addr1", "city", "st", "zip9", "billing_taxonomy10", "remit_addr"}),
        "bil_service_location": frozenset({"pos_cd"}),
    },
)
