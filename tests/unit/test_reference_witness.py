"""What witnesses claim: one claim a row, at a position that rises, null where a row is gone or never was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from connectors.reference import announcements
from connectors.reference.holder import Holder, announced, stored
from connectors.reference.ledger import Ledger
from connectors.reference.refusal import Unusable
from connectors.reference.sources import WITNESSES, named
from connectors.reference.store import Folder
from connectors.reference.witness import Claim, Witness, claims, entities, open_all
from streams.agents.said import NPI_TOPIC
from tests.fixtures.decider import Bench, rekeyed_root
from tests.published import DARK, EXCLUDED, GROUP, LEIE, NPPES, PERSON, take, text, write
from tests.world import row

DAY = date(2026, 11, 20)
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
        return [c for c in claims(witness, holder, DAY) if c.record == witness.source.record]


def searched(folder: Folder, source: str, holder: Holder = ANN, day: date = DAY) -> Claim:
    """What is said of the search itself."""
    with Witness(named(source), folder) as witness:
        [claim] = [c for c in claims(witness, holder, day) if c.record == witness.source.search]
        return claim


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
    assert said(folder, "leie") == []
    for source in ("nppes", "leie"):
        claim = searched(folder, source)
        assert (claim.row, (claim.values or {})["found"]) == ("2234567891", 0)


def test_a_search_says_of_which_list_when_and_what_it_found(folder: Folder, file: File) -> None:
    loaded = take(folder, "nppes", file(text(NPPES, DARK)), as_of="2026-11-08")
    claim = searched(folder, "nppes", Holder("2234567917", "provider", "p", True, (1, 5, 0), 7))
    assert (claim.witness, claim.record) == ("nppes", "nppes_search")
    assert claim.values == {"list_of": "2026-11-08", "searched_on": "2026-11-20", "found": 1}
    assert claim.position == (loaded.version.load, DAY.toordinal(), 7)


def test_the_same_list_searched_on_a_later_day_is_a_newer_search(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)))
    before, after = searched(folder, "leie"), searched(folder, "leie", day=date(2026, 11, 30))
    assert after.position > before.position
    assert (after.values or {})["searched_on"] == "2026-11-30"


def test_a_search_for_an_npi_held_no_longer_is_taken_back(folder: Folder, file: File) -> None:
    take(folder, "leie", file(text(LEIE, EXCLUDED)))
    left = searched(folder, "leie", Holder(ANN.npi, ANN.kind, ANN.id, False, (1, 6, 0), 9))
    assert left.values is None
    assert left.position > searched(folder, "leie").position


def test_of_a_source_that_was_never_loaded_nothing_is_searched(folder: Folder) -> None:
    assert open_all(folder, list(WITNESSES.values())) == []


def test_a_file_that_cannot_be_read_leaves_the_search_with_the_list_before(
    folder: Folder, file: File
) -> None:
    """Unavailable is never clear: the failed file says nothing of anybody."""
    take(folder, "leie", file(text(LEIE, EXCLUDED)), as_of="2026-11-01")
    with pytest.raises(Unusable):
        take(folder, "leie", file("<html>503</html>"), as_of="2026-11-19")
    assert (searched(folder, "leie").values or {})["list_of"] == "2026-11-01"


def test_codes_are_entities_of_their_own_and_the_list_comes_last(folder: Folder, file: File) -> None:
    codes = "Code,Grouping,Classification,Specialization,Section\n207Q00000X,A,Family Medicine,,Individual\n"
    loaded = take(folder, "nucc", file(codes), as_of="2026-01-01")
    with Witness(named("nucc"), folder) as witness:
        code, whole = list(entities(witness))
    assert (code.kind, code.id, code.record, code.row) == ("nucc", "207Q00000X", "nucc", "207Q00000X")
    assert (code.values or {})["classification"] == "Family Medicine"
    assert (whole.id, (whole.values or {})["list_of"]) == ("list", "2026-01-01")
    assert code.position == whole.position == (loaded.version.load, 0, 0)


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


def test_an_announcement_is_understood_whatever_row_touched_the_holder_last(bench: Bench) -> None:
    """A re-keyed row's position has four numbers: who was announced at one was screened by nobody."""
    bench.commit(row("provider", provider_id="provider-0", npi="1234567893"))
    bench.feed(rekeyed_root(5), topic="claims.directory")
    [value] = [o.value for o in bench.settle() if o.topic == "claims.npi"]
    assert announced(value or b"", 3) is not None
    told = b'{"npi":"1234567893","kind":"provider","id":"provider-0","holds":true,"position":[1,5,6,1]}'
    found = announced(told, 3)
    assert found is not None
    assert found.position == (1, 5, 6)
    bench.feed((b"1234567893", told, []), topic="claims.npi")
    [holder] = stored(bench.partition.store.get(b"npi/1234567893") or b"", -1)
    assert holder.id == "provider-0"


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
