"""How sources stand, and what they say of an NPI: what can't be asked is never "nothing found"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from connectors.reference.refusal import Unusable
from connectors.reference.sources import SOURCES
from connectors.reference.standing import Standing, standings, statements
from connectors.reference.store import Folder
from streams.errors import InvalidInput
from tests.published import CODE, DEBARRED, EXCLUDED, LEIE, NPPES, NUCC, PERSON, SAM, take, text, write

TODAY = date(2026, 11, 22)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "reference")


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    return lambda content, name="file.csv": write(tmp_path / name, content)


File = Callable[..., Path]


def of(folder: Folder, source: str, today: date = TODAY) -> Standing:
    return next(found for found in standings(folder, today) if found.source == source)


def test_every_source_is_unavailable_until_it_is_loaded(folder: Folder) -> None:
    found = standings(folder, TODAY)
    assert [(each.source, each.state, each.why) for each in found] == [
        (name, "unavailable", "never loaded") for name in SOURCES
    ]


@pytest.mark.parametrize(
    ("source", "header", "row", "as_of", "fresh", "stale"),
    [
        ("leie", LEIE, EXCLUDED, "2026-11-08", "2026-12-18", "2026-12-19"),
        ("sam", SAM, DEBARRED, "2026-11-21", "2026-11-24", "2026-11-25"),
        ("nppes", NPPES, PERSON, "2026-11-08", "2026-11-22", "2026-11-23"),
        ("nucc", NUCC, CODE, "2026-07-01", "2027-03-31", "2027-04-01"),
        ("nucc", NUCC, CODE, "2026-01-01", "2026-09-30", "2026-10-01"),
    ],
)
def test_a_source_is_stale_from_the_day_its_limit_is_passed(
    folder: Folder,
    file: File,
    source: str,
    header: list[str],
    row: dict[str, str],
    as_of: str,
    fresh: str,
    stale: str,
) -> None:
    take(folder, source, file(text(header, row)), as_of=as_of)
    assert of(folder, source, date.fromisoformat(fresh)).state == "fresh"
    found = of(folder, source, date.fromisoformat(stale))
    assert (found.state, bool(found.why)) == ("stale", True)


def test_weekly_files_keep_nppes_fresh_until_the_monthly_one_is_too_old(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(text(NPPES, PERSON)), as_of="2026-10-11")
    weekly = text(NPPES, {**PERSON, "Provider First Name": "OTHER"})
    take(folder, "nppes", file(weekly), as_of="2026-11-15", mode="increment")
    assert of(folder, "nppes", date(2026, 11, 25)).state == "fresh"
    found = of(folder, "nppes", date(2026, 11, 26))
    assert (found.state, found.why) == (
        "stale",
        "the newest full file is of 2026-10-11, more than 45 days ago",
    )
    assert found.last == {"increment": "2026-11-15", "full": "2026-10-11"}
    assert found.age_days == 11


def test_a_failed_load_makes_the_source_unavailable_and_keeps_its_version(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)), as_of="2026-11-08")
    with pytest.raises(Unusable):
        take(folder, "leie", file("<html>"))
    found = of(folder, "leie")
    assert (found.state, found.why) == ("unavailable", "file.csv is HTML, not data")
    assert found.version is not None
    assert found.failed is not None
    take(folder, "leie", file(text(LEIE, EXCLUDED)), as_of="2026-11-08")
    assert of(folder, "leie").state == "fresh"


def test_a_version_made_under_another_key_is_no_version_to_screen_against(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)), as_of="2026-11-08")
    (folder.path / "screening.key").unlink()
    found = of(folder, "leie")
    assert (found.state, found.why) == ("unavailable", "loaded under another screening key: load it again")


def test_each_witness_says_what_it_has_and_a_hash_of_a_birth_date_is_not_shown(
    folder: Folder, file: File
) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)), as_of="2026-11-08")
    take(folder, "nppes", file(text(NPPES, PERSON)), as_of="2026-11-15")
    said = {statement.source: statement for statement in statements(folder, "2234567891", TODAY)}
    assert said.keys() == {"nppes", "leie", "sam"}
    assert said["sam"].rows is None  # can't be asked
    assert said["leie"].rows is not None
    [row] = said["leie"].rows.values()
    assert (row["excluded_on"], row["dob_hash"]) == ("2026-10-20", "•••")
    assert said["nppes"].as_of == "2026-11-15"
    nobody = {statement.source: statement.rows for statement in statements(folder, "1234567893", TODAY)}
    assert nobody == {"nppes": {}, "leie": {}, "sam": None}


def test_what_is_no_npi_is_wrong_input(folder: Folder) -> None:
    with pytest.raises(InvalidInput):
        statements(folder, "12345", TODAY)
