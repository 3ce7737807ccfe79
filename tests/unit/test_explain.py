"""Explain derives its answer from the stored entity alone: origins, authority, refusals, verdicts, and no S1 value."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from connectors.envelope import Change
from schemas.authority import load_authority
from streams.cli.output import plain
from streams.cli.show import explain_text
from streams.core import entity as core_entity
from streams.errors import InvalidInput
from streams.operate.explain import Explanation, decided_on, explanation
from streams.operate.find import Located, holders, names
from streams.operate.masking import HIDDEN, mask, restricted_paths, shown
from streams.operate.narrow import narrow, sources
from streams.operate.sandbox import Sandbox
from streams.operate.told import Told

WHO, PLACE, GROUP = (f"00000000-0000-0000-0000-00000000000{n}" for n in (1, 2, 3))
TIN, BIRTH = "987654321", "1971-02-03"
PROVIDER = {
    "provider_id": WHO,
    "npi": "1234567893",
    "first_name": "Ann",
    "last_name": "Quillfeather",
    "dob": BIRTH,
    "status": "active",
}
ROWS = [
    Change("organization", {"org_id": GROUP, "legal_name": "Quill Clinic", "tin": TIN, "npi": "1245319599"}),
    Change(
        "practice_location",
        {"location_id": PLACE, "org_id": GROUP, "name": "Quill North", "line1": "1 Elm", "state": "OH"},
    ),
    Change("provider", PROVIDER),
    Change(
        "provider_location",
        {
            "id": "pl",
            "provider_id": WHO,
            "location_id": PLACE,
            "is_primary": True,
            "effective_from": "2020-01-01",
        },
    ),
    Change("dea_registration", {"dea_id": "d", "provider_id": WHO, "number": "AB1234563", "state": "OH"}),
]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    made = Sandbox(tmp_path)
    made.commit(ROWS)
    return made


def explained(sandbox: Sandbox, name: str = f"provider/{WHO}") -> Explanation:
    entity = sandbox.entity(name)
    assert entity is not None
    references = {ref: found for ref in entity.depends if (found := sandbox.entity(ref)) is not None}
    as_of = sandbox.handler.state.as_of
    return explanation(Located(entity, "worker/test"), references, load_authority(), as_of)


def told(found: Explanation, system: str, path: str) -> Told:
    (sink,) = [sink for sink in found.sinks if sink.system == system]
    (value,) = [value for value in sink.values if value.path == path]
    return value


def test_each_value_names_the_committed_row_and_column_it_came_from(sandbox: Sandbox) -> None:
    value = plain(told(explained(sandbox), "billing", "last_name"))
    assert (value["value"], value["column"]) == ("QUILLFEATHER", "bil_rendering.last_nm")
    (origin,) = value["origins"]
    assert (origin["system"], origin["table"], origin["column"]) == ("credentialing", "provider", "last_name")
    assert (origin["row"], origin["owner"], origin["txid"]) == (WHO, "credentialing", sandbox.source.txid)
    assert origin["position"].startswith("1/")
    assert origin["committed_at"]


def test_a_value_of_a_reference_names_the_references_row(sandbox: Sandbox) -> None:
    value = plain(told(explained(sandbox), "enrollment", "groups[0].group_npi"))
    (origin,) = value["origins"]
    assert (origin["entity"], origin["table"], origin["column"]) == (
        f"organization/{GROUP}",
        "organization",
        "npi",
    )


def test_of_several_possible_sources_the_one_that_counts_is_named(sandbox: Sandbox) -> None:
    sandbox.commit([Change("network_participation", {
        "id": "n", "provider_id": WHO, "payer": "Fernhollow", "par_status": "par", "effective": "2021-01-01",
    })])  # fmt: skip
    value = plain(told(explained(sandbox), "directory", "listings[0].group_name"))
    assert [origin["column"] for origin in value["origins"]] == ["legal_name"]


def test_no_restricted_value_is_in_the_answer_or_its_text(sandbox: Sandbox) -> None:
    for name in (f"provider/{WHO}", f"organization/{GROUP}"):
        found = explained(sandbox, name)
        for text in (json.dumps(plain(found), ensure_ascii=False), explain_text(found)):
            assert TIN not in text
            assert BIRTH not in text
            assert HIDDEN in text


def test_a_refused_value_is_told_by_its_code_and_the_last_good_one_kept(sandbox: Sandbox) -> None:
    sandbox.commit([Change("provider", {**PROVIDER, "npi": "1234567890"})])
    found = explained(sandbox)
    (npi,) = [v for row in found.claims if row.record == "provider" for v in row.values if v.field == "npi"]
    assert (npi.refused, npi.value, npi.refused_value) == (
        "format.npi_check_digit",
        "1234567893",
        "1234567890",
    )
    (refused,) = [f for f in found.findings if f.code == "format.npi_check_digit"]
    assert refused.action


def test_a_refused_value_that_is_not_public_is_never_shown(sandbox: Sandbox) -> None:
    sandbox.commit([Change("dea_registration", {
        "dea_id": "d", "provider_id": WHO, "number": "AB1234567", "state": "OH",
    })])  # fmt: skip
    found = explained(sandbox)
    (number,) = [
        v for row in found.claims if row.record == "dea_registration" for v in row.values if v.refused
    ]
    assert (number.refused, number.refused_value) == ("format.dea_check_digit", HIDDEN)
    assert "AB1234567" not in json.dumps(plain(found))


def test_a_withdrawn_provider_is_withdrawn_because_of_its_status(sandbox: Sandbox) -> None:
    assert explained(sandbox).verdict.state == "active"
    sandbox.commit([Change("provider", {**PROVIDER, "status": "terminated"})])
    found = explained(sandbox)
    assert (found.verdict.state, found.verdict.because) == ("withdrawn", ["provider.terminated"])
    assert {sink.status for sink in found.sinks} == {"withdrawn"}


def test_a_held_provider_is_held_because_of_a_code(sandbox: Sandbox) -> None:
    place = {"id": "elsewhere", "provider_id": WHO, "location_id": "nowhere"}
    sandbox.commit([Change("provider_location", place)])
    found = explained(sandbox)
    assert (found.verdict.state, found.verdict.because) == ("held", ["reference.unknown"])
    assert {sink.status for sink in found.sinks} == {"active"}  # they keep what they have


def test_systems_with_different_verdicts_are_told_apart(sandbox: Sandbox) -> None:
    assert explained(sandbox).by_sink == {}
    sandbox.commit([Change("committee_decision", {"id": "no", "provider_id": WHO, "decision": "deny"})])
    found = explained(sandbox)
    told = {sink: (v.state, v.because) for sink, v in found.by_sink.items()}
    assert told["directory"] == ("withdrawn", ["credentialing.denied"])
    assert told["enrollment"] == told["billing"] == ("held", ["credentialing.denied"])
    assert "directory withdrawn because credentialing.denied" in explain_text(found)


def test_an_npi_leads_to_who_holds_it(sandbox: Sandbox) -> None:
    (name,) = names("1234567893")
    npi = sandbox.entity(name)
    assert npi is not None
    assert holders(npi) == [f"provider/{WHO}"]


def test_a_key_is_an_npi_a_uuid_or_a_name() -> None:
    assert names(" 1234567893 ") == ["npi/1234567893"]
    assert names(WHO) == [f"provider/{WHO}", f"organization/{WHO}", f"location/{WHO}"]
    assert names(f"location/{PLACE}") == [f"location/{PLACE}"]


@pytest.mark.parametrize("key", ["", "123", "Ann Quillfeather", "12345678930"])
def test_anything_else_is_refused_with_what_to_give(key: str) -> None:
    with pytest.raises(InvalidInput, match="uuid") as refused:
        names(key)
    assert refused.value.exit_code == 2


def test_a_mask_shows_the_end_of_a_tin_and_nothing_else() -> None:
    assert (mask(TIN), mask(BIRTH), mask(["x"]), mask(None)) == ("•••4321", HIDDEN, HIDDEN, None)
    assert shown("organization", "tin", TIN) == "•••4321"
    assert shown("organization", "legal_name", "Quill Clinic") == "Quill Clinic"
    assert restricted_paths("enrollment", "provider") == {"groups[].group_tax_id"}


# ---- another day, one field ----


def known(sandbox: Sandbox, names: Iterable[str]) -> Iterator[Located]:
    for name in names:
        entity = sandbox.entity(name)
        if entity is not None:
            yield Located(entity, "worker/test")


def test_another_day_shows_what_would_be_sent_on_it_and_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.commit([Change("taxonomy", {
        "taxonomy_id": "later", "provider_id": WHO, "nucc_code": "207R00000X", "is_primary": True,
        "effective_from": "2031-01-01",
    })])  # fmt: skip
    entity = sandbox.entity(f"provider/{WHO}")
    assert entity is not None
    before = core_entity.encode(entity)

    def find(names: Iterable[str]) -> Iterator[Located]:
        return known(sandbox, names)

    then = decided_on("2031-01-01", entity, find, load_authority())
    references = {item.name: item.entity for item in find(then.depends)}
    found = explanation(Located(then, "worker/test"), references, load_authority(), "2031-01-01")
    assert told(found, "billing", "taxonomy_code").value == "207R00000X"
    assert told(explained(sandbox), "billing", "taxonomy_code").value != "207R00000X"
    assert core_entity.encode(entity) == before


def test_a_field_narrows_the_answer_to_its_claims_and_the_values_made_of_them(sandbox: Sandbox) -> None:
    (found,) = narrow([explained(sandbox)], "provider.last_name")
    assert {(row.record, value.field) for row in found.claims for value in row.values} == {
        ("provider", "last_name")
    }
    paths = {(sink.system, value.path) for sink in found.sinks for value in sink.values}
    assert ("billing", "last_name") in paths
    assert {path for _, path in paths} == {"last_name", "display_name"}


def test_a_views_path_brings_the_claims_it_is_made_of(sandbox: Sandbox) -> None:
    sandbox.commit([Change("taxonomy", {
        "taxonomy_id": "t", "provider_id": WHO, "nucc_code": "207R00000X", "is_primary": True,
    })])  # fmt: skip
    (found,) = narrow([explained(sandbox)], "taxonomy_code")
    assert {row.record for row in found.claims} == {"taxonomy"}


def test_a_name_that_names_nothing_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"explain\.field_unknown") as refused:
        sources("provider.lastname")
    assert "provider.last_name" in refused.value.next_step
