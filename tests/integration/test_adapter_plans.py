"""What the adapters' statements cost a system that has grown: one provider's view looks up rows, it reads no table."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from psycopg import Connection

from connectors import statement
from connectors.described import DESCRIBED
from tests.fixtures.databases import NewDatabase

PROVIDERS = 1_200
EACH = 2
"""rows below each of them"""

FILLED = {
    "directory": f"""
        insert into dir_location (cred_location_ref) select md5('place ' || n)::uuid from generate_series(1, {EACH}) n;
        insert into dir_provider (cred_provider_ref, npi_number, last_name, first_name, display_name)
        select md5('provider ' || n)::uuid, '1' || lpad(n::text, 9, '0'), 'Fernhollow', 'Wren', 'Wren Fernhollow'
        from generate_series(1, {PROVIDERS}) n;
        insert into dir_listing (dir_provider_id, dir_location_id, network_id, listed_from)
        select dir_provider_id, dir_location_id, 1, '2024-01-01' from dir_provider, dir_location""",
    "billing": f"""
        insert into bil_billing_entity (cred_org_ref, billing_npi, tax_id, legal_nm)
        select md5('group ' || n)::uuid, '1' || lpad(n::text, 9, '0'), '121234567', 'Alder Creek'
        from generate_series(1, {EACH}) n;
        insert into bil_rendering (cred_ref, rendering_npi, last_nm, first_nm)
        select md5('provider ' || n)::uuid, '1' || lpad(n::text, 9, '0'), 'Fernhollow', 'Wren'
        from generate_series(1, {PROVIDERS}) n;
        insert into bil_affiliation (rend_id, be_id, eff_dt)
        select rend_id, be_id, '2024-01-01' from bil_rendering, bil_billing_entity""",
    "enrollment": f"""
        insert into payer (name, payer_code) select 'Spare ' || n, 'SPARE' || n from generate_series(1, {EACH}) n;
        insert into enr_provider (cred_ref, prov_npi, prov_last, prov_first)
        select md5('provider ' || n)::uuid, '1' || lpad(n::text, 9, '0'), 'Fernhollow', 'Wren'
        from generate_series(1, {PROVIDERS}) n;
        insert into enrollment (enr_provider_id, payer_id, svc_loc_ref)
        select enr_provider_id, payer_id, 'here' from enr_provider, payer""",
}


@pytest.mark.parametrize("system", FILLED)
def test_one_providers_view_reads_no_table_below_from_end_to_end(system: str, database: NewDatabase) -> None:
    """The planner takes a function for 100 rows, and for so many it read the whole table with every batch."""
    below = DESCRIBED[system].children["provider"]
    with database(system).connect() as user:
        user.execute(FILLED[system])
        user.execute("analyze")
        [(parent,)] = user.execute(f"select max({below.parent}) from {below.table}").fetchall()
        row = dict.fromkeys(below.fields) | {below.parent: parent}
        asked = {"roots": json.dumps([{"local_id": parent, "withdrawn": False}]), "rows": json.dumps([row])}
        for text in below.statements:
            assert below.table not in read_whole(user, text, asked), text
        assert below.table not in read_whole(user, statement.lock(below), {"ids": [parent]})


def read_whole(user: Connection[Any], text: str, asked: Mapping[str, Any]) -> set[str]:
    """The tables that a statement would read from end to end."""
    [(found,)] = user.execute(f"explain (format json) {text}", asked).fetchall()
    return {node["Relation Name"] for node in nodes(found[0]["Plan"]) if node["Node Type"] == "Seq Scan"}


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)
