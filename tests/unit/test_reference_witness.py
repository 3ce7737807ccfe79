"""What witnesses claim: one claim a row, at a position that rises, null where a row is gone or never was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.reference import announcements
from connectors.reference.holder import Holder, announced, stored
from connectors.reference.ledger import Ledger
from connectors.reference.sources import named
from connectors.reference.store import Folder
from connectors.reference.witness import Claim, Witness, claims
from streams.agents.said import NPI_TOPIC
from tests.fixtures.decider import Bench
from tests.published import DARK, EXCLUDED, GROUP, LEIE, NPPES, PERSON, take, text, write
from tests.world import row

ANN = Holder("2234567891", "provider", "provider-1", True, (1, 5, 0), 7)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "reference")


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    return lambda content: write(tmp_path / "file.csv", content)


File = Callable[[str], Path]


def said(folder: Folder, source: str, holder: Holder = ANN) -> list[Claim]:
    with Witness(named(source), folder) as witness:
        return list(claims(witness, holder))


def test_a_row_is_claimed_whole_with_none_for_what_it_leaves_out(folder: Folder, file: File) -> None:
    loaded = take(folder, "nppes", file(text(NPPES, PERSON, GROUP)), as_of="2026-11-08")
    [claim] = said(folder, "nppes")
    assert (claim.witness, claim.kind, claim.id, claim.record) == ("nppes", "provider", "provider-1", "nppes")
    assert (claim.row, claim.as_of, claim.position) == (
        "2234567891",
        "2026-11-08",
        (loaded.version.load, 0, 7),
    )
    assert claim.values is not None
    assert (claim.values["last_name"], claim.values["replacement_npi"]) == ("QUILLMERE", None)


def test_a_deactivated_npi_claims_nothing_but_that(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(text(NPPES, DARK)))
    [claim] = said(folder, "nppes", Holder("2234567917", "provider", "p", True, (1, 5, 0), 7))
    assert claim.values is not None
    assert {name: value for name, value in claim.values.items() if value is not None} == {
        "nppes_npi": "2234567917", "status": "deactivated", "deactivated_on": "2024-03-04",
    }  # fmt: skip


def test_an_npi_no_witness_knows_is_said_not_to_be_there(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(text(NPPES, GROUP)))
    take(folder, "leie", file(text(LEIE, {**EXCLUDED, "NPI": "0000000000"})))
    assert [(claim.row, claim.values) for claim in said(folder, "nppes")] == [("2234567891", None)]
    assert [(claim.row, claim.values) for claim in said(folder, "leie")] == [("2234567891", None)]


def test_who_leaves_the_list_leaves_null_under_the_same_row(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)))
    [hit] = said(folder, "leie")
    take(folder, "leie", file(text(LEIE, {**EXCLUDED, "NPI": "", "LASTNAME": "OTHER"})), accept=True)
    [gone] = said(folder, "leie")
    assert (gone.row, gone.values) == (hit.row, None)
    assert gone.position > hit.position


def test_who_comes_back_to_the_list_is_claimed_again(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)))
    take(folder, "leie", file(text(LEIE, {**EXCLUDED, "NPI": "", "LASTNAME": "OTHER"})), accept=True)
    take(folder, "leie", file(text(LEIE, EXCLUDED)), accept=True)
    [claim] = said(folder, "leie")
    assert claim.values is not None


def test_several_rows_about_one_npi_are_several_claims(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED, {**EXCLUDED, "EXCLTYPE": "1128b4"})))
    assert sorted((claim.values or {})["exclusion_type"] for claim in said(folder, "leie")) == [
        "1128a1",
        "1128b4",
    ]


def test_who_no_longer_holds_the_npi_is_told_that_none_of_it_is_about_him(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(text(NPPES, PERSON)))
    [held] = said(folder, "nppes")
    [left] = said(folder, "nppes", Holder(ANN.npi, ANN.kind, ANN.id, False, (1, 6, 0), 9))
    assert (left.row, left.values) == (held.row, None)
    assert left.position > held.position


def test_the_same_load_and_holder_claim_the_same_again(folder: Folder, file: File) -> None:
    take(folder, "nppes", file(text(NPPES, PERSON)))
    assert said(folder, "nppes") == said(folder, "nppes")


# ---- who holds an NPI ----


def test_an_announcement_of_decide_is_understood(bench: Bench) -> None:
    bench.commit(row("provider", provider_id="provider-0", npi="1234567893"))
    [value] = [o.value for o in bench.settle() if o.topic == "claims.npi"]
    found = announced(value or b"", 3)
    assert found is not None
    assert (found.npi, found.kind, found.id, found.holds, found.place) == (
        "1234567893", "provider", "provider-0", True, 3,
    )  # fmt: skip
    assert NPI_TOPIC == announcements.TOPIC


@pytest.mark.parametrize(
    "value",
    [b"", b"{}", b"not json", b'{"npi":"1","kind":"location","id":"x","holds":true,"position":[1,2,3]}'],
)
def test_what_is_no_announcement_of_an_npis_holder_is_passed_over(value: bytes) -> None:
    assert announced(value, 0) is None


def test_holders_are_found_in_the_state_of_their_npi(bench: Bench) -> None:
    said: list[Any] = []
    for number, npi in enumerate(("1234567893", "1234567893", "1407071236")):
        bench.commit(row("provider", provider_id=f"provider-{number % 2}", npi=npi))
        said = [(o.key or b"", o.value or b"", []) for o in bench.settle() if o.topic == "claims.npi"]
        bench.feed(*said, topic="claims.npi")
    value = bench.partition.store.get(b"npi/1234567893")
    assert value is not None
    found = {holder.id: (holder.npi, holder.kind, holder.holds, holder.place) for holder in stored(value, -1)}
    assert found["provider-1"] == ("1234567893", "provider", True, -1)
    assert found.keys() == {"provider-0", "provider-1"}


def test_the_ledger_remembers_the_newest_of_each_holder_and_where_to_go_on(folder: Folder) -> None:
    later = Holder(ANN.npi, ANN.kind, ANN.id, False, (1, 9, 0), 9)
    other = Holder(ANN.npi, "organization", "org-1", True, (1, 2, -(2**62)), 8)
    with Ledger(folder) as ledger:
        assert ledger.newer([ANN, later, ANN, other]) == [later, other]
        ledger.remember([later, other], "claims.npi", "id-1", {0: 10})
        assert ledger.newer([ANN, later]) == []
        assert list(ledger.holding()) == [other]
    with Ledger(folder) as again:
        assert again.read_until("claims.npi", "id-1") == {0: 10}
        assert again.read_until("claims.npi", "id-2") == {}
