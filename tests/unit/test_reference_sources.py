"""Each source's layout: what its rows become, how its files are told apart, what it never keeps."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.reference import dea, nucc
from connectors.reference.dates import iso
from connectors.reference.refusal import Unusable
from connectors.reference.sources import SOURCES
from connectors.reference.store import Folder
from schemas.catalog import load_catalog
from tests.published import (
    CODE,
    DARK,
    DEBARRED,
    EXCLUDED,
    GROUP,
    LEIE,
    NPPES,
    NUCC,
    PERSON,
    SAM,
    SHARED,
    registration,
    take,
    text,
    workbook,
    write,
    zipped,
)

FULL = "npidata_pfile_20050523-20261108.csv"
WEEK = "npidata_pfile_20261109-20261115.csv"
LISTED = "NPPES_Deactivated_NPI_Report_111626_V2"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "reference")


def entries(folder: Folder, source: str) -> dict[str, dict[str, Any]]:
    """key -> values, as they are kept."""
    with closing(sqlite3.connect(folder.file(source))) as db:
        return {key: msgspec.json.decode(body) for key, body in db.execute("select key, body from entry")}


def test_dates_of_every_publisher_become_iso_and_what_is_none_is_none() -> None:
    said = [
        "10/20/2026",
        "6/5/26",
        "20261020",
        "2026-10-20",
        "00000000",
        "13/45/2026",
        "Indefinite",
        "",
        None,
    ]
    assert [iso(text) for text in said] == [
        "2026-10-20", "2026-06-05", "2026-10-20", "2026-10-20", None, None, None, None, None,
    ]  # fmt: skip


def test_every_record_of_a_witness_stands_in_the_catalogue_with_the_fields_its_rows_have(
    folder: Folder, tmp_path: Path
) -> None:
    take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON, GROUP, DARK)))
    take(folder, "leie", write(tmp_path / "UPDATED.csv", text(LEIE, {**EXCLUDED, "WVRSTATE": "WI"})))
    take(folder, "sam", write(tmp_path / "sam.csv", text(SAM, DEBARRED)))
    take(folder, "dea", write(tmp_path / "dea.txt", registration("AQ1234563") + "\n"))
    take(folder, "nucc", write(tmp_path / "nucc_taxonomy_261.csv", text(NUCC, {"Code": "207Q00000X"})))
    for source in SOURCES.values():
        if source.record:
            known = load_catalog().records[source.record].fields
            for values in entries(folder, source.name).values():
                assert values.keys() <= known.keys(), source.name


# ---- NPPES ----


def test_an_individual_keeps_names_addresses_and_taxonomies_with_the_primary_where_it_stands(
    folder: Folder, tmp_path: Path
) -> None:
    loaded = take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON)))
    said = entries(folder, "nppes")["2234567891"]
    assert (said["status"], said["entity_type"], said["last_update"]) == ("active", "1", "2026-10-20")
    assert said["other_name"] == {"last_name": "FENWICK", "type": "1"}
    assert said["practice"] == {
        "line1": "12 NUTMEG TERRACE", "city": "MADISON", "state": "WI", "postal_code": "537031234",
    }  # fmt: skip
    assert said["taxonomies"] == [
        {"code": "207R00000X", "license": "0012", "state": "WI", "primary": False},
        {"code": "207Q00000X", "license": None, "state": None, "primary": True},
    ]
    assert (loaded.version.mode, loaded.version.as_of) == ("full", "2026-11-08")


def test_a_deactivated_npi_has_nothing_but_its_date(folder: Folder, tmp_path: Path) -> None:
    loaded = take(folder, "nppes", write(tmp_path / FULL, text(NPPES, DARK, GROUP)))
    assert entries(folder, "nppes")["2234567917"] == {
        "nppes_npi": "2234567917", "status": "deactivated", "deactivated_on": "2024-03-04",
    }  # fmt: skip
    assert loaded.counts["dark"] == 1


@pytest.mark.parametrize(
    ("again", "status"),
    [("", "deactivated"), ("05/01/2026", "active"), ("03/01/2026", "active"), ("02/28/2026", "deactivated")],
)
def test_who_was_reactivated_on_or_after_the_day_is_active(
    folder: Folder, tmp_path: Path, again: str, status: str
) -> None:
    row = {**PERSON, "NPI Deactivation Date": "03/01/2026", "NPI Reactivation Date": again}
    take(folder, "nppes", write(tmp_path / FULL, text(NPPES, row)))
    assert entries(folder, "nppes")["2234567891"]["status"] == status


def test_a_row_without_an_npi_is_left_out_and_counted(folder: Folder, tmp_path: Path) -> None:
    bad = [{**PERSON, "NPI": ""}, {**PERSON, "NPI": "12345"}, {**PERSON, "NPI": "223456789x"}]
    loaded = take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON, *bad)))
    assert (loaded.read, loaded.kept, loaded.left_out) == (4, 1, {"npi_missing": 1, "npi_shape": 2})


def test_a_weekly_file_goes_over_what_is_known(folder: Folder, tmp_path: Path) -> None:
    take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON, GROUP)))
    moved = {**PERSON, "Provider First Line Business Practice Location Address": "9 ELM"}
    new = {**GROUP, "NPI": "2234567925"}
    week = zipped(
        tmp_path / "NPPES_Data_Dissemination_110926_111526_Weekly_V2.zip", **{WEEK: text(NPPES, moved, new)}
    )
    loaded = take(folder, "nppes", week)
    assert loaded.version.mode == "increment"
    assert loaded.delta is not None
    assert (loaded.delta.added, loaded.delta.changed, loaded.delta.removed) == (1, 1, 0)
    assert loaded.delta.fields == {"practice": 1}
    assert entries(folder, "nppes").keys() == {"2234567891", "2234567909", "2234567925"}


def test_a_weekly_file_is_told_by_the_zips_name_too(folder: Folder, tmp_path: Path) -> None:
    take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON)))
    week = zipped(
        tmp_path / "NPPES_Data_Dissemination_110926_111526_Weekly_V2.zip", npidata__csv=text(NPPES, GROUP)
    )
    loaded = take(folder, "nppes", week)
    assert (loaded.version.mode, loaded.version.as_of) == ("increment", "2026-11-15")


def listing(tmp_path: Path, form: str, *npis: tuple[str, str], name: str = LISTED) -> Path:
    rows = [["NPI", "NPPES Deactivation Date"], *([npi, day] for npi, day in npis)]
    if form == "csv":
        title = '"NPPES Deactivated NPI Report"\n'
        return write(tmp_path / f"{name}.csv", title + "".join(f'"{a}","{b}"\n' for a, b in rows))
    book = workbook(["NPPES Deactivated NPI Report"], *rows)
    return zipped(tmp_path / f"{name}.zip", **{f"{name}.xlsx": book})


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_the_list_of_deactivated_npis_darkens_rows_and_leaves_the_reactivated(
    folder: Folder, tmp_path: Path, form: str
) -> None:
    back = {**GROUP, "NPI Deactivation Date": "01/02/2026", "NPI Reactivation Date": "02/02/2026"}
    take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON, back)))
    listed = listing(
        tmp_path, form, ("2234567891", "11/12/2026"), ("2234567909", "01/02/2026"), ("2234567933", "5/6/2019")
    )
    loaded = take(folder, "nppes", listed, accept=True)
    assert (loaded.version.mode, loaded.version.as_of) == ("deactivated", "2026-11-16")
    assert loaded.counts["reactivated_since"] == 1
    known = entries(folder, "nppes")
    assert known["2234567891"] == {
        "nppes_npi": "2234567891", "status": "deactivated", "deactivated_on": "2026-11-12",
    }  # fmt: skip
    assert known["2234567909"]["status"] == "active"
    assert known["2234567933"]["deactivated_on"] == "2019-05-06"


def test_who_drops_out_of_the_list_is_active_again_and_stays_dark(folder: Folder, tmp_path: Path) -> None:
    take(folder, "nppes", write(tmp_path / FULL, text(NPPES, PERSON, GROUP)))
    both = (("2234567891", "11/12/2026"), ("2234567909", "11/12/2026"))
    take(folder, "nppes", listing(tmp_path, "csv", *both), accept=True)
    later = "NPPES_Deactivated_NPI_Report_112026_V2"
    loaded = take(folder, "nppes", listing(tmp_path, "csv", both[1], name=later), accept=True)
    assert loaded.counts["dropped_out"] == 1
    assert loaded.delta is not None
    assert (loaded.delta.reactivated, loaded.delta.deactivated) == (1, 0)
    assert entries(folder, "nppes")["2234567891"] == {"nppes_npi": "2234567891", "status": "active"}


def test_all_rows_of_the_real_sample_are_kept_and_two_are_dark(folder: Folder) -> None:
    sample = SHARED / "nppes_sample.csv"
    if not sample.exists():
        pytest.skip("the public NPPES sample is not beside the project (../shared/data/nppes_sample.csv)")
    loaded = take(folder, "nppes", sample)
    assert (loaded.read, loaded.kept, loaded.left_out, loaded.counts) == (459, 459, {}, {"dark": 2})
    known = entries(folder, "nppes").values()
    assert [len(said) for said in known if said["status"] == "deactivated"] == [3, 3]
    assert {sum(t["primary"] for t in said["taxonomies"]) for said in known if "taxonomies" in said} == {1}
    assert [w for w in loaded.warnings if "unknown" in w] == []


# ---- LEIE and SAM ----


def test_of_a_date_of_birth_only_its_keyed_hash_is_kept(folder: Folder, tmp_path: Path) -> None:
    take(folder, "leie", write(tmp_path / "UPDATED.csv", text(LEIE, EXCLUDED)))
    [(key, said)] = entries(folder, "leie").items()
    assert said["dob_hash"] == folder.secret().birth("1961-02-03")
    assert (said["leie_npi"], said["excluded_on"], "reinstated_on" in said) == (
        "2234567891",
        "2026-10-20",
        False,
    )
    kept = folder.file("leie").read_bytes()
    assert b"1961" not in kept
    assert key != Folder(tmp_path / "other").secret().hidden("leie")


def test_ten_zeros_are_no_npi_and_identical_rows_count_once(folder: Folder, tmp_path: Path) -> None:
    nobody = {**EXCLUDED, "NPI": "0000000000"}
    loaded = take(folder, "leie", write(tmp_path / "UPDATED.csv", text(LEIE, nobody, nobody, EXCLUDED)))
    assert (loaded.read, loaded.kept, loaded.counts["duplicates"]) == (3, 2, 1)
    assert sorted(said.get("leie_npi", "") for said in entries(folder, "leie").values()) == ["", "2234567891"]


def test_supplements_add_the_excluded_and_take_the_reinstated_out(folder: Folder, tmp_path: Path) -> None:
    take(folder, "leie", write(tmp_path / "UPDATED.csv", text(LEIE, EXCLUDED)), as_of="2026-10-08")
    other = {**EXCLUDED, "LASTNAME": "FENWICK", "NPI": "0000000000"}
    added = take(folder, "leie", write(tmp_path / "2610EXCL.csv", text(LEIE, other)))
    assert (added.version.mode, added.version.as_of, len(entries(folder, "leie"))) == (
        "increment",
        "2026-10-31",
        2,
    )
    back = {**EXCLUDED, "REINDATE": "20261101", "ADDRESS": "MOVED SINCE"}
    nobody = {**back, "LASTNAME": "NOBODY"}
    out = take(folder, "leie", write(tmp_path / "2610REIN.csv", text(LEIE, back, nobody)), accept=True)
    assert (out.counts["reinstated"], out.counts["reinstated_unknown"]) == (1, 1)
    assert [said["last_name"] for said in entries(folder, "leie").values()] == ["FENWICK"]


def test_the_head_of_the_real_leie_is_read(folder: Folder) -> None:
    sample = SHARED / "leie_head_business_rows.csv"
    if not sample.exists():
        pytest.skip("the public LEIE head is not beside the project (../shared/data)")
    loaded = take(folder, "leie", sample)
    assert (loaded.read, loaded.kept, loaded.version.as_of) == (4, 4, "2023-05-18")
    assert [said["leie_npi"] for said in entries(folder, "leie").values() if "leie_npi" in said] == [
        "1972902351"
    ]


def test_sam_is_read_from_its_zip_with_dates_of_both_forms(folder: Folder, tmp_path: Path) -> None:
    extract = text(SAM, DEBARRED, {**DEBARRED, "SAM Number": "S4MR0000002", "Termination Date": "2027-01-31"})
    path = zipped(tmp_path / "SAM_Exclusions_Public_Extract_V2_26325.ZIP", SAM_Exclusions_26325__CSV=extract)
    loaded = take(folder, "sam", path)
    assert loaded.version.as_of == "2026-11-21"
    ends = {(said["indefinite"], said.get("terminates_on")) for said in entries(folder, "sam").values()}
    assert ends == {(True, None), (False, "2027-01-31")}


def test_sam_under_its_other_column_names_is_the_same(folder: Folder, tmp_path: Path) -> None:
    renamed = ["UEI" if name == "Unique Entity ID" else name for name in SAM if name != "CAGE"]
    loaded = take(folder, "sam", write(tmp_path / "sam.csv", text(renamed, {**DEBARRED, "UEI": "ABC123"})))
    [said] = entries(folder, "sam").values()
    assert (said["uei"], loaded.warnings[0][:13]) == ("ABC123", "the file does")


# ---- NUCC and DEA ----


def test_codes_keep_their_levels_and_neither_definition_nor_notes(folder: Folder, tmp_path: Path) -> None:
    loaded = take(folder, "nucc", write(tmp_path / "nucc_taxonomy_260.csv", text(NUCC, CODE)))
    assert loaded.version.as_of == "2026-01-01"
    assert list(nucc.codes(folder.file("nucc"))) == [("207Q00000X", "Individual", None, None)]
    assert b"not kept" not in folder.file("nucc").read_bytes()


def test_a_code_a_version_adds_or_lacks_has_its_day(folder: Folder, tmp_path: Path) -> None:
    old, new = {**CODE, "Code": "207R00000X"}, {**CODE, "Code": "208D00000X"}
    take(folder, "nucc", write(tmp_path / "nucc_taxonomy_260.csv", text(NUCC, CODE, old)))
    loaded = take(
        folder, "nucc", write(tmp_path / "nucc_taxonomy_261.csv", text(NUCC, CODE, new)), accept=True
    )
    expected = [
        ("207Q00000X", "Individual", None, None),
        ("207R00000X", "Individual", None, "2026-10-01"),
        ("208D00000X", "Individual", "2026-10-01", None),
    ]
    assert list(nucc.codes(folder.file("nucc"))) == expected
    assert loaded.delta is not None
    assert (loaded.delta.retired, loaded.delta.added, loaded.delta.removed) == (1, 1, 0)
    again = take(
        folder, "nucc", write(tmp_path / "nucc_taxonomy_270.csv", text(NUCC, CODE, new)), as_of="2026-11-20"
    )
    assert again.delta is not None
    assert (again.delta.changed, again.delta.lost) == (0, 0)
    assert list(nucc.codes(folder.file("nucc"))) == expected


def test_a_list_of_other_codes_is_refused(folder: Folder, tmp_path: Path) -> None:
    like = {**CODE, "Code": "207Q00000N"}
    with pytest.raises(Unusable, match="no NUCC code"):
        take(folder, "nucc", write(tmp_path / "nucc_taxonomy_261.csv", text(NUCC, CODE, like)))


def test_the_real_code_set_is_read(folder: Folder) -> None:
    sample = SHARED / "nucc_taxonomy.csv"
    if not sample.exists():
        pytest.skip("the public code set is not beside the project (../shared/data/nucc_taxonomy.csv)")
    take(folder, "nucc", sample)
    found = list(nucc.codes(folder.file("nucc")))
    assert len(found) == 883
    assert {section for _, section, _, _ in found} == {"Individual", "Non-Individual"}


def test_a_registration_is_cut_at_its_columns_and_kept_under_a_key_that_hides_its_number(
    folder: Folder, tmp_path: Path
) -> None:
    line = registration(
        "AQ1234563", line1="12 NUTMEG TERRACE", city="MADISON", state="WI", zip="53703", last="ACTIVE"
    )
    take(folder, "dea", write(tmp_path / "dea.txt", line + "\r\n"))
    [(key, said)] = entries(folder, "dea").items()
    assert key == dea.key_of("aq1234563", folder.secret())
    assert said["schedules"] == ["22N", "33N", "4", "5"]
    assert (said["expires"], said["state"], said["activity"]) == ("2027-12-31", "WI", "ACTIVE")


@pytest.mark.parametrize("content", [registration("AQ1234563")[:-1] + "\n", "", "<html>\n"])
def test_another_width_is_no_registration_file(folder: Folder, tmp_path: Path, content: str) -> None:
    with pytest.raises(Unusable):
        take(folder, "dea", write(tmp_path / "dea.txt", content))
