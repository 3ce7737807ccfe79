"""The shipped catalogue and mappings: complete, consistent, and the SQL of each system agrees with them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import Raw

from connectors.reference.sources import SOURCES
from connectors.systems import HERE, SYSTEMS
from schemas.catalog import Mapping, Table, load_catalog, load_mapping, load_mappings
from streams.core.canonical import Provider
from streams.core.columns import Column, TableDecoder
from streams.core.columns import Table as SourceTable
from streams.errors import InvalidInput

# Tables that never leave, as the domain pages and the schemas say; every other table must be mapped.
NOT_CAPTURED: dict[str, set[str]] = {
    "enrollment": {"roster_submission", "payer_ack", "payer_response_unmatched", "recon_unmatched"},
    "directory": {"dir_inquiry"},
    "stewardship": {"audit", "handling"},
}
# Columns that never leave although their table does.
KEPT_BACK = {("credentialing", "provider"): {"ssn"}, ("enrollment", "roster_row"): {"payload"}}
LOGS = {
    "enrollment_event",
    "roster_row",
    "payer_response_row",
    "dir_publication",
    "bil_claim",
    "bil_claim_hold",
    "bil_denial",
    "malpractice_claim",
}
CONCORDS_OWN = ["concord_applied", "concord_canary", "concord_signal", "concord_heartbeat"]
# Tables of concord.sql that are captured like a system's own.
ANSWERS = {"credentialing": {"concord_request"}}

each_system = pytest.mark.parametrize("system", list(SYSTEMS))
each_table = pytest.mark.parametrize(
    ("mapping", "table"),
    [(m, t) for m in load_mappings().values() for t in m.tables.values()],
    ids=lambda value: value.name if isinstance(value, Table) else value.system,
)


def sql(system: str, file: str) -> str:
    text = (HERE / system / f"{file}.sql").read_text(encoding="utf-8")
    return re.sub(r"--.*", "", text)


def schema_of(system: str) -> str:
    """The system's own tables, and Concord's that are captured there."""
    concord = re.sub(r"--.*", "", (HERE / "concord.sql").read_text(encoding="utf-8"))
    statements = (f"{found.strip()};\n" for found in concord.split(";"))
    wanted = ANSWERS.get(system, ())
    return sql(system, "schema") + "".join(s for s in statements if any(f" {name} " in s for name in wanted))


def columns_of(system: str) -> dict[str, list[str]]:
    """table -> columns, read from the reference schema."""
    tables = re.findall(r"create table if not exists (\w+) \(\s*\n(.*?)\n\);", schema_of(system), re.DOTALL)
    constraint = {"unique", "primary", "check", "foreign"}
    return {
        name: [word for word in re.findall(r"^    (\w+)", body, re.MULTILINE) if word not in constraint]
        for name, body in tables
    }


def published(system: str) -> dict[str, list[str]]:
    """table -> column list (empty: all columns)."""
    body = re.search(r"alter publication concord set table(.*?);", sql(system, "capture"), re.DOTALL)
    assert body
    entries = re.findall(r"(\w+)(?:\s*\(([^)]*)\))?\s*(?:,|$)", body[1].strip())
    return {table: re.findall(r"\w+", columns) for table, columns in entries}


def granted(system: str, role: str, right: str) -> dict[str, set[str]]:
    """table -> columns a role may use so; "*" is the whole table."""
    found: dict[str, set[str]] = {}
    for what, tables, to in re.findall(r"grant ([^;]*?)\son\s([^;]*?)\sto\s+(\w+);", sql(system, "capture")):
        if to != role or tables.startswith(("sequence", "schema")):
            continue
        for name, columns in re.findall(r"(select|insert|update|delete)\s*(?:\(([^)]*)\))?", what):
            if name == right:
                for table in re.findall(r"\w+", tables):
                    found.setdefault(table, set()).update(re.findall(r"\w+", columns) or ["*"])
    return found


def test_every_system_has_a_mapping() -> None:
    assert set(load_mappings()) == set(SYSTEMS)


def test_every_canonical_field_is_held_by_some_system_or_said_by_a_witness() -> None:
    claimed = {t.target(c) for m in load_mappings().values() for t in m.tables.values() for c in t.columns}
    witnessed = {name for source in SOURCES.values() for name in (source.record, source.search)}
    fields = {(r.name, field) for r in load_catalog().records.values() for field in r.fields}
    assert {(record, field) for record, field in fields if record not in witnessed} == claimed


@each_system
def test_every_captured_table_and_column_is_mapped_and_exists(system: str) -> None:
    schema, mapping = columns_of(system), load_mapping(system)
    assert set(mapping.tables) == set(schema) - NOT_CAPTURED.get(system, set())
    for name, table in mapping.tables.items():
        assert set(table.captured) == set(schema[name]) - KEPT_BACK.get((system, name), set()), name


@each_table
def test_log_tables_are_the_growing_ones(mapping: Mapping, table: Table) -> None:
    assert (table.mode == "log") == (table.name in LOGS)


@each_system
def test_the_publication_holds_the_mapped_tables_and_concords_own(system: str) -> None:
    assert sorted(published(system)) == sorted([*load_mapping(system).tables, *CONCORDS_OWN])


@each_table
def test_a_column_list_stands_exactly_on_tables_with_restricted_columns(
    mapping: Mapping, table: Table
) -> None:
    catalog = load_catalog()
    fields = [catalog.field(*table.target(column)) for column in table.columns]
    restricted = (
        any(field and field.cls == "S1" for field in fields) or (mapping.system, table.name) in KEPT_BACK
    )
    assert sorted(published(mapping.system)[table.name]) == (sorted(table.captured) if restricted else [])


@each_table
def test_capture_may_read_exactly_the_mapped_columns(mapping: Mapping, table: Table) -> None:
    assert granted(mapping.system, "concord_capture", "select")[table.name] == set(table.captured)


@each_system
def test_capture_writes_only_heartbeat_and_signals(system: str) -> None:
    assert granted(system, "concord_capture", "update") == {"concord_heartbeat": {"at"}}
    assert granted(system, "concord_capture", "insert") == {"concord_signal": {"id", "type", "data"}}
    assert granted(system, "concord_capture", "delete") == {}


@each_table
def test_the_replica_identity_is_the_index_on_row_and_entity(mapping: Mapping, table: Table) -> None:
    statement = re.search(
        rf"alter table {table.name} replica identity using index (\w+);", sql(mapping.system, "capture")
    )
    assert statement
    if table.entity == table.row:
        assert statement[1] == f"{table.name}_pkey"
        return
    schema = schema_of(mapping.system)
    assert (
        f"create unique index if not exists {statement[1]} on {table.name} ({table.row}, {table.entity});"
        in schema
    )


@each_system
def test_an_adapter_deletes_only_its_own_bookkeeping(system: str) -> None:
    deletable = granted(system, f"concord_adapter_{system}", "delete")
    assert set(deletable) == {
        "concord_applied",
        "concord_pending",
        "concord_request",
        "concord_offset",
        "concord_shape",
    }


@pytest.mark.parametrize(
    ("system", "table", "owned"),
    [
        (
            "directory",
            "dir_listing",
            {"accepting_cd", "accepting_notes", "verified_on", "verification_status"},
        ),
        ("directory", "dir_listing", {"unverified_ind"}),
        ("directory", "dir_location", {"url"}),
        (
            "enrollment",
            "enrollment",
            {"state", "par_status", "payer_eff", "payer_prov_id", "payer_loc_id", "term_dt"},
        ),
        ("billing", "bil_billing_entity", {"remit_addr", "addr1", "billing_taxonomy10"}),
        ("billing", "bil_service_location", {"pos_cd"}),
    ],
)
def test_invariant_9_no_adapter_may_write_what_its_system_owns(
    system: str, table: str, owned: set[str]
) -> None:
    for right in ("insert", "update"):
        writable = granted(system, f"concord_adapter_{system}", right).get(table, set())
        assert not writable & (owned | {"*"})


def test_a_mapping_that_names_the_ssn_is_refused(tmp_path: Path) -> None:
    shipped = HERE.parent / "schemas"
    (tmp_path / "mapping").mkdir()
    (tmp_path / "canonical.toml").write_text((shipped / "canonical.toml").read_text(encoding="utf-8"))
    text = (shipped / "mapping" / "credentialing.toml").read_text(encoding="utf-8")
    (tmp_path / "mapping" / "credentialing.toml").write_text(text.replace('npi = "npi"', 'ssn = "npi"', 1))
    with pytest.raises(InvalidInput, match="ssn"):
        load_mapping("credentialing", directory=tmp_path)


def test_one_field_may_be_a_text_array_in_one_system_and_jsonb_in_another() -> None:
    mapped = (Column("id", "id", "uuid"), Column("listed", "languages", "json"))
    decoder = TableDecoder(SourceTable("t", "provider", "provider", "id", "id", "state", mapped))
    images = [b'{"id":"x","listed":["en","es"]}', b'{"id":"x","listed":"[\\"en\\",\\"es\\"]"}']
    decoded = [decoder.decode(Raw(image), unavailable=False).values for image in images]
    assert decoded == [Provider(languages=["en", "es"])] * 2
