"""Explain says who won each value and what became of the others, and whose the rows under a system's own id are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.envelope import Change
from connectors.stewardship.verdict import Word
from schemas.authority import load_authority
from streams.cli.output import plain
from streams.cli.show import explain_text
from streams.operate.explain import Explanation, explanation
from streams.operate.find import Located
from streams.operate.narrow import narrow
from streams.operate.sandbox import Sandbox

ANN = {"npi": "1234567893", "last_name": "Sample", "first_name": "Ann", "degree": "MD", "status": "active"}
AT_HOME = {"middle_name": "Blake", "languages": ["en"], "dob": "1971-02-03"}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """Ann stands in the directory and in enrollment."""
    made = Sandbox(tmp_path, ("directory", "enrollment"))
    made.snapshot([Change("provider", {"provider_id": "ann", **ANN, **AT_HOME})])
    yield made
    made.close()


def explained(sandbox: Sandbox, name: str = "provider/ann") -> Explanation:
    entity = sandbox.entity(name)
    assert entity is not None
    return explanation(Located(entity, "here"), {}, load_authority(), sandbox.handler.state.as_of)


def edited(sandbox: Sandbox, system: str, table: str, **row: Any) -> Explanation:
    reference = {"directory": "cred_provider_ref", "enrollment": "cred_ref"}[system]
    sandbox.edit(system, table, {reference: "ann", **row})
    return explained(sandbox)


def field(found: Explanation, record: str, name: str) -> Any:
    (each,) = [f for f in found.fields if (f.record, f.field) == (record, name)]
    return each


def test_every_value_names_who_said_it_and_by_which_rule(sandbox: Sandbox) -> None:
    found = explained(sandbox)
    degree = field(found, "provider", "degree")
    assert (degree.value, degree.rule, degree.lost) == ("MD", "source_of_truth", [])
    assert [said.system for said in degree.won] == ["credentialing"]
    assert found.authority == load_authority().version


def test_systems_that_hold_what_they_were_sent_dispute_nothing(sandbox: Sandbox) -> None:
    """An initial instead of a middle name, upper case, a name of one's own: the view's words are no other value."""
    assert [f for f in explained(sandbox).fields if f.lost] == []


def test_a_proposal_is_told_with_its_value_and_what_became_of_it(sandbox: Sandbox) -> None:
    found = edited(sandbox, "directory", "dir_provider", credential_text="DO")
    (said,) = field(found, "provider", "degree").lost
    assert (said.system, said.column, said.value) == ("directory", "credential_text", "DO")
    assert "waits for a ruling" in said.why
    assert "disputed values" in explain_text(found)


def test_who_decided_a_proposal_is_told_with_their_reasons(tmp_path: Path) -> None:
    made = Sandbox(tmp_path / "decided", ("directory", "stewardship"))
    made.snapshot([Change("provider", {"provider_id": "ann", **ANN, **AT_HOME})])
    made.edit("directory", "dir_provider", {"cred_provider_ref": "ann", "credential_text": "DO"})
    word = Word("pat", "data_steward", "approve", "diploma seen", {"diploma": "DOC-1"})
    made.rule("provider/ann", "directory/provider/1/degree", word)
    found = explained(made)
    made.close()
    (said,) = found.decisions
    assert (said.system, said.field, said.value, said.state) == ("directory", "degree", "DO", "approved")
    assert [" ".join(word.split()) for word in said.words] == [
        "pat (data_steward): approve, having seen diploma", "pat: approve: diploma seen",
    ]  # fmt: skip
    assert "its owner is to make it" in field(found, "provider", "degree").lost[0].why
    assert f"proposal {said.proposal}" in explain_text(found)


def test_an_overruled_edit_is_told_the_same_day_although_nobody_holds_it_any_more(sandbox: Sandbox) -> None:
    found = edited(sandbox, "directory", "dir_provider", npi_number="1245319599")
    (said,) = field(found, "provider", "npi").lost
    assert said.system == "directory"
    assert said.why


def test_of_a_union_everybody_who_says_something_has_won(sandbox: Sandbox) -> None:
    found = edited(sandbox, "directory", "dir_provider", langs=["en", "es"])
    languages = field(found, "provider", "languages")
    assert {said.system for said in languages.won} == {"credentialing", "directory"}
    assert languages.lost == []


def test_a_value_that_another_owner_says_comes_from_its_row(sandbox: Sandbox) -> None:
    found = edited(sandbox, "directory", "dir_provider", display_name="Dr. Ann Sample")
    assert [said.system for said in field(found, "provider", "display_name").won] == ["directory"]
    (sink,) = [sink for sink in found.sinks if sink.system == "directory"]
    (told,) = [value for value in sink.values if value.path == "languages"]
    assert [origin.system for origin in told.origins] == ["credentialing"]


def test_each_system_tells_what_it_was_sent_and_what_it_confirmed(sandbox: Sandbox) -> None:
    sandbox.deliveries = 0
    found = edited(sandbox, "directory", "dir_provider", credential_text="DO")
    told = {each.system: each for each in found.standings}
    assert (told["enrollment"].state, told["enrollment"].since) == ("equal", "")
    directory = told["directory"]
    assert (directory.state, directory.sent, directory.confirmed) == ("in_flight", 2, 1)
    assert directory.since
    assert directory.fields == ["provider.degree"]


def test_an_edit_of_who_was_withdrawn_is_told_as_left(sandbox: Sandbox) -> None:
    sandbox.commit(
        [Change("provider", {"provider_id": "ann", **ANN, **AT_HOME, "status": "terminated"}, "u")]
    )
    found = edited(sandbox, "directory", "dir_provider", credential_text="DO")
    (said,) = field(found, "provider", "degree").lost
    assert (said.system, said.value) == ("directory", "DO")
    assert "withdrawn there" in said.why
    assert [f.field for f in found.fields for said in f.lost if said.system == "directory"] == ["degree"]


def test_a_local_row_says_whose_it_is(sandbox: Sandbox) -> None:
    found = explained(sandbox, "directory.provider/1")
    assert found.verdict.state == "local"
    assert found.belongs.startswith("belongs to provider/ann")


def test_a_local_row_of_nobody_says_why(sandbox: Sandbox) -> None:
    sandbox.edit("directory", "dir_provider", {"dir_provider_id": 9, "npi_number": "1245319599"})
    found = explained(sandbox, "directory.provider/9")
    assert found.belongs.startswith("nobody's")
    assert "concord explain 1245319599" in found.belongs
    assert [f.code for f in found.findings] == ["identity.unlinked"]


def test_restricted_values_stay_masked(sandbox: Sandbox) -> None:
    found = explained(sandbox)
    assert field(found, "provider", "date_of_birth").value == "•••"
    assert "1971-02-03" not in json.dumps(plain(found))


def test_one_field_alone_can_be_asked_for(sandbox: Sandbox) -> None:
    found = edited(sandbox, "directory", "dir_provider", credential_text="DO")
    (only,) = narrow([found], "degree")
    assert {f.field for f in only.fields} == {"degree"}
