"""The five reference systems on a real PostgreSQL: applied twice, guarded by grants, published as mapped, loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql

from connectors import systems
from connectors.credentialing import load, story
from connectors.event import Event
from connectors.systems import SYSTEMS
from schemas.catalog import load_mapping
from streams.errors import EnvironmentFault, InvalidInput
from tests.fixtures.databases import Database, NewDatabase

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "nppes_sample.csv"
UNKNOWN = UUID(int=0)

each_system = pytest.mark.parametrize("system", list(SYSTEMS))

# Statements that need no rows: PostgreSQL checks rights before it looks.
REFUSED_TO_CAPTURE = [
    ("credentialing", "select ssn from provider"),
    ("credentialing", "select * from provider"),
    ("credentialing", "update provider set npi = null"),
    ("credentialing", "insert into license (provider_id) values (gen_random_uuid())"),
    ("credentialing", "delete from provider"),
    ("credentialing", "select view from concord_pending"),
    ("enrollment", "select payload from roster_row"),
    ("enrollment", "select control_no from roster_submission"),
    ("directory", "select question from dir_inquiry"),
    ("directory", "update dir_listing set listed_to = current_date"),
    ("billing", "select * from concord_offset"),
    ("stewardship", "select detail from audit"),
    ("stewardship", "delete from concord_signal"),
]
REFUSED_TO_ADAPTER = [
    ("credentialing", "select ssn from provider"),
    ("credentialing", "update provider set npi = null"),
    ("enrollment", "update enrollment set payer_prov_id = 'x'"),
    ("enrollment", "update enrollment set state = 'active'"),
    ("enrollment", "update enrollment set par_status = 'P'"),
    ("enrollment", "update enrollment set payer_eff = current_date"),
    ("enrollment", "insert into enrollment (enr_provider_id, payer_id) values (1, 1)"),
    ("enrollment", "delete from enr_provider"),
    ("enrollment", "update payer set name = 'x'"),
    ("directory", "update dir_listing set accepting_cd = 'newpt'"),
    ("directory", "update dir_listing set accepting_notes = 'x'"),
    ("directory", "update dir_listing set verified_on = current_date"),
    ("directory", "update dir_listing set unverified_ind = false"),
    (
        "directory",
        "insert into dir_listing (dir_provider_id, dir_location_id, network_id, accepting_cd)"
        " values (1, 1, 1, 'newpt')",
    ),
    ("directory", "update dir_location set url = 'x'"),
    ("directory", "delete from dir_listing"),
    ("directory", "insert into dir_network (payer_name, network_name) values ('x', 'x')"),
    ("directory", "insert into dir_attestation (dir_provider_id, attested_by) values (1, 'x')"),
    ("billing", "update bil_billing_entity set remit_addr = '{}'"),
    ("billing", "update bil_billing_entity set addr1 = 'x'"),
    ("billing", "update bil_service_location set pos_cd = '11'"),
    ("billing", "insert into bil_service_location (facility_nm, pos_cd) values ('x', '11')"),
    ("billing", "delete from bil_affiliation"),
    ("billing", "update bil_claim set status = 'held'"),
    ("billing", "update bil_provider_payer set payer_prov_id = 'x'"),
    (
        "stewardship",
        "insert into ruling (kind, entity_id, decision, ruled_by) values ('provider', 'x', 'lock', 'x')",
    ),
]


@pytest.fixture
def credentialing(database: NewDatabase) -> Database:
    return database("credentialing")


def rows(dsn: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return connection.execute(query, values).fetchall()


def execute(dsn: str, *statements: str) -> None:
    with psycopg.connect(dsn) as connection:
        for statement in statements:
            connection.execute(statement)


@each_system
def test_a_system_may_be_applied_again_without_losing_rows(database: NewDatabase, system: str) -> None:
    found = database(system)
    heard: list[str] = []
    before = _everything(found.dsn)
    applied = systems.apply(found.dsn, system, heard.append)
    assert applied[:3] == [f"{system}/schema.sql", "connectors/concord.sql", f"{system}/capture.sql"]
    assert len(heard) == len(applied)
    assert _everything(found.dsn) == before


def test_a_database_is_created_once(database: NewDatabase) -> None:
    found = database("billing")
    assert systems.create_database(found.dsn, found.name) is False


def test_an_unknown_system_is_refused_and_the_known_ones_are_named(credentialing: Database) -> None:
    with pytest.raises(InvalidInput, match="payroll") as refused:
        systems.apply(credentialing.dsn, "payroll")
    assert "stewardship" in refused.value.next_step


def test_a_role_without_rights_cannot_apply(database: NewDatabase) -> None:
    found = database("directory")
    with pytest.raises(EnvironmentFault, match=r"directory/schema\.sql"):
        systems.apply(found.adapter, "directory")


@each_system
def test_invariant_11_capture_is_refused_what_is_not_mapped(database: NewDatabase, system: str) -> None:
    assert _permitted(database(system).capture, REFUSED_TO_CAPTURE, system) == []


@each_system
def test_invariant_9_an_adapter_is_refused_what_its_system_owns(database: NewDatabase, system: str) -> None:
    assert _permitted(database(system).adapter, REFUSED_TO_ADAPTER, system) == []


@each_system
def test_capture_reads_every_mapped_column_beats_and_signals(database: NewDatabase, system: str) -> None:
    found = database(system)
    reads = [
        f"select {', '.join(t.captured)} from {t.qualified}" for t in load_mapping(system).tables.values()
    ]
    execute(
        found.capture,
        *reads,
        "select kind, entity_id, local_id, revision, view_hash, applied_at from concord_applied",
        "update concord_heartbeat set at = now()",
        "insert into concord_signal (id, type, data) values ('1', 'log', '{}')",
        "select id, type, data from concord_signal",
    )


@each_system
def test_an_adapter_keeps_its_books(database: NewDatabase, system: str) -> None:
    execute(
        database(system).adapter,
        "insert into concord_applied (kind, entity_id, local_id, revision, view_hash)"
        " values ('provider', 'p', '1', 1, 'h')",
        "update concord_applied set revision = 2",
        "insert into concord_pending values ('provider', 'p', 1, '{}', 'location/x')",
        "delete from concord_pending",
        "insert into concord_request (request_id, kind, entity_id, field, outcome) values ('r','provider','p','f','x')",
        "insert into concord_offset values ('t', 0, 'id', 5)",
        "update concord_offset set next_offset = 6",
        "delete from concord_applied",
    )


def test_a_listing_starts_unverified_and_says_nothing_about_new_patients(database: NewDatabase) -> None:
    found = database("directory")
    execute(
        found.adapter,
        "insert into dir_provider (dir_provider_id) select nextval('dir_provider_dir_provider_id_seq')",
        "insert into dir_location (dir_location_id) select nextval('dir_location_dir_location_id_seq')",
        "insert into dir_listing (dir_provider_id, dir_location_id, network_id, listed_from)"
        " select 1, 1, min(network_id), current_date from dir_network",
        "update dir_listing set listed_to = current_date",
    )
    query = "select accepting_cd, verified_on, verification_status, unverified_ind from dir_listing"
    assert rows(found.dsn, query) == [(None, None, "incomplete", True)]


def test_one_listing_a_provider_location_and_network_is_current(database: NewDatabase) -> None:
    found = database("directory")
    listing = """
        insert into dir_listing (dir_provider_id, dir_location_id, network_id)
        select dir_provider_id, dir_location_id, (select min(network_id) from dir_network)
        from dir_provider, dir_location"""
    ended = "update dir_listing set listed_to = current_date"
    roots = ("insert into dir_provider default values", "insert into dir_location default values")
    execute(found.dsn, *roots, listing, ended, listing)
    with pytest.raises(psycopg.errors.UniqueViolation, match="dir_listing_current"):
        execute(found.dsn, listing)


@pytest.mark.parametrize(
    ("system", "table", "column"),
    [
        ("enrollment", "enr_provider", "cred_ref"),
        ("directory", "dir_provider", "cred_provider_ref"),
        ("directory", "dir_location", "cred_location_ref"),
        ("billing", "bil_rendering", "cred_ref"),
        ("billing", "bil_billing_entity", "cred_org_ref"),
        ("billing", "bil_service_location", "cred_location_ref"),
    ],
)
def test_a_cross_reference_is_unique_once_it_is_known(
    database: NewDatabase, system: str, table: str, column: str
) -> None:
    found = database(system)
    unmatched = f"insert into {table} default values"
    matched = f"insert into {table} ({column}) values ('{UNKNOWN}')"
    execute(found.dsn, unmatched, unmatched, matched)
    with pytest.raises(psycopg.errors.UniqueViolation):
        execute(found.dsn, matched)


@each_system
def test_the_publication_sends_the_mapped_columns_and_never_a_restricted_one(
    database: NewDatabase, system: str
) -> None:
    found = database(system)
    sent = dict(
        rows(
            found.dsn,
            "select tablename, attnames::text[] from pg_publication_tables where pubname = 'concord'",
        )
    )
    mapping = load_mapping(system)
    assert set(sent) == {
        *mapping.tables,
        "concord_applied",
        "concord_canary",
        "concord_signal",
        "concord_heartbeat",
    }
    for name, table in mapping.tables.items():
        assert set(sent[name]) == set(table.captured), name


@each_system
def test_a_delete_tells_row_and_entity(database: NewDatabase, system: str) -> None:
    query = """
        select c.relname, array_agg(a.attname::text order by a.attname::text)
        from pg_class c join pg_index i on i.indrelid = c.oid and i.indisreplident
        join pg_attribute a on a.attrelid = c.oid and a.attnum = any(i.indkey)
        where c.relreplident = 'i' group by c.relname"""
    found = dict(rows(database(system).dsn, query))
    expected = {name: sorted(table.key) for name, table in load_mapping(system).tables.items()}
    assert found == {**expected, "concord_applied": ["entity_id", "kind", "local_id"]}


def test_the_audit_only_grows(database: NewDatabase) -> None:
    found = database("stewardship")
    execute(found.dsn, "insert into audit (actor, action, hash) values ('x', 'x', 'x')")
    for statement in ("update audit set actor = 'y'", "delete from audit", "truncate audit"):
        with pytest.raises(psycopg.errors.RaiseException, match="audit only grows"):
            execute(found.dsn, statement)


def test_generated_providers_are_loaded_once(credentialing: Database) -> None:
    heard: list[str] = []
    first = load.load_generated(credentialing.dsn, 300, 7, heard.append)
    again = load.load_generated(credentialing.dsn, 300, 7)
    assert (first.bundles, first.rows["provider"], again.rows.total()) == (300, 300, 0)
    assert heard
    for table, count in first.rows.items():
        query = sql.SQL("select count(*) from {}").format(sql.Identifier(table)).as_string()
        assert rows(credentialing.dsn, query) == [(count,)], table


def test_a_providers_rows_are_loaded_in_one_transaction(credentialing: Database) -> None:
    load.load_generated(credentialing.dsn, 450, 7)
    query = """
        select count(distinct p.xmin::text), count(*) filter (where p.xmin <> l.xmin)
        from provider p join license l using (provider_id)"""
    assert rows(credentialing.dsn, query) == [(3, 0)]


def test_loading_into_a_database_without_the_schema_says_what_to_do(database: NewDatabase) -> None:
    with pytest.raises(EnvironmentFault, match="organization") as refused:
        load.load_generated(database("billing").dsn, 1, 7)
    assert "systems apply" in refused.value.next_step


def test_the_nppes_sample_is_loaded_once_and_the_deactivated_are_counted(credentialing: Database) -> None:
    if not SAMPLE.exists():
        pytest.skip("the public NPPES sample is not beside the project (../shared/data/nppes_sample.csv)")
    first = load.load_nppes(credentialing.dsn, SAMPLE)
    again = load.load_nppes(credentialing.dsn, SAMPLE, limit=10)
    assert (first.rows["provider"], first.rows["organization"], first.skipped) == (
        377,
        80,
        {"deactivated": 2},
    )
    assert (again.bundles, again.rows.total()) == (10, 0)


def test_a_missing_nppes_file_is_invalid_input(credentialing: Database, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nothing\.csv"):
        load.load_nppes(credentialing.dsn, tmp_path / "nothing.csv")


def test_the_story_can_be_told_twice_and_names_what_it_touched(credentialing: Database) -> None:
    load.load_generated(credentialing.dsn, 100, 7)
    tell = (
        story.move_practice,
        story.renew_license,
        story.hire,
        story.terminate,
        story.clinic_moves,
        story.lapse,
        story.suspend,
    )
    with psycopg.connect(credentialing.dsn, autocommit=True) as connection:
        for event in [happen(connection) for _ in range(2) for happen in tell]:
            assert event.kind in ("provider", "location")
            for table in event.tables:
                assert _rows_of(connection, table, event), event


def test_a_move_ends_one_location_today_and_begins_another_today(credentialing: Database) -> None:
    load.load_generated(credentialing.dsn, 60, 7)
    with psycopg.connect(credentialing.dsn, autocommit=True) as connection:
        event = story.move_practice(connection)
        query = """
            select effective_to = current_date, effective_from = current_date, is_primary
            from provider_location where provider_id = %s"""
        found = connection.execute(query, [event.key]).fetchall()
    assert (True, False, False) in found
    assert (None, True, True) in found


def test_who_is_suspended_is_whose_licence_lapsed(credentialing: Database) -> None:
    load.load_generated(credentialing.dsn, 60, 7)
    with psycopg.connect(credentialing.dsn, autocommit=True) as connection:
        lapsed, suspended = story.lapse(connection), story.suspend(connection)
        assert suspended.key == lapsed.key
        found = connection.execute(
            "select status, expires < current_date from license where provider_id = %s", [lapsed.key]
        ).fetchall()
    assert found == [("expired", True)]


def test_the_story_needs_providers(credentialing: Database) -> None:
    with (
        psycopg.connect(credentialing.dsn, autocommit=True) as connection,
        pytest.raises(InvalidInput) as refused,
    ):
        story.move_practice(connection)
    assert refused.value.code == "story.nobody"


def _permitted(dsn: str, statements: list[tuple[str, str]], system: str) -> list[str]:
    """Those of the system's statements that the role of `dsn` is not refused."""
    mine = [statement for name, statement in statements if name == system]
    assert mine
    return [statement for statement in mine if not _refused(dsn, statement)]


def _refused(dsn: str, statement: str) -> bool:
    try:
        execute(dsn, statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def _everything(dsn: str) -> dict[str, int]:
    tables = [name for (name,) in rows(dsn, "select tablename from pg_tables where schemaname = 'public'")]
    count = sql.SQL("select count(*) from {}")
    return {name: rows(dsn, count.format(sql.Identifier(name)).as_string())[0][0] for name in sorted(tables)}


def _rows_of(connection: psycopg.Connection, table: str, event: Event) -> list[tuple[Any, ...]]:
    """The table's rows of the entity."""
    query = sql.SQL("select 1 from {} where {} = %s").format(
        sql.Identifier(table), sql.Identifier(f"{event.kind}_id")
    )
    return connection.execute(query, [event.key]).fetchall()
