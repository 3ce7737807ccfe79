"""The rule book is whole: every rule of the domain stands in it, and every line fires in one test and not in another.

Nothing is remembered by hand: the table is walked, and each code is looked for in the scenarios of tests/behavior, or,
where a rule reads a witness, in the cases below (scenarios hold rows of the master only).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.core.rules import book
from streams.core.rules.book import CODES, LATER, RULES
from streams.core.today import today
from streams.operate import scenario
from tests.world import TODAY, golden_of

BEHAVIOR = Path(__file__).parents[1] / "behavior"
DOMAIN = {
    f"{letter}{number:02}"
    for letter, last in {"P": 8, "R": 33, "T": 6, "B": 15, "E": 11, "G": 10}.items()
    for number in range(1, last + 1)
}
"""The ids of the domain's rules."""

WITNESSED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "witness.npi_deactivated": (
        "nppes",
        {"deactivated_on": "2026-03-01"},
        {"deactivated_on": "2026-03-01", "reactivated_on": "2026-05-01"},
    ),
    "witness.npi_type": ("nppes", {"entity_type": "2"}, {"entity_type": None}),
    "witness.name_differs": ("nppes", {"last_name": "Sample"}, {"last_name": "EXAMPLE"}),
    "witness.excluded_leie": (
        "leie",
        {"leie_npi": "1234567893", "excluded_on": "2020-01-01"},
        {"leie_npi": "1234567893", "excluded_on": "2020-01-01", "reinstated_on": "2024-01-01"},
    ),
    "witness.possible_leie": (
        "leie",
        {"excluded_on": "2020-01-01"},
        {"leie_npi": "1234567893", "excluded_on": "2020-01-01"},
    ),
    "witness.dea_expired": ("dea_registry", {"expires": "2026-01-01"}, {"expires": "2027-01-01"}),
    "witness.excluded_sam": (
        "sam",
        {"active_on": "2020-01-01"},
        {"active_on": "2020-01-01", "terminates_on": "2024-01-01"},
    ),
}
"""code -> (record, a row that fires it, a row that doesn't)"""


def said_in_scenarios() -> dict[str, set[bool]]:
    """code -> whether it was found (True), and whether it was not (False), where findings are listed."""
    said: dict[str, set[bool]] = {rule.code: set() for rule in RULES}
    for path in [*BEHAVIOR.glob("*.toml"), *BEHAVIOR.glob("rules/*.toml")]:
        parts = [then.findings for then in thens(path)]
        named = {line.split(" ")[0] for findings in parts for lines in findings.values() for line in lines}
        for code in named:
            for findings in parts:
                said[code] |= {
                    any(line.split(" ")[0] == code for line in lines) for lines in findings.values()
                }
    return said


def thens(path: Path) -> list[scenario.Then]:
    played = scenario.load(path)
    return [*(when.then for when in played.when), played.then]


SAID = said_in_scenarios()


def test_every_rule_of_the_domain_is_in_the_book_or_named_as_later() -> None:
    written = {rule.id for rule in RULES}
    assert written | LATER.keys() == DOMAIN
    assert written & LATER.keys() == set()


def test_a_code_stands_once() -> None:
    assert len(CODES) == len(RULES)


@pytest.mark.parametrize("code", [r.code for r in RULES if r.finds is not None and r.code not in WITNESSED])
def test_a_rule_has_a_scenario_that_fires_it_and_one_that_does_not(code: str) -> None:
    assert SAID[code] == {True, False}


@pytest.mark.parametrize("code", WITNESSED)
def test_a_witness_fires_its_rule_and_stops_when_it_says_otherwise(code: str) -> None:
    record, fires, passes = WITNESSED[code]
    assert code in found(record, fires)
    assert code not in found(record, passes)


def found(record: str, values: dict[str, Any]) -> set[str]:
    root = {"npi": "1234567893", "last_name": "Example", "provider_status": "active"}
    known = golden_of("provider", "id", {"provider": {"id": root}, record: {"w": values}})
    return {code for code, _ in book.findings(today(known, lambda kind, entity_id: None, TODAY))}


def test_a_rule_that_raises_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(facts: Any) -> list[str]:
        raise ValueError(facts.root.npi)

    monkeypatch.setattr(book, "_applying", lambda kind, records: (("licence.lapsed", broken),))
    known = golden_of("provider", "id", {"provider": {"id": {"npi": "1234567893"}}})
    with pytest.raises(book.RuleFailed) as caught:
        book.findings(today(known, lambda kind, entity_id: None, TODAY))
    assert caught.value.code == str(caught.value) == "licence.lapsed"
