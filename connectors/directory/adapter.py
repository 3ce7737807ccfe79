"""Directory: the tables the platform writes, and the statements for listings.

Described as data for connectors.relational. A listing is ended, never deleted; one that comes back is a new
row. Accepting, notes and verification are the directory's own: they take their defaults on insert and are
never set (Invariant 9); telehealth, its own too, begins as the place's and is left alone from then on.
Networks are the directory's own rows: a view waits for one, it never makes one.
"""
# ruff: noqa: S608  (the names come from our own table descriptions, values are parameters)

from __future__ import annotations

from connectors.directory.request import build
from connectors.statement import recordset
from connectors.table import Children, Root, System

LOCATION = Root(
    table="dir_location",
    key="dir_location_id",
    reference="cred_location_ref",
    columns={
        "cred_location_ref": "uuid",
        "loc_name": "text",
        "street_1": "text",
        "street_2": "text",
        "city": "text",
        "state_cd": "text",
        "zip5": "text",
        "zip4": "text",
        "county_fips": "text",
        "lat": "numeric",
        "lon": "numeric",
        "phone10": "text",
        "fax10": "text",
        "ada": "jsonb",
        "hours": "jsonb",
    },
)
PROVIDER = Root(
    table="dir_provider",
    key="dir_provider_id",
    reference="cred_provider_ref",
    npi="npi_number",
    columns={
        "cred_provider_ref": "uuid",
        "npi_number": "text",
        "display_name": "text",
        "last_name": "text",
        "first_name": "text",
        "credential_text": "text",
        "gender": "text",
        "langs": "text[]",
    },
)
LISTING_FIELDS = {
    "dir_provider_id": "bigint",
    "dir_location_id": "bigint",
    "network_id": "bigint",
    "group_name": "text",
    "specialty_nucc": "text",
    "telehealth_cd": "text",
    "listed_from": "date",
}
ROOTS = recordset({"local_id": "bigint", "withdrawn": "boolean"}, "root", "roots")
WANTED = recordset(LISTING_FIELDS, "wanted")
CURRENT = "(held.listed_to is null or held.listed_to > current_date)"
SAME = """(held.dir_provider_id, held.dir_location_id, held.network_id)
        = (wanted.dir_provider_id, wanted.dir_location_id, wanted.network_id)"""
# Half-open: a listing that never began ends on the day it would have begun.
TODAY = "greatest(current_date, held.listed_from)"

END = f"""
update dir_listing held set listed_to = {TODAY}
from {ROOTS}
where held.dir_provider_id = root.local_id and {CURRENT} and held.listed_to is distinct from {TODAY}
  and not exists (select from {WANTED} where {SAME})
"""

REFRESH = f"""
with current as (
    select distinct on (held.dir_provider_id, held.dir_location_id, held.network_id) held.listing_id, wanted.*
    from dir_listing held join {WANTED} on {SAME} where {CURRENT}
    order by held.dir_provider_id, held.dir_location_id, held.network_id, held.listed_to desc nulls first
)
update dir_listing held
set group_name = current.group_name, specialty_nucc = current.specialty_nucc,
    telehealth_cd = coalesce(held.telehealth_cd, current.telehealth_cd),
    listed_from = coalesce(current.listed_from, held.listed_from),
    listed_to = null
from current
where held.listing_id = current.listing_id
  and (held.group_name, held.specialty_nucc, held.telehealth_cd, held.listed_from, held.listed_to)
      is distinct from (current.group_name, current.specialty_nucc,
                        coalesce(held.telehealth_cd, current.telehealth_cd),
                        coalesce(current.listed_from, held.listed_from), null::date)
"""

BEGIN = f"""
insert into dir_listing ({", ".join(LISTING_FIELDS)})
select dir_provider_id, dir_location_id, network_id, group_name, specialty_nucc, telehealth_cd,
       coalesce(listed_from, current_date)
from {WANTED}
where not exists (select from dir_listing held where {SAME} and {CURRENT})
order by dir_provider_id, dir_location_id, network_id
"""

# A withdrawn place lists nobody; who is listed elsewhere follows from the providers' own views.
CLOSE = f"""
update dir_listing held set listed_to = {TODAY}
from {ROOTS}
where held.dir_location_id = root.local_id and root.withdrawn and {CURRENT}
  and held.listed_to is distinct from {TODAY}
"""

FIND_LOCATION = f"""
select ref, dir_location_id from {recordset({"ref": "text", "names": "text[]"})}
join dir_location on cred_location_ref = names[1]::uuid
"""

# names: payer, product, network. Payer and network name one row; without a network, the product must.
FIND_NETWORK = f"""
select ref, min(network_id) from {recordset({"ref": "text", "names": "text[]"})}
join dir_network on payer_name = names[1]
 and case when names[3] is null then plan_name = names[2] else network_name = names[3] end
group by ref having count(*) = 1
"""

DIRECTORY = System(
    name="directory",
    build=build,
    roots={"location": LOCATION, "provider": PROVIDER},
    children={
        "location": Children("dir_listing", "dir_location_id", (), {}, (CLOSE,), frozenset({"listed_to"})),
        "provider": Children(
            table="dir_listing",
            parent="dir_provider_id",
            key=("dir_location_id", "network_id"),
            fields=LISTING_FIELDS,
            statements=(END, REFRESH, BEGIN),
            columns=frozenset({*LISTING_FIELDS, "listed_to"}),
            links=("dir_location_id", "network_id"),
            once=frozenset({"telehealth_cd"}),
        ),
    },
    lookups={"location": FIND_LOCATION, "network": FIND_NETWORK},
    owned={
        "dir_location": frozenset({"url"}),
        "dir_listing": frozenset(
            {"accepting_cd", "accepting_notes", "verified_on", "verification_status", "unverified_ind"}
        ),
    },
)
