"""Screening everybody: name and date of birth against LEIE, DEA numbers against the DEA's file; nothing of it leaks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from connectors.reference.person import Person, person
from connectors.reference.screen import SCREENED, Screen
from connectors.reference.store import Folder
from connectors.reference.witness import Claim, open_all
from streams.core.entity import encode
from tests.published import EXCLUDED, LEIE, registration, take, text, write
from tests.world import provider, row

IDS = {"provider_id": "provider-0"}
NAMELESS = {**EXCLUDED, "NPI": "0000000000"}
BORN = "1961-02-03"
NUMBER = "AQ5836727"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "reference")


@pytest.fixture
def load(folder: Folder, tmp_path: Path) -> Callable[..., None]:
    def loaded(source: str, content: str) -> None:
        take(folder, source, write(tmp_path / "file.txt", content), accept=True, as_of="2026-11-08")

    return loaded


def odalys(**columns: Any) -> Person:
    """As her stored entity tells her."""
    known = {"last_name": "Quillmere", "first_name": "Odalys", "dob": BORN, **columns}
    first = known.pop("first_name")
    stored = provider(
        row("provider", **IDS, first_name=first, **known),
        row("dea_registration", dea_id="dea-0", number=NUMBER, **IDS),
        row("provider_name_history", id="name-0", last_name="Fenwick", first_name=None, **IDS),
    )
    return person(encode(stored))


def screened(folder: Folder, *people: Person) -> Screen:
    with ExitStack() as stack:
        opened = {w.source.name: stack.enter_context(w) for w in open_all(folder, SCREENED.values())}
        found = Screen(opened, folder.secret())
        for who in people:
            found.look_at(who)
        return found


def claims(folder: Folder, who: Person, before: set[tuple[str, str, str]] | None = None) -> list[Claim]:
    with ExitStack() as stack:
        opened = {w.source.name: stack.enter_context(w) for w in open_all(folder, SCREENED.values())}
        found = Screen(opened, folder.secret())
        found.look_at(who)
        return list(found.claims(before or set(), 7))


def test_a_person_is_read_from_the_stored_entity_and_shows_nothing() -> None:
    who = odalys()
    assert who.names == (("Quillmere", "Odalys"), ("Fenwick", "Odalys"))
    assert (who.born, who.registrations) == (BORN, (NUMBER,))
    assert BORN not in repr(who)
    assert NUMBER not in repr(who)
    assert "Quillmere" not in repr(who)


def test_name_and_birth_date_find_a_row_without_npi(folder: Folder, load: Callable[..., None]) -> None:
    load("leie", text(LEIE, NAMELESS))
    [claim] = claims(folder, odalys())
    assert (claim.witness, claim.kind, claim.id, claim.record) == ("leie", "provider", "provider-0", "leie")
    assert claim.position[1:] == (0, 7)
    assert claim.values is not None
    assert (claim.values["leie_npi"], claim.values["last_name"]) == (None, "QUILLMERE")
    assert BORN not in str(claim)


def test_a_former_name_finds_it_too(folder: Folder, load: Callable[..., None]) -> None:
    load("leie", text(LEIE, {**NAMELESS, "LASTNAME": "FENWICK"}))
    assert len(claims(folder, odalys())) == 1


@pytest.mark.parametrize(
    ("listed", "columns"),
    [
        ({**NAMELESS, "DOB": "19610204"}, {}),
        ({**NAMELESS, "DOB": ""}, {}),
        (NAMELESS, {"dob": None}),
        ({**NAMELESS, "FIRSTNAME": "ODALIA"}, {}),
        (EXCLUDED, {}),
    ],
    ids=["another day", "no day on the list", "no day on record", "another name", "a row with an NPI"],
)
def test_a_name_alone_and_a_row_that_an_npi_leads_to_are_not_told(
    folder: Folder, load: Callable[..., None], listed: dict[str, str], columns: dict[str, Any]
) -> None:
    load("leie", text(LEIE, listed))
    assert claims(folder, odalys(**columns)) == []


def test_a_registration_is_found_by_its_number(folder: Folder, load: Callable[..., None]) -> None:
    load("dea", registration(NUMBER, expires="20260101") + "\n" + registration("BX1234563") + "\n")
    [claim] = claims(folder, odalys())
    assert (claim.witness, claim.record) == ("dea", "dea_registry")
    assert claim.values is not None
    assert claim.values["expires"] == "2026-01-01"
    assert NUMBER not in claim.row


def test_what_no_longer_matches_is_taken_back(folder: Folder, load: Callable[..., None]) -> None:
    load("leie", text(LEIE, NAMELESS))
    [told] = claims(folder, odalys())
    before = {("leie", told.row, "provider-0")}
    [again] = claims(folder, odalys(), before)
    assert again.values is not None, "still so"
    [taken_back] = claims(folder, odalys(dob="1970-01-01"), before)
    assert (taken_back.row, taken_back.values) == (told.row, None)


def test_the_last_state_of_somebody_counts(folder: Folder, load: Callable[..., None]) -> None:
    """Topic `entity` may hold an older one before it."""
    load("leie", text(LEIE, NAMELESS))
    assert screened(folder, odalys(), odalys(dob="1970-01-01")).found == {}
    assert screened(folder, odalys(dob="1970-01-01"), odalys()).found.keys() == {"provider-0"}


def test_a_list_that_is_not_loaded_takes_nothing_back(folder: Folder) -> None:
    assert claims(folder, odalys(), {("leie", "some-row", "provider-0")}) == []
