"""Whatever people do in the systems and in the master: once it is quiet, every system holds its view, or an open
finding says why not; nobody is shown where the gates have taken them out (invariants 10 and 12)."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.envelope import Change
from streams.core import parity
from streams.core.gate import Hold, Withdraw
from streams.operate.rehearsal import Target
from streams.operate.sandbox import Sandbox

TARGETS = ("directory", "enrollment", "billing")
FIRST_DAY = 20_605
"""2026-06-01"""
TABLES: dict[str, tuple[str, str]] = {
    "dir_provider": ("directory", "dir_provider_id"),
    "dir_listing": ("directory", "listing_id"),
    "enr_provider": ("enrollment", "enr_provider_id"),
    "enrollment": ("enrollment", "enrollment_id"),
    "bil_rendering": ("billing", "rend_id"),
    "bil_affiliation": ("billing", "ba_id"),
}
EDITS: dict[str, dict[str, list[Any]]] = {
    "dir_provider": {"credential_text": ["DO", "MD"], "npi_number": ["1407071236"], "langs": [["fr"]]},
    "dir_listing": {
        "listed_to": [None, "2026-06-01"],
        "group_name": ["Another"],
        "verified_on": ["2025-10-01", "2026-06-02"],
        "accepting_cd": ["newpt", None],
        "accepting_notes": ["AE5836727", None],
    },
    "enr_provider": {"prov_last": ["Other"], "lic_no": ["1"]},
    "enrollment": {
        "group_tax_id": ["990000001"],
        "group_npi": ["1407071236"],
        "state": ["ready", "active", "terminated"],
    },
    "bil_rendering": {"last_nm": ["OTHER"]},
    "bil_affiliation": {"end_dt": [None, "2026-06-01"], "eff_dt": ["2021-01-01"]},
}
MASTER: dict[str, dict[str, list[Any]]] = {
    "provider": {"status": ["active", "terminated"], "last_name": ["Sample"], "degree": ["DO"]},
    "provider_location": {"location_id": ["c1", "c2"], "effective_to": [None, "2026-06-01"]},
    "organization": {"tin": ["120000001", "120000003"]},
    "network_participation": {"par_status": ["par", "terminated"]},
}
ROWS: dict[str, dict[str, Any]] = {
    "organization": {"org_id": "g1", "npi": "1245319599", "legal_name": "Example Group", "tin": "120000001"},
    "provider": {
        "provider_id": "ann", "npi": "1234567893", "first_name": "Ann", "last_name": "Example", "degree": "MD",
        "status": "active",
    },
    "provider_location": {
        "id": "p1", "provider_id": "ann", "location_id": "c1", "is_primary": True, "effective_from": "2020-01-01",
    },
    "taxonomy": {"taxonomy_id": "t1", "provider_id": "ann", "nucc_code": "207Q00000X", "is_primary": True},
    "affiliation": {
        "affiliation_id": "a1", "provider_id": "ann", "org_id": "g1", "role": "member", "bills_under": True,
        "effective_from": "2020-01-01",
    },
    "network_participation": {
        "id": "n1", "provider_id": "ann", "payer": "Fernhollow", "product": "PPO", "network": "Choice",
        "par_status": "par", "effective": "2021-01-01",
    },
}  # fmt: skip
PLACES = [
    {
        "location_id": name,
        "org_id": "g1",
        "name": f"Clinic {name}",
        "line1": "1 St",
        "city": "X",
        "state": "IL",
    }
    for name in ("c1", "c2")
]
ENROLLED = {
    "enrollment_id": 1, "enr_provider_id": 1, "svc_loc_ref": "c1", "group_npi": "1245319599",
    "group_tax_id": "120000001", "payer_id": 1, "product_id": 1, "state": "active",
}  # fmt: skip


def cells(known: dict[str, dict[str, list[Any]]]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.sampled_from(sorted(known)).flatmap(
        lambda table: st.tuples(
            st.just(table),
            st.sampled_from(sorted(known[table])).flatmap(
                lambda column: st.sampled_from(known[table][column]).map(lambda value: {column: value})
            ),
        )
    )


DELETED = st.tuples(
    st.sampled_from(["dir_provider", "dir_listing", "enr_provider", "bil_rendering", "bil_affiliation"]),
    st.none(),
)
STEPS = st.lists(cells(EDITS) | cells(EDITS) | cells(MASTER) | DELETED, min_size=1, max_size=7)


def start(folder: str) -> Sandbox:
    sandbox = Sandbox(Path(folder), TARGETS)
    sandbox.at(FIRST_DAY)
    places = [Change("practice_location", dict(place)) for place in PLACES]
    sandbox.snapshot([*places, *(Change(table, dict(row)) for table, row in ROWS.items())])
    sandbox.commit([Change("provider", {**ROWS["provider"], "sex": "F"}, "u")])
    sandbox.edit("enrollment", "enrollment", ENROLLED)
    return sandbox


def act(sandbox: Sandbox, master: dict[str, dict[str, Any]], table: str, row: dict[str, Any] | None) -> None:
    if table in master:
        master[table] |= row or {}
        sandbox.commit([Change(table, dict(master[table]), "u")])
        return
    system, key = TABLES[table]
    target = sandbox.targets[system]
    assert isinstance(target, Target)
    there = [number for name, number in target.rows if name == table]
    if there:
        sandbox.edit(system, table, {key: max(there), **(row or {})}, delete=row is None)


def shown(sandbox: Sandbox) -> list[int]:
    """Listings that patients see of somebody whom the directory has a row of."""
    target = sandbox.targets["directory"]
    assert isinstance(target, Target)
    return [
        number
        for (table, number), row in target.rows.items()
        if table == "dir_listing" and not (row.get("listed_to") and row["listed_to"] <= target.today)
    ]


@given(STEPS)
@settings(max_examples=60)
def test_once_it_is_quiet_every_system_holds_its_view_or_a_finding_says_why_not(
    steps: list[tuple[str, dict[str, Any] | None]],
) -> None:
    with TemporaryDirectory() as folder:
        sandbox = start(folder)
        master = {table: dict(row) for table, row in ROWS.items()}
        try:
            for number, (table, row) in enumerate(steps, 1):
                sandbox.at(FIRST_DAY + number)
                act(sandbox, master, table, row)
            assert_settled(sandbox)
        finally:
            sandbox.close()


def assert_settled(sandbox: Sandbox) -> None:
    entity, verdicts = sandbox.entity("provider/ann"), sandbox.verdicts("provider/ann")
    assert entity is not None
    assert verdicts is not None
    assert not {s for s, p in entity.parity.items() if p.state in (parity.UNEXPLAINED, parity.IN_FLIGHT)}
    if isinstance(verdicts["directory"], Withdraw):
        assert shown(sandbox) == []
    if not isinstance(verdicts["enrollment"], Hold):
        assert not [key for key in entity.findings if key.startswith("enrollment.group_differs")]
