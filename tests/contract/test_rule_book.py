"""The rule book is whole: every rule of the domain stands in it, and every line fires in one scenario, doesn't in
another, and is resolved once its cause is gone.

Nothing is remembered by hand: the table is walked, and each code is looked for in the scenarios of tests/behavior.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.core.entity import APPLIED, SUPERSEDED, UNCHANGED
from streams.core.rules import book, rule
from streams.core.rules.book import CODES, COUNTED, LATER, PARTLY, RULES, SAME
from streams.core.rules.rule import EVERY, WARN
from streams.core.today import today
from streams.operate import scenario
from tests.world import TODAY, golden_of

BEHAVIOR = Path(__file__).parents[1] / "behavior"
FILES = [*BEHAVIOR.glob("*.toml"), *BEHAVIOR.glob("rules/*.toml"), *BEHAVIOR.glob("two_way/*.toml")]
DOMAIN = {
    f"{letter}{number:02}"
    for letter, last in {"P": 8, "R": 33, "T": 6, "B": 15, "E": 11, "G": 10}.items()
    for number in range(1, last + 1)
}
"""The ids of the domain's rules."""
MAY_COME_LATER = {
    *("P02", "R11", "R12", "R16", "R17", "R20", "R24", "R26", "R31", "R32", "R33", "T01", "T03", "T05"),
    *(f"B{number:02}" for number in range(6, 16)),
    *("E04", "E07", "E08"),
}
"""Rules that need payer exchange, directory serving or other entities' data: nothing else may be missing."""
ELSEWHERE = {
    "internal.decide_failed": "a defect of ours: no data brings it about",
    "entity.too_large": "a megabyte of text",
    "edit.by_hand": "no system that is written holds what another than the master owns and it may propose",
    "authority.review_overdue": "the shipped file's own date",
    **dict.fromkeys(
        ("verify.missing", "verify.extra", "verify.different"),
        "found beside the flow: tests/unit/test_decide_verified.py has it open and close",
    ),
}
"""Codes without a scenario, and why: tests/contract/test_authority_is_total.py reaches them."""


def thens(path: Path) -> list[scenario.Then]:
    """What a scenario says must hold, in order."""
    played = scenario.load(path)
    return [*(when.then for when in played.when), played.then]


def said(path: Path) -> Iterator[tuple[str, set[str]]]:
    """(entity, codes of its findings) wherever a scenario lists them, in order."""
    for then in thens(path):
        for name, lines in then.findings.items():
            yield name, {line.split(" ")[0] for line in lines}


def resolved(path: Path) -> Iterator[str]:
    """Codes that an entity had and later has no more."""
    had: dict[str, set[str]] = {}
    for name, codes in said(path):
        yield from had.get(name, set()) - codes
        had.setdefault(name, set()).update(codes)


FIRED = {code for path in FILES for _, codes in said(path) for code in codes}
RESOLVED = {code for path in FILES for code in resolved(path)}


def test_every_rule_of_the_domain_stands_in_one_place_of_the_book() -> None:
    places = [{rule.id for rule in RULES}, set(SAME), set(COUNTED), set(LATER)]
    assert set().union(*places) == DOMAIN
    assert sum(map(len, places)) == len(DOMAIN), "a rule stands twice"


def test_only_what_needs_others_data_comes_later() -> None:
    assert LATER.keys() <= MAY_COME_LATER


def test_what_is_only_counted_is_counted_under_outcomes_there_are() -> None:
    """That such rows open nothing, tests/unit/test_echo.py says."""
    outcomes = {APPLIED, UNCHANGED, SUPERSEDED}
    assert COUNTED.keys() == {"P04", "R19"}
    assert {outcome for counted in COUNTED.values() for outcome in counted} <= outcomes


def test_what_is_said_in_part_is_said_and_what_others_say_they_say() -> None:
    assert PARTLY.keys() <= {rule.id for rule in RULES} | SAME.keys()
    assert {code for codes in SAME.values() for code in codes} <= CODES.keys()


def test_a_code_stands_once() -> None:
    assert len(CODES) == len(RULES)


def test_no_scenario_names_a_code_that_nobody_gives() -> None:
    assert CODES.keys() >= FIRED


@pytest.mark.parametrize("code", sorted(CODES.keys() - ELSEWHERE.keys()))
def test_a_rule_fires_in_a_scenario_and_is_resolved_once_its_cause_is_gone(code: str) -> None:
    """That each scenario holds, tests/behavior says."""
    assert code in FIRED
    assert code in RESOLVED


@pytest.mark.parametrize("code", sorted(rule.code for rule in RULES if rule.until))
def test_a_rule_that_waits_only_warns_until_its_name_is_switched_on(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = CODES[code]
    sinks = (EVERY, "directory", "enrollment", "billing")
    assert {waiting.effect_on(sink) for sink in sinks} == {WARN}
    assert waiting.effect_text == WARN
    monkeypatch.setattr(rule, "ON", frozenset({waiting.until}))
    assert {waiting.effect_on(sink) for sink in sinks} != {WARN}, "it waits for nothing"


def test_a_rule_that_raises_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(facts: Any) -> list[str]:
        raise ValueError(facts.root.npi)

    monkeypatch.setattr(book, "_applying", lambda kind, records: (("licence.lapsed", broken),))
    known = golden_of("provider", "id", {"provider": {"id": {"npi": "1234567893"}}})
    with pytest.raises(book.RuleFailed) as caught:
        book.findings(today(known, lambda kind, entity_id: None, TODAY))
    assert caught.value.code == str(caught.value) == "licence.lapsed"
