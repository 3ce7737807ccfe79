"""Screening without an NPI: who may be on the list, and how strongly the row says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.reference.names import folded
from connectors.reference.screening import Candidate, Listed, candidates, listed
from connectors.reference.sources import named
from connectors.reference.store import Folder
from tests.published import EXCLUDED, LEIE, take, text, write

ROW = Listed("r1", "QUILLMERE", "ODALYS", "hash", "WI")


@pytest.mark.parametrize(
    ("row", "dob", "state", "match"),
    [
        (ROW, "hash", "wi", "name_dob_state"),
        (ROW, "hash", "IL", "name_dob"),
        (ROW, "hash", None, "name_dob"),
        (ROW, None, "WI", "name_only"),
        (ROW._replace(dob_hash=None), "hash", "WI", "name_only"),
        (ROW, "other", "WI", None),
        (ROW._replace(first="ODALIS"), "hash", "WI", None),
        (ROW._replace(first=None), "hash", "WI", None),
        (ROW._replace(last="QUILLMER"), "hash", "WI", None),
    ],
)
def test_a_name_and_a_birth_date_are_a_possible_hit_and_a_name_alone_is_weak(
    row: Listed, dob: str | None, state: str | None, match: str | None
) -> None:
    found = candidates([row], "Quillmere", "Odalys", dob, state)
    assert [candidate.match for candidate in found] == ([match] if match else [])


def test_names_are_compared_without_accents_hyphens_and_case() -> None:
    row = ROW._replace(last="O'BRIEN NUNEZ", first="JOSE")
    assert candidates([row], "O'Brien-Núñez", "José", "hash", None) == [Candidate("r1", "name_dob")]


def test_a_name_the_publisher_cut_off_equals_the_whole_one() -> None:
    whole = "Featherstonehaugh-Quillmere"
    cut = ROW._replace(last=whole[:20].upper(), first="MAXIMILIANALEXANDER"[:15])
    assert candidates([cut], whole, "Maximilianalexander", "hash", None)
    shorter = ROW._replace(last=whole[:19].upper())
    assert candidates([shorter], whole, "Odalys", "hash", None) == []


def test_the_strongest_come_first() -> None:
    rows = [ROW._replace(row="c", dob_hash=None), ROW._replace(row="b", state="IL"), ROW._replace(row="a")]
    found = candidates(rows, "QUILLMERE", "ODALYS", "hash", "WI")
    assert [candidate.match for candidate in found] == ["name_dob_state", "name_dob", "name_only"]


def test_the_list_is_looked_up_by_name_cut_or_whole(tmp_path: Path) -> None:
    folder, long = Folder(tmp_path / "reference"), "Featherstonehaugh-Quillmere"
    rows = [
        EXCLUDED,
        {**EXCLUDED, "LASTNAME": long[:20].upper()},
        {**EXCLUDED, "LASTNAME": "", "BUSNAME": "QUILLMERE"},
        {**EXCLUDED, "LASTNAME": "QUILL"},
    ]
    take(folder, "leie", write(tmp_path / "UPDATED.csv", text(LEIE, *rows)))
    assert [row.last for row in listed(folder, named("leie"), "Quillmere")] == ["QUILLMERE"]
    assert [row.last for row in listed(folder, named("leie"), long)] == [long[:20].upper()]
    birth = folder.secret().birth("1961-02-03")
    found = candidates(listed(folder, named("leie"), "Quillmere"), "Quillmere", "Odalys", birth, "WI")
    assert [candidate.match for candidate in found] == ["name_dob_state"]


@given(st.text(max_size=40))
def test_folding_twice_is_folding_once(name: str) -> None:
    assert folded(folded(name)) == folded(name)
