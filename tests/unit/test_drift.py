"""What was altered in a mapped column whose rows can still be read: told once, and only where nothing else tells it."""

from __future__ import annotations

from dataclasses import replace

from connectors.drift import Altered, Shapes
from connectors.survey import Column, Survey
from tests.unit.test_mapping_check import CATALOG, SOUND, seen, with_lines

MAPPING = with_lines()
DATE = Column("date", False, False, True, "date", (7, 4))
TEXT = Column("varchar", False, False, True, "character varying(2)", (7, 3))


def looked(until: Column | None = DATE, st: Column = TEXT) -> Survey:
    columns = {**SOUND.columns, "st": st, "until": until}
    return seen(replace(SOUND, columns={name: found for name, found in columns.items() if found}))


def told(*surveys: Survey) -> list[list[Altered]]:
    """What each look tells."""
    shapes = Shapes()
    return [list(shapes.altered(MAPPING, CATALOG, survey)) for survey in surveys]


def test_what_stays_as_it_was_is_no_alteration() -> None:
    assert told(looked(), looked(), looked()) == [[], [], []]


def test_a_type_that_still_fits_is_told_once_with_the_mappings_line() -> None:
    wider = replace(TEXT, type="text", spelled="text")
    _, [found], again = told(looked(), looked(st=wider), looked(st=wider))
    assert found.place == "schemas/mapping/clinic.toml:14 Permit.st"
    assert found.message.startswith("the column is text, was character varying(2)")
    assert again == []


def test_a_column_that_was_dropped_and_made_anew_is_told_although_nobody_saw_it_gone() -> None:
    anew = replace(DATE, identity=(7, 9))
    _, [found] = told(looked(), looked(until=anew))
    assert "dropped and made anew" in found.message
    _, none, [found] = told(looked(), looked(until=None), looked(until=anew))
    assert (none, found.where) == ([], "clinic.public.Permit.until")


def test_a_table_that_was_made_anew_is_told_for_each_column() -> None:
    _, found = told(looked(), looked(replace(DATE, identity=(8, 4)), replace(TEXT, identity=(8, 3))))
    assert [one.place for one in found] == [
        "schemas/mapping/clinic.toml:14 Permit.st",
        "schemas/mapping/clinic.toml:15 Permit.until",
    ]


def test_a_type_that_can_not_be_read_is_left_to_the_mapping_and_forgotten_when_it_is_back() -> None:
    unreadable = replace(DATE, type="timestamptz", spelled="timestamp with time zone")
    assert told(looked(), looked(until=unreadable), looked()) == [[], [], []]


def test_a_column_that_was_renamed_and_back_is_the_same() -> None:
    assert told(looked(), looked(until=None), looked()) == [[], [], []]
