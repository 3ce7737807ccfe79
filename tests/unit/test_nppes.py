"""NPPES rows as credentialing rows: by column name, deactivated rows blank nothing, broken files are refused."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path

import pytest

from connectors.credentialing import nppes
from connectors.credentialing.bundle import Bundle, by_table
from connectors.credentialing.nppes import Mapped, Outcome, Skipped
from connectors.reference import npidata
from streams.errors import InvalidInput

SAMPLE = Path(__file__).parents[3] / "shared" / "data" / "nppes_sample.csv"

HEADER = [*npidata.COLUMNS, "Certification Date"]
PERSON = {
    npidata.NPI: "2234567891",
    npidata.ENTITY_TYPE: "1",
    npidata.LAST_NAME: "QUILLMERE",
    npidata.FIRST_NAME: "ODALYS",
    npidata.CREDENTIAL: "M.D.",
    npidata.SEX: "F",
    npidata.LINE1: "12 NUTMEG TERRACE",
    npidata.CITY: "MADISON",
    npidata.STATE: "WI",
    npidata.POSTAL_CODE: "537031234",
    npidata.PHONE: "6085550100",
    npidata.taxonomy_column(1): "207R00000X",
    npidata.license_column(1): "0012",
    npidata.license_state_column(1): "WI",
    npidata.primary_column(1): "N",
    npidata.taxonomy_column(3): "207Q00000X",
    npidata.license_column(3): "0012",
    npidata.license_state_column(3): "WI",
    npidata.primary_column(3): "Y",
}
GROUP = {
    npidata.NPI: "2234567909",
    npidata.ENTITY_TYPE: "2",
    npidata.ORGANIZATION_NAME: "WRENFIELD CLINIC LLC",
    npidata.LINE1: "12 NUTMEG TERRACE",
    npidata.STATE: "WI",
}


def file_of(*rows: dict[str, str], header: list[str] | None = None) -> list[str]:
    text = io.StringIO()
    writer = csv.DictWriter(text, header or HEADER, restval="", quoting=csv.QUOTE_ALL, extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().splitlines(keepends=True)


def only(outcomes: list[Outcome]) -> Bundle:
    (outcome,) = outcomes
    assert isinstance(outcome, Mapped)
    return outcome.bundle


def read(*rows: dict[str, str]) -> list[Outcome]:
    return list(nppes.read(file_of(*rows)))


def test_an_individual_becomes_a_provider_with_location_licences_and_taxonomies() -> None:
    rows = only(read(PERSON)).rows
    assert set(rows) == {"practice_location", "provider", "license", "taxonomy", "provider_location"}
    (provider,) = rows["provider"]
    assert (provider["npi"], provider["degree"], provider["sex"]) == ("2234567891", "MD", "F")
    (place,) = rows["practice_location"]
    assert (place["zip"], place["org_id"]) == ("537031234", None)


def test_the_switch_decides_the_primary_taxonomy_in_whatever_slot_it_stands() -> None:
    taxonomies = only(read(PERSON)).rows["taxonomy"]
    assert [(row["nucc_code"], row["is_primary"]) for row in taxonomies] == [
        ("207R00000X", False),
        ("207Q00000X", True),
    ]


def test_a_licence_named_in_two_slots_is_one_row_and_keeps_its_leading_zeros() -> None:
    rows = only(read(PERSON)).rows
    (held,) = rows["license"]
    assert (held["number"], held["status"]) == ("0012", "pending")
    assert {row["license_id"] for row in rows["taxonomy"]} == {held["license_id"]}


def test_an_organization_becomes_an_organization_with_its_own_location() -> None:
    rows = only(read(GROUP)).rows
    assert set(rows) == {"organization", "practice_location"}
    assert rows["practice_location"][0]["org_id"] == rows["organization"][0]["org_id"]


def test_individuals_at_one_address_share_a_location() -> None:
    first, second = read(PERSON, {**PERSON, npidata.NPI: "2234567917"})
    assert isinstance(first, Mapped)
    assert isinstance(second, Mapped)
    here, there = (outcome.bundle.rows["practice_location"][0]["location_id"] for outcome in (first, second))
    assert here == there


def test_the_same_row_has_the_same_ids_again() -> None:
    assert only(read(PERSON)).rows == only(read(PERSON)).rows


def test_columns_are_found_by_name_in_any_order_and_unknown_ones_are_ignored() -> None:
    turned = ["A new column", *reversed(HEADER)]
    assert only(list(nppes.read(file_of(PERSON, header=turned)))).rows == only(read(PERSON)).rows


@pytest.mark.parametrize(
    ("again", "skipped"), [("", True), ("05/01/2026", False), ("03/01/2026", False), ("02/28/2026", True)]
)
def test_a_deactivated_npi_is_skipped_unless_it_was_reactivated(again: str, skipped: bool) -> None:
    row = {**PERSON, npidata.DEACTIVATED: "03/01/2026", npidata.REACTIVATED: again}
    assert (read(row) == [Skipped("deactivated")]) is skipped


def test_a_deactivated_row_with_nothing_but_its_npi_makes_no_rows() -> None:
    assert read({npidata.NPI: "2234567891", npidata.DEACTIVATED: "6/15/26"}) == [Skipped("deactivated")]


def test_a_row_without_entity_type_or_npi_is_skipped_and_says_why() -> None:
    assert read({**PERSON, npidata.ENTITY_TYPE: ""}, {**PERSON, npidata.NPI: " "}) == [
        Skipped("entity_type_missing"),
        Skipped("npi_missing"),
    ]


def test_unavailable_is_no_value() -> None:
    rows = only(read({**GROUP, npidata.OTHER_ORGANIZATION_NAME: "<UNAVAIL>"})).rows
    assert rows["organization"][0]["dba"] is None


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        ([], "nppes.not_data"),
        (["<!DOCTYPE html>\n", "<html>sorry</html>\n"], "nppes.not_data"),
        (file_of(), "nppes.no_rows"),
        (['"NPI","Entity Type Code"\n', '"1","1"\n'], "nppes.column_missing"),
        ([*file_of(), '"2234567891","1"\n'], "nppes.row_shape"),
        ([*file_of(), '"2234567891","1","WREN'], "nppes.not_csv"),
    ],
)
def test_what_is_no_npidata_is_refused_with_a_code_and_a_next_step(lines: list[str], code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        list(nppes.read(lines, "sample.csv"))
    assert refused.value.code == code
    assert refused.value.message.startswith("sample.csv")
    assert refused.value.next_step


def test_a_renamed_column_is_named() -> None:
    header = ["Provider Gender Code" if name == npidata.SEX else name for name in HEADER]
    with pytest.raises(InvalidInput, match="Provider Sex Code"):
        list(nppes.read(file_of(PERSON, header=header)))


def test_binary_data_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file.zip"
    file.write_bytes(b"PK\x03\x04\xff\xfe")
    with file.open(encoding="utf-8", newline="") as lines, pytest.raises(InvalidInput) as refused:
        list(nppes.read(lines))
    assert refused.value.code == "nppes.not_text"


def test_every_row_of_the_real_sample_ends_in_rows_or_in_a_reason() -> None:
    if not SAMPLE.exists():
        pytest.skip("the public NPPES sample is not beside the project (../shared/data/nppes_sample.csv)")
    with SAMPLE.open(encoding="utf-8", newline="") as lines:
        outcomes = list(nppes.read(lines))
    tables = by_table(outcome.bundle for outcome in outcomes if isinstance(outcome, Mapped))
    assert Counter(type(outcome) for outcome in outcomes) == {Mapped: 457, Skipped: 2}
    assert (len(tables["provider"]), len(tables["organization"])) == (377, 80)
    primaries = Counter(row["provider_id"] for row in tables["taxonomy"] if row["is_primary"])
    assert set(primaries.values()) == {1}
