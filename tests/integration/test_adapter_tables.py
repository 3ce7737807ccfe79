"""What each adapter leaves in its system's tables, and what it never touches (Invariants 8 and 9)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.described import DESCRIBED
from connectors.run import TARGETS
from connectors.sink import Applied, Batch, Deferred, Outcome, Target, View
from connectors.table import System
from streams.errors import EnvironmentFault
from tests import views
from tests.fixtures.databases import Database, NewDatabase

HERE, THERE, GROUP, OTHER_GROUP, PERSON, OTHER = (views.entity(number) for number in range(1, 7))
LISTINGS = """
    select l.cred_location_ref::text, t.accepting_cd, t.listed_to = current_date, t.group_name
    from dir_listing t join dir_location l using (dir_location_id) order by t.listing_id
"""
AFFILIATIONS = """
    select e.cred_org_ref::text, a.eff_dt::text, a.end_dt::text, a.end_dt = current_date
    from bil_affiliation a join bil_billing_entity e using (be_id) order by a.ba_id
"""

Query = Callable[..., list[tuple[Any, ...]]]


class Bench:
    """A system's own database, its adapter, and a user of the system beside it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.target: Target = TARGETS[database.system](database.adapter)
        self.user = database.connect()

    def apply(self, *sent: View) -> list[Outcome]:
        return self.target.apply(Batch(sent))

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self.user.execute(query, values).fetchall()

    def does(self, statement: str, *values: Any) -> None:
        self.user.execute(statement, values)

    def close(self) -> None:
        self.target.close()
        self.user.close()


@pytest.fixture
def bench(database: NewDatabase) -> Iterator[Callable[[str], Bench]]:
    made: list[Bench] = []

    def make(system: str) -> Bench:
        made.append(Bench(database(system)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def listed(revision: int, *places: str, **content: Any) -> View:
    return views.provider(
        "directory", PERSON, revision, listings=[views.listing(p) for p in places], **content
    )


def billed(revision: int, *affiliations: dict[str, Any], **content: Any) -> View:
    return views.provider("billing", PERSON, revision, affiliations=list(affiliations), **content)


@pytest.mark.parametrize("system", DESCRIBED)
def test_the_role_may_write_what_the_adapter_writes_and_not_what_the_system_owns(
    system: str, bench: Callable[[str], Bench]
) -> None:
    """The adapter's own list and the database's grants say the same, column by column."""
    described: System = DESCRIBED[system]
    made = bench(system)
    for table, written in described.written().items():
        columns = {name for (name,) in made.rows(COLUMNS, table)}
        granted = {
            name for name in columns if made.rows(MAY_WRITE, f"concord_adapter_{system}", table, name)[0][0]
        }
        owned = described.owned.get(table, frozenset())
        assert written <= granted, table
        assert not owned & granted, table
        assert columns - written - owned <= {"listing_id", "ba_id"}, table


COLUMNS = "select column_name from information_schema.columns where table_name = %s"
MAY_WRITE = """
    select has_column_privilege(role, place, name, 'insert') or has_column_privilege(role, place, name, 'update')
    from (select %s::text as role, %s::text as place, %s::text as name) as asked
"""


def test_what_the_directory_says_of_accepting_survives_a_newer_view(bench: Callable[[str], Bench]) -> None:
    made = bench("directory")
    made.apply(views.location("directory", HERE), listed(1, HERE))
    made.does("update dir_listing set accepting_cd = 'existptonly', accepting_notes = 'by phone'")
    made.apply(listed(2, HERE, first_name="Robin"))
    made.apply(
        views.provider("directory", PERSON, 3, listings=[views.listing(HERE, group_name="Alder Creek")])
    )
    assert made.rows(LISTINGS) == [(HERE, "existptonly", None, "Alder Creek")]


def test_a_listing_that_is_no_longer_wanted_is_ended_and_comes_back_as_a_new_row(
    bench: Callable[[str], Bench],
) -> None:
    made = bench("directory")
    made.apply(views.location("directory", HERE), views.location("directory", THERE), listed(1, HERE, THERE))
    made.apply(listed(2, THERE))
    made.apply(listed(3, HERE, THERE))
    assert [row[:3] for row in made.rows(LISTINGS)] == [
        (HERE, None, True),
        (THERE, None, None),
        (HERE, None, None),
    ]


@pytest.mark.parametrize(
    "gone",
    [
        listed(2, HERE, status="withdrawn", reason="provider.terminated"),
        views.location("directory", HERE, 2, status="withdrawn"),
    ],
    ids=["provider", "location"],
)
def test_a_withdrawn_provider_or_location_is_listed_nowhere(
    gone: View, bench: Callable[[str], Bench]
) -> None:
    made = bench("directory")
    made.apply(views.location("directory", HERE), listed(1, HERE))
    assert made.apply(gone) == [Applied()]
    assert [row[:3] for row in made.rows(LISTINGS)] == [(HERE, None, True)]
    assert made.rows("select last_name from dir_provider") == [("Fernhollow",)]


def test_a_root_that_a_user_deletes_comes_back_under_its_id_with_what_stands_below(
    bench: Callable[[str], Bench],
) -> None:
    made = bench("directory")
    made.apply(views.location("directory", HERE), listed(1, HERE))
    mine = made.rows("select dir_provider_id, last_name from dir_provider")
    made.does("delete from dir_listing")
    made.does("delete from dir_provider")
    assert made.apply(listed(2, HERE)) == [Applied()]
    assert made.rows("select dir_provider_id, last_name from dir_provider") == mine
    assert [row[:3] for row in made.rows(LISTINGS)] == [(HERE, None, None)]


def test_a_withdrawal_ends_what_is_listed_under_a_row_that_a_user_made_anew(
    bench: Callable[[str], Bench],
) -> None:
    made = bench("directory")
    made.apply(views.location("directory", HERE), listed(1, HERE))
    made.apply(views.view("directory", "provider", PERSON, 2, status="withdrawn", listings=[]))
    made.does("delete from dir_listing")
    made.does("delete from dir_provider")
    made.does(
        """with made as (insert into dir_provider (cred_provider_ref) values (%s) returning dir_provider_id)
        insert into dir_listing (dir_provider_id, dir_location_id, network_id, listed_from)
        select dir_provider_id, dir_location_id, network_id, '2024-01-01'
        from made, dir_location, (select min(network_id) as network_id from dir_network) any_network""",
        PERSON,
    )
    again = views.view("directory", "provider", PERSON, 3, status="withdrawn", listings=[])
    assert made.apply(again) == [Applied()]
    assert [row[:3] for row in made.rows(LISTINGS)] == [(HERE, None, True)]


def test_a_listing_waits_for_a_network_the_directory_has_not_made_yet(bench: Callable[[str], Bench]) -> None:
    made = bench("directory")
    made.does("delete from dir_network")
    made.apply(views.location("directory", HERE))
    assert isinstance(made.apply(listed(1, HERE))[0], Deferred)
    assert made.target.release() == []
    made.does(
        "insert into dir_network (payer_name, plan_name, network_name) values (%s, %s, %s)",
        *(views.PAYER, views.PRODUCT, views.NETWORK),
    )
    assert made.apply(*made.target.release()) == [Applied()]


def test_a_listing_ended_by_a_user_for_a_later_day_is_open_again(bench: Callable[[str], Bench]) -> None:
    made = bench("directory")
    made.apply(views.location("directory", HERE), listed(1, HERE))
    made.does("update dir_listing set listed_to = current_date + 30")
    made.apply(listed(2, HERE))
    assert made.rows("select count(*), max(listed_to) from dir_listing") == [(1, None)]


def test_a_listing_that_begins_later_and_is_dropped_never_was(bench: Callable[[str], Bench]) -> None:
    made = bench("directory")
    later = views.listing(HERE, listed_from="2199-01-01")
    made.apply(views.location("directory", HERE), views.provider("directory", PERSON, 1, listings=[later]))
    made.apply(listed(2))
    assert made.rows("select listed_from = listed_to from dir_listing") == [(True,)]


@pytest.mark.parametrize(
    ("system", "insert", "count"),
    [
        (
            "directory",
            "insert into dir_provider (npi_number) values (%s)",
            "select count(*) from dir_provider",
        ),
        (
            "enrollment",
            "insert into enr_provider (prov_npi) values (%s)",
            "select count(*) from enr_provider",
        ),
        (
            "billing",
            "insert into bil_rendering (rendering_npi) values (%s)",
            "select count(*) from bil_rendering",
        ),
    ],
)
def test_a_root_the_system_already_has_is_found_by_npi_and_linked_once(
    system: str, insert: str, count: str, bench: Callable[[str], Bench]
) -> None:
    made = bench(system)
    made.does(insert, views.npi(1))
    first = views.provider(system, PERSON, npi=views.npi(1))
    made.apply(first, views.provider(system, OTHER, npi=views.npi(1)))
    assert made.rows(count) == [(2,)]
    assert len(made.rows("select distinct local_id from concord_applied")) == 2


def test_a_withdrawal_finds_a_row_we_never_wrote_by_npi_and_keeps_it_for_one_entity(
    bench: Callable[[str], Bench],
) -> None:
    made = bench("billing")
    made.does("insert into bil_rendering (rendering_npi, last_nm) values (%s, 'KEPT')", views.npi(1))
    gone = views.view("billing", "provider", PERSON, 1, status="withdrawn", npi=views.npi(1))
    made.apply(gone)
    made.apply(views.provider("billing", OTHER, npi=views.npi(1)))
    assert made.rows("select last_nm from bil_rendering order by rend_id") == [("KEPT",), ("FERNHOLLOW",)]
    assert len(made.rows("select distinct local_id from concord_applied")) == 2


def test_a_root_is_found_by_its_cross_reference(bench: Callable[[str], Bench]) -> None:
    made = bench("enrollment")
    made.does("insert into enr_provider (cred_ref, prov_last) values (%s, 'Before')", PERSON)
    made.apply(views.provider("enrollment", PERSON))
    assert made.rows("select prov_last from enr_provider") == [("Fernhollow",)]


def test_concord_applied_is_the_first_row_of_its_transaction(bench: Callable[[str], Bench]) -> None:
    """Capture recognises our own rows by it (Invariant 8), so it must precede them in the log."""
    made = bench("directory")
    slot = f"first_{made.database.name}"
    made.rows("select pg_create_logical_replication_slot(%s, 'pgoutput')", slot)
    made.apply(views.location("directory", HERE), listed(1, HERE))
    options = (slot, "1", "concord")
    messages = made.rows(CHANGES, *options)
    names = dict(made.rows("select oid::int, relname from pg_class where relkind = 'r'"))
    written = [
        names[int.from_bytes(bytes(data)[1:5], "big")] for (data,) in messages if bytes(data)[:1] in b"IUD"
    ]
    assert written == ["concord_applied", "dir_location", "concord_applied", "dir_provider", "dir_listing"]


CHANGES = """
    select data from pg_logical_slot_get_binary_changes(%s, null, null, 'proto_version', %s, 'publication_names', %s)
"""


def test_an_equal_view_asserted_again_confirms_without_rewriting(bench: Callable[[str], Bench]) -> None:
    made = bench("directory")
    versions = "select xmin::text from dir_provider union all select xmin::text from dir_listing"
    made.apply(views.location("directory", HERE), listed(1, HERE))
    before = made.rows(versions), made.rows("select view_hash from concord_applied where kind = 'provider'")
    made.apply(listed(2, HERE))
    assert (
        made.rows(versions),
        made.rows("select view_hash from concord_applied where kind = 'provider'"),
    ) == before
    assert made.rows("select revision from concord_applied where kind = 'provider'") == [(2,)]


def test_enrollments_get_their_group_and_nothing_else(bench: Callable[[str], Bench]) -> None:
    made = bench("enrollment")
    made.apply(views.provider("enrollment", PERSON))
    made.does(
        """insert into enrollment (enr_provider_id, svc_loc_ref, payer_id, state, payer_prov_id)
           select enr_provider_id, place, (select min(payer_id) from payer), 'active', 'P-' || place
           from enr_provider, unnest(%s::text[]) place""",
        [HERE, THERE],
    )
    made.apply(views.provider("enrollment", PERSON, 2, groups=[views.group(HERE)]))
    assert made.rows(
        "select svc_loc_ref, group_npi, group_tax_id, state, payer_prov_id from enrollment order by svc_loc_ref"
    ) == [
        (HERE, views.npi(900), "121234567", "active", f"P-{HERE}"),
        (THERE, None, None, "active", f"P-{THERE}"),
    ]


def test_a_withdrawn_provider_keeps_its_enrollments(bench: Callable[[str], Bench]) -> None:
    made = bench("enrollment")
    made.apply(views.provider("enrollment", PERSON))
    made.apply(views.provider("enrollment", PERSON, 2, status="withdrawn", last_name="Rowan"))
    assert made.rows("select prov_last from enr_provider") == [("Rowan",)]


def test_affiliations_follow_the_view_and_are_ended_never_deleted(bench: Callable[[str], Bench]) -> None:
    made = bench("billing")
    made.apply(views.organization(GROUP), views.organization(OTHER_GROUP, npi=views.npi(901)))
    made.apply(billed(1, views.affiliation(GROUP), views.affiliation(OTHER_GROUP)))
    made.apply(billed(2, views.affiliation(GROUP, effective_to="2025-01-01"), views.affiliation(OTHER_GROUP)))
    made.apply(billed(3, views.affiliation(GROUP, effective_to="2025-01-01")))
    first, second = made.rows(AFFILIATIONS)
    assert first[:3] == (GROUP, "2024-01-01", "2025-01-01")
    assert (second[0], second[3]) == (OTHER_GROUP, True)


def test_a_new_period_with_the_same_group_follows_the_old_one(bench: Callable[[str], Bench]) -> None:
    made = bench("billing")
    made.apply(views.organization(GROUP), billed(1, views.affiliation(GROUP)))
    later = views.affiliation(GROUP, effective_from="2025-01-01")
    made.apply(billed(2, views.affiliation(GROUP, effective_to="2024-06-01"), later))
    assert [row[:3] for row in made.rows(AFFILIATIONS)] == [
        (GROUP, "2024-01-01", "2024-06-01"),
        (GROUP, "2025-01-01", None),
    ]


def test_a_withdrawn_provider_bills_under_nobody_from_today(bench: Callable[[str], Bench]) -> None:
    made = bench("billing")
    made.apply(views.organization(GROUP), billed(1, views.affiliation(GROUP)))
    made.apply(billed(2, views.affiliation(GROUP), status="withdrawn"))
    assert [row[3] for row in made.rows(AFFILIATIONS)] == [True]


def test_billings_own_address_and_place_of_service_survive(bench: Callable[[str], Bench]) -> None:
    made = bench("billing")
    made.apply(views.location("billing", HERE), views.organization(GROUP))
    made.does("update bil_service_location set pos_cd = '11'")
    made.does("update bil_billing_entity set addr1 = 'PO Box 9', remit_addr = '{}'")
    made.apply(
        views.location("billing", HERE, 2, name="Birch"), views.organization(GROUP, 2, legal_name="Birch LLC")
    )
    assert made.rows("select facility_nm, pos_cd from bil_service_location") == [("Birch", "11")]
    assert made.rows("select legal_nm, addr1, remit_addr from bil_billing_entity") == [
        ("Birch LLC", "PO Box 9", {})
    ]


def test_a_role_without_its_grants_is_a_fault_of_the_system_not_of_a_view(
    bench: Callable[[str], Bench],
) -> None:
    made = bench("directory")
    made.does("revoke insert on dir_location from concord_adapter_directory")
    made.does("revoke insert (loc_name) on dir_location from concord_adapter_directory")
    with pytest.raises(EnvironmentFault, match="InsufficientPrivilege"):
        made.apply(views.location("directory", HERE))


def test_a_triggers_refusal_is_the_views_own(bench: Callable[[str], Bench]) -> None:
    made = bench("billing")
    made.does(
        """create function refuse() returns trigger language plpgsql as
           $$ begin raise exception 'no %% here', new.tax_id; end $$"""
    )
    made.does(
        "create trigger refuse before insert on bil_billing_entity for each row execute function refuse()"
    )
    with pytest.raises(Exception, match="RaiseException") as refused:
        made.apply(views.organization(GROUP))
    assert "121234567" not in str(refused.value)
