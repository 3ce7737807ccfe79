"""Codes and their lists as data: every licence type's codes exist, every code Plan-Net lacks is one of NUCC's."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from streams.core.advance import World, decide
from streams.core.canonical import Nucc
from streams.core.entity import Golden
from streams.core.rules.code_set import KIND, LICENCE_TYPES, LIST, NO_SPECIALTY
from streams.core.rules.geography import FAR, STATE_FIPS
from streams.core.rules.taxonomy import NON_INDIVIDUAL
from tests.world import AUTHORITY, TODAY, golden_of, provider, references

DATA = Path(__file__).parents[3] / "shared" / "data"
public = pytest.mark.skipif(
    not DATA.exists(), reason="the public code sets are not beside the project (../shared/data)"
)


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


@public
def test_the_codes_plan_net_lacks_are_those_of_the_published_list() -> None:
    rows = table("nucc_taxonomy.csv")
    neither = {
        r["code"] for r in rows if "Y" not in (r["plannet_individual_vs"], r["plannet_nonindividual_vs"])
    }
    assert neither == NO_SPECIALTY
    agencies = {r["code"][:2] for r in rows if r["section"] == "Non-Individual"}
    assert agencies <= NON_INDIVIDUAL


@public
@pytest.mark.parametrize("prefix", sorted(LICENCE_TYPES))
def test_every_beginning_that_licences_are_mapped_to_begins_some_code(prefix: str) -> None:
    assert any(r["code"].startswith(prefix) for r in table("nucc_taxonomy.csv"))


@public
def test_states_and_their_counties_are_the_published_ones() -> None:
    known = {r["abbreviation"]: r["state_fips"] for r in table("fips_state.csv")}
    assert {state: known.get(state) for state in STATE_FIPS} == STATE_FIPS
    assert FAR.keys() <= STATE_FIPS.keys()


def nucc(code: str, **fields: str) -> Golden:
    return golden_of(KIND, code, {KIND: {code: {"code": code, **fields}}})


def findings(*codes: Golden) -> set[str]:
    known = {**references(), **{f"{g.kind}/{g.id}": g for g in codes}}
    entity = provider()
    decide(entity, World(AUTHORITY, lambda kind, entity_id: known.get(f"{kind}/{entity_id}"), TODAY), 0)
    assert f"{KIND}/{LIST}" in entity.depends, "a release decides everyone again"
    return set(entity.findings)


def test_without_a_list_no_code_is_wrong_and_nobody_is_held() -> None:
    assert findings() == set()
    assert findings(nucc("207Q00000X", retired_on="2020-01-01")) == set()


def test_a_code_of_the_list_passes_and_one_it_lacks_is_told() -> None:
    whole = nucc(LIST, list_of="2026-01-01")
    assert whole.one(Nucc) is not None
    assert findings(whole, nucc("207Q00000X")) == set()
    assert findings(whole) == {"taxonomy.code_unknown taxonomy/taxonomy-0/nucc_code"}


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({"usable_from": TODAY}, True),
        ({"usable_from": "2026-06-02"}, False),
        ({"retired_on": "2026-06-02"}, True),
        ({"retired_on": TODAY}, False),
    ],
)
def test_a_code_is_usable_from_its_day_until_the_day_it_is_retired(
    fields: dict[str, str], usable: bool
) -> None:
    found = findings(nucc(LIST, list_of="2026-01-01"), nucc("207Q00000X", **fields))
    assert found == (set() if usable else {"taxonomy.code_unusable taxonomy/taxonomy-0/nucc_code"})


def test_the_day_a_code_changes_is_a_day_its_holders_are_due() -> None:
    known = {
        **references(),
        "nucc/list": nucc(LIST, list_of="2026-01-01"),
        "nucc/207Q00000X": nucc("207Q00000X", retired_on="2026-10-01"),
    }
    entity = provider()
    decide(entity, World(AUTHORITY, lambda kind, entity_id: known.get(f"{kind}/{entity_id}"), TODAY), 0)
    assert entity.due == "2026-10-01"
