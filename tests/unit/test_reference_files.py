"""Published files: what is no whole file of its source is refused, named, and never read in part."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from connectors.reference import npidata
from connectors.reference.delimited import Shape, layout_of
from connectors.reference.files import opened
from connectors.reference.refusal import Unusable, unusable
from connectors.reference.workbook import date_text
from tests import published
from tests.published import EXCLUDED, LEIE, NPPES, PERSON, SHARED, text, workbook, write, zipped


def rows_of(path: Path, member: str = r"\.csv$") -> list[list[str]]:
    with opened(path, member) as file:
        return [row for _, row in file.rows()]


def refusal(path: Path, member: str = r"\.csv$") -> Unusable:
    with pytest.raises(Unusable) as refused:
        rows_of(path, member)
    assert refused.value.exit_code == 2
    assert refused.value.next_step
    return refused.value


def test_the_true_header_of_the_real_file_is_known_column_by_column() -> None:
    assert len(NPPES) == 330
    assert set(NPPES) == set(npidata.PUBLISHED)
    sample = SHARED / "nppes_sample.csv"
    if not sample.exists():
        pytest.skip("the public NPPES sample is not beside the project (../shared/data/nppes_sample.csv)")
    with sample.open(encoding="utf-8", newline="") as lines:
        assert next(csv.reader(lines)) == NPPES


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_plain_file_is_read_whatever_its_line_ends(tmp_path: Path, end: str) -> None:
    path = write(tmp_path / "UPDATED.csv", text(LEIE, EXCLUDED, end=end))
    assert rows_of(path) == [LEIE, [EXCLUDED.get(name, "") for name in LEIE]]


def test_of_a_zip_the_member_is_read_that_matters(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "weekly.zip",
        npidata_pfile_20261109_20261115__csv="a,b\n1,2\n",
        npidata_pfile_20261109_20261115_fileheader__csv="a,b\n",
        pl_pfile_20261109_20261115__csv="c\n3\n",
    )
    assert rows_of(path, r"^npidata_pfile") == [["a", "b"], ["1", "2"]]


def test_the_only_data_file_of_a_zip_is_taken_whatever_its_name(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", readme__pdf=b"%PDF", whatever__csv="a\n1\n")
    assert rows_of(path, r"^npidata") == [["a"], ["1"]]


def test_a_zip_with_several_such_files_is_refused_with_their_names(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", one__csv="a\n", two__csv="a\n")
    assert "one.csv, two.csv" in refusal(path).message


def test_a_zip_that_ends_too_soon_is_refused(tmp_path: Path) -> None:
    whole = zipped(tmp_path / "x.zip", data__csv=text(LEIE, *[EXCLUDED] * 500)).read_bytes()
    assert refusal(write(tmp_path / "half.zip", whole[: len(whole) // 2])).why == "bad_zip"


def test_a_zip_whose_data_are_damaged_is_refused(tmp_path: Path) -> None:
    path = zipped(
        tmp_path / "x.zip", data__csv=text(LEIE, *[{**EXCLUDED, "UPIN": str(n)} for n in range(500)])
    )
    whole = bytearray(path.read_bytes())
    whole[200:260] = bytes(60)
    assert refusal(write(path, bytes(whole))).why == "bad_zip"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (text(LEIE, EXCLUDED)[:-1] + "extra", "not_csv"),
        (text(LEIE, EXCLUDED)[:-9], "not_csv"),
        ("A,B\n1,2\n3,4", "row_shape"),
    ],
)
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, content: str, why: str) -> None:
    assert refusal(write(tmp_path / "x.csv", content)).why == why


def test_windows_bytes_among_utf8_are_read_as_what_they_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "NAME,CITY\nNú".encode() + b"\xd1EZ,PE\x92S\n")
    assert rows_of(path)[1] == ["NúÑEZ", "PE\u2019S"]


def test_a_workbook_is_read_by_its_cells_within_a_zip_or_not(tmp_path: Path) -> None:
    book = workbook(
        ["a title"], ["NPI", "NPPES Deactivation Date"], ["1234567893", 45355], ["1245319599", "03/04/2024"]
    )
    expected = [
        ["a title"],
        ["NPI", "NPPES Deactivation Date"],
        ["1234567893", "45355"],
        ["1245319599", "03/04/2024"],
    ]
    assert rows_of(write(tmp_path / "list.xlsx", book)) == expected
    assert rows_of(zipped(tmp_path / "list.zip", list__xlsx=book), r"\.xlsx$") == expected
    assert (date_text("45355"), date_text("03/04/2024")) == ("2024-03-04", "03/04/2024")


def test_a_workbook_that_breaks_off_is_refused(tmp_path: Path) -> None:
    book = workbook(*[[f"text {n}"] for n in range(300)])
    assert refusal(write(tmp_path / "list.xlsx", book[:900])).why == "bad_zip"


def test_columns_are_found_by_name_whatever_their_case_and_place() -> None:
    shape = Shape(("State / Province", "NPI"), optional=("Suffix",), aliases={"NPI": ("Identifier",)})
    layout = layout_of(["identifier", "STATE_PROVINCE", "new"], shape, "x.csv", unusable)
    assert (layout.at, layout.unknown) == ({"State / Province": 1, "NPI": 0}, ("new",))


@pytest.mark.parametrize(
    ("header", "why", "shown"),
    [
        ([], "not_data", "x.csv is empty"),
        (["<!DOCTYPE html>"], "not_data", "HTML"),
        (
            [*LEIE[:7], "NPI_NUMBER", *LEIE[8:]],
            "column_missing",
            "no column 'NPI'; unknown columns: 'NPI_NUMBER'",
        ),
        (['{"error":"no"}'], "column_missing", "and 15 more; its first line is no header"),
        (list(EXCLUDED.values()), "column_missing", "and 15 more; its first line is no header"),
    ],
)
def test_another_header_is_refused_with_the_difference(header: list[str], why: str, shown: str) -> None:
    with pytest.raises(Unusable) as refused:
        layout_of(header, Shape(LEIE), "x.csv", unusable)
    assert refused.value.why == why
    assert shown in refused.value.message


def test_a_whole_person_is_in_the_fixture() -> None:
    assert PERSON.keys() < set(NPPES)
    assert len(published.registration("AB1234563")) == 244
