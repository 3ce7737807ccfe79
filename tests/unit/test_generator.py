"""The generator: repeatable, memory-flat, well formed except for its declared defects, and clearly fictitious."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.us import ein

from connectors.credentialing import identifiers
from connectors.credentialing.bundle import TABLES, Bundle, Row, by_table
from connectors.credentialing.fiction import NETWORKS, SPECIALTIES
from connectors.credentialing.generator import generate, provider_npi
from connectors.credentialing.practitioner import DEFECTS
from connectors.systems import HERE
from streams.core import formats

COUNT = 2_000


@pytest.fixture(scope="module")
def tables() -> dict[str, list[Row]]:
    return by_table(generate(COUNT, seed=7))


def test_the_same_seed_gives_the_same_rows() -> None:
    assert [b.rows for b in generate(60, 7)] == [b.rows for b in generate(60, 7)]


def test_another_seed_gives_other_providers() -> None:
    def keys(seed: int) -> set[object]:
        return {row["provider_id"] for bundle in generate(60, seed) for row in bundle.rows["provider"]}

    assert not keys(7) & keys(8)


def test_a_larger_count_begins_with_the_rows_of_a_smaller_one() -> None:
    assert [b.rows for b in islice(generate(10_000, 7), 60)] == [b.rows for b in generate(60, 7)]


def test_each_bundle_holds_one_provider_and_nothing_that_refers_to_a_later_one() -> None:
    known: set[object] = set()
    for bundle in generate(500, 7):
        assert len(bundle.rows["provider"]) == 1
        known |= _keys(bundle)
        assert _references(bundle) <= known


def test_rows_name_only_tables_that_the_loader_knows(tables: dict[str, list[Row]]) -> None:
    assert set(tables) <= set(TABLES)


def test_a_provider_has_about_ten_rows(tables: dict[str, list[Row]]) -> None:
    shared = ("organization", "delegation_agreement", "practice_location")
    own = sum(len(rows) for table, rows in tables.items() if table not in shared)
    assert 9 <= own / COUNT <= 12


def test_many_providers_share_a_clinic(tables: dict[str, list[Row]]) -> None:
    sizes = Counter(row["org_id"] for row in tables["affiliation"])
    assert max(sizes.values()) > 20


def test_row_ids_are_unique(tables: dict[str, list[Row]]) -> None:
    for table, rows in tables.items():
        ids = [next(iter(row.values())) for row in rows]
        assert all(isinstance(key, UUID) for key in ids)
        assert len(set(ids)) == len(ids), table


def test_no_two_providers_have_one_npi_and_none_is_ever_issued() -> None:
    npis = [provider_npi(7, n) for n in range(20_000)]
    assert len(set(npis)) == len(npis)
    assert all(npi.startswith("2") for npi in npis)


@given(st.integers(100_000_000, 299_999_999))
def test_an_npi_check_digit_is_the_only_one_that_passes(stem: int) -> None:
    npi = identifiers.npi(stem)
    passing = [d for d in "0123456789" if formats.npi(npi[:9] + d) is None]
    assert passing == [npi[9]]


@pytest.mark.parametrize("npi", ["1234567893", "1245319599", "1407071236"])
def test_published_npis_are_completed_as_published(npi: str) -> None:
    assert identifiers.npi(int(npi[:9])) == npi


def test_an_npi_passes_the_luhn_check_of_python_stdnum() -> None:
    from stdnum import luhn

    assert all(luhn.is_valid("80840" + provider_npi(7, n)) for n in range(500))


@pytest.mark.parametrize(("number", "name"), [("AP5836727", "Peters"), ("BB1388568", "Bell")])
def test_published_dea_numbers_are_completed_as_published(number: str, name: str) -> None:
    assert identifiers.dea(number[0], name, int(number[2:8])) == number


def test_every_dea_number_passes_its_check(tables: dict[str, list[Row]]) -> None:
    assert {formats.dea(str(row["number"])) for row in tables["dea_registration"]} == {None}


def test_tins_have_an_assigned_prefix(tables: dict[str, list[Row]]) -> None:
    assert all(ein.is_valid(str(row["tin"])) for row in tables["organization"])


@pytest.mark.parametrize(
    ("table", "column", "check", "defect"),
    [
        ("provider", "npi", formats.npi, "npi"),
        ("practice_location", "zip", formats.postal_code, "zip"),
        ("practice_location", "phone", formats.phone, "phone"),
    ],
)
def test_defects_come_at_about_their_declared_rate(
    tables: dict[str, list[Row]], table: str, column: str, check: formats.Check, defect: str
) -> None:
    found = sum(check(str(row[column])) is not None for row in tables[table])
    assert 0 < found <= 3 * DEFECTS[defect] * len(tables[table]) + 3


def test_what_has_no_declared_defect_is_well_formed(tables: dict[str, list[Row]]) -> None:
    assert all(formats.nucc(str(row["nucc_code"])) is None for row in tables["taxonomy"])
    assert all(formats.state(str(row["state"])) is None for row in tables["license"])
    assert all(formats.npi(str(row["npi"])) is None for row in tables["organization"])
    assert all(formats.npi(str(row["location_npi"])) is None for row in tables["practice_location"])


def test_telephone_numbers_are_reserved_for_fiction(tables: dict[str, list[Row]]) -> None:
    good = [
        str(row["phone"]) for row in tables["practice_location"] if formats.phone(str(row["phone"])) is None
    ]
    assert all(number[-7:-2] == "55501" for number in good)


def test_social_security_numbers_lie_in_a_range_that_is_never_issued(tables: dict[str, list[Row]]) -> None:
    assert all(str(row["ssn"]).startswith("9") for row in tables["provider"])


def test_specialties_are_distinct() -> None:
    assert len({specialty.nucc_code for specialty in SPECIALTIES}) == len(SPECIALTIES)


@pytest.mark.parametrize("network", NETWORKS)
def test_enrollment_and_directory_are_seeded_with_the_networks_providers_take_part_in(
    network: tuple[str, str, str],
) -> None:
    for system in ("enrollment", "directory"):
        seed = (HERE / system / "seed.sql").read_text(encoding="utf-8")
        assert all(f"'{text}'" in seed for text in network)


def _keys(bundle: Bundle) -> set[object]:
    names = ("org_id", "location_id", "provider_id", "license_id", "cycle_id")
    roots = zip(
        ("organization", "practice_location", "provider", "license", "credentialing_cycle"),
        names,
        strict=True,
    )
    return {row[name] for table, name in roots for row in bundle.rows.get(table, ())}


def _references(bundle: Bundle) -> set[object]:
    names = {"org_id", "location_id", "provider_id", "license_id", "cycle_id"}
    return {
        value for rows in bundle.rows.values() for row in rows for name, value in row.items() if name in names
    }
