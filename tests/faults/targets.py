"""What the three systems hold, compared with what they should: one difference a line, for people to read.

    Expected --the adapters' pure request builders--> rows | rows <--SQL-- the systems

The database itself brings both sides into one form (char padding, numerics, dates), so equal means equal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from connectors.described import DESCRIBED
from connectors.sink import View
from connectors.table import Root, System
from tests.faults.expected import Expected

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
Rows: TypeAlias = set[tuple[str | None, ...]]

SYSTEMS = DESCRIBED

COMPARE = """
with wanted as (select {columns} from jsonb_populate_recordset(null::{table}, %(rows)s)),
     held as (select {columns} from {table} where {reference} is not null and {reference}::text <> all(%(ignored)s))
(select 'lacks', to_jsonb(w) from (select * from wanted except select * from held) w)
union all
(select 'has besides', to_jsonb(h) from (select * from held except select * from wanted) h)
"""

LISTINGS = """
select cred_provider_ref::text, cred_location_ref::text, payer_name, network_name, group_name, specialty_nucc,
       telehealth_cd, listed_from::text
from dir_listing join dir_provider using (dir_provider_id) join dir_location using (dir_location_id)
join dir_network using (network_id) where listed_to is null or listed_to > current_date
"""
AFFILIATIONS = """
select cred_ref::text, cred_org_ref::text, eff_dt::text, end_dt::text
from bil_affiliation join bil_rendering using (rend_id) join bil_billing_entity using (be_id)
where end_dt is null or end_dt > current_date
"""


def differences(system: str, connection: Connection, wanted: Iterable[Expected]) -> list[str]:
    """What `system` lacks or has besides; empty when it equals the master."""
    mine = [each for each in wanted if each.kind in SYSTEMS[system].roots]
    found = [
        line
        for kind, root in SYSTEMS[system].roots.items()
        for line in _roots(SYSTEMS[system], root, connection, [each for each in mine if each.kind == kind])
    ]
    if system in CHILDREN:
        query, rows = CHILDREN[system]
        shown = [
            e.views[system]
            for e in mine
            if e.kind == "provider" and system in e.views and system not in e.withdrawn
        ]
        kept = {
            e.entity_id for e in mine if system in e.held
        }  # on hold: it keeps what it had, whatever that is
        there = {row for row in connection.execute(query) if row[0] not in kept}
        found += _apart(system, {row for view in shown for row in rows(view)}, there)
    return found


def _roots(system: System, root: Root, connection: Connection, wanted: list[Expected]) -> Iterator[str]:
    """A withdrawn entity's root row keeps its last names: only its children must be gone. On hold all is kept."""
    shown = [
        e.views[system.name] for e in wanted if system.name in e.views and system.name not in e.withdrawn
    ]
    rows = [system.build(view).root for view in shown]
    ignored = [each.entity_id for each in wanted if system.name in each.withdrawn | each.held]
    query = sql.SQL(COMPARE).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, root.columns)),
        table=sql.Identifier(root.table),
        reference=sql.Identifier(root.reference),
    )
    parameters = {"rows": json.dumps(rows), "ignored": ignored}
    for how, row in connection.execute(query, parameters):
        yield f"{system.name} {how} {root.table} {row}"


def _apart(system: str, wanted: Rows, held: Rows) -> list[str]:
    lacking = [f"{system} lacks {row}" for row in sorted(wanted - held, key=repr)]
    return lacking + [f"{system} has besides {row}" for row in sorted(held - wanted, key=repr)]


def listings(view: View) -> Rows:
    """(provider, location, payer, network, what is said of it) of a directory view."""
    names = ("location_id", "payer", "network", "group_name", "specialty_nucc", "telehealth", "listed_from")
    return {(view.entity_id, *(row[name] for name in names)) for row in view.content["listings"]}


def affiliations(view: View) -> Rows:
    """(provider, organization, from, to) of a billing view."""
    names = ("organization_id", "effective_from", "effective_to")
    return {(view.entity_id, *(row[name] for name in names)) for row in view.content["affiliations"]}


CHILDREN: Mapping[str, tuple[str, Callable[[View], Rows]]] = {
    "directory": (LISTINGS, listings),
    "billing": (AFFILIATIONS, affiliations),
}

MARKED = {
    "directory": "select cred_provider_ref::text, last_name from dir_provider where cred_provider_ref is not null",
    "enrollment": "select cred_ref::text, prov_last from enr_provider where cred_ref is not null",
    "billing": "select cred_ref::text, last_nm from bil_rendering where cred_ref is not null",
}
"""system -> provider and the mark in its name."""

REVISIONS = """
select kind, entity_id, revision from concord_applied
union all select kind, entity_id, revision from concord_pending where waits_for = ''
"""
# Every revision a target moved to, so that an order turned round cannot hide behind a right end.
WATCH = """
create table if not exists turned_round (kind text, entity_id text, before bigint, after bigint);
create or replace function watch() returns trigger language plpgsql security definer as $$ begin
    if new.revision <= old.revision then
        insert into turned_round values (new.kind, new.entity_id, old.revision, new.revision);
    end if;
    return new;
end $$;
create or replace trigger watch after update on concord_applied for each row execute function watch();
"""
TURNED_ROUND = "select kind, entity_id, before, after from turned_round"
