"""The schemas and contracts that are shipped pass the gate, and the gate closes for whatever breaks a consumer.

Every case is a copy of schemas/ with one thing made wrong, judged by the command that CI and contributors run.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.topic_contract import HERE
from schemas.versions import SEALED, digests
from streams.cli.main import app
from streams.errors import InvalidInput, Unavailable
from streams.operate import schemas
from streams.settings import Settings

VIEW = "view/directory.provider.v1.avsc"
Next = Callable[[Callable[[Any], object]], None]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = tmp_path / "schemas"
    shutil.copytree(HERE, found, ignore=shutil.ignore_patterns("*.py", "__pycache__", "mapping"))
    return found


@pytest.fixture
def next_version(root: Path) -> Next:
    """Write the directory's provider view anew, as version 2."""

    def write(edit: Callable[[Any], object]) -> None:
        schema = json.loads((root / VIEW).read_text("utf-8"))
        edit(schema)
        (root / VIEW.replace("v1", "v2")).write_text(json.dumps(schema), "utf-8")

    return write


def codes(root: Path) -> list[str]:
    return [p.code for p in schemas.check(root).problems if not p.warning]


def field(schema: Any, name: str) -> Any:
    return next(field for field in schema["fields"] if field["name"] == name)


def test_what_is_shipped_holds_and_every_version_is_sealed() -> None:
    checked = schemas.check()
    assert checked.problems == []
    assert checked.parsers == ["fastavro", "avro"]
    assert checked.contracts == 14


def test_the_command_closes_the_gate_and_tells_every_problem_at_once(root: Path, next_version: Next) -> None:
    def break_it(schema: Any) -> None:
        schema["fields"].remove(field(schema, "provider_id"))
        field(schema, "npi")["type"] = ["null", "long"]
        field(schema, "languages")["default"] = ["en"]
        schema["fields"].append({"name": "date_of_birth", "type": ["null", "string"], "class": "S1"})

    next_version(break_it)
    done = CliRunner().invoke(app, ["schema", "check", str(root), "--json"])
    said = json.loads(done.stdout)
    assert (done.exit_code, said["ok"]) == (2, False)
    place = f"schemas/{VIEW.replace('v1', 'v2')}"
    assert sorted((p["code"], p["where"]) for p in said["result"]["problems"] if not p["warning"]) == [
        ("contract.key", "schemas/contract/sink.directory.provider.toml:1"),
        ("schema.default", f"{place}:date_of_birth"),
        ("schema.default", f"{place}:provider_id"),
        ("schema.default_changed", f"{place}:languages"),
        ("schema.meaning", f"{place}:date_of_birth"),
        ("schema.not_cleared", f"{place}:date_of_birth"),
        ("schema.type", f"{place}:npi"),
        ("schema.type", f"{place}:npi"),
    ]
    text = CliRunner().invoke(app, ["schema", "check", str(root)])
    assert text.exit_code == 2
    assert "breaks readers of v1" in text.stdout
    assert text.stdout.count("fix: ") == text.stdout.count("why: ") == len(said["result"]["problems"])


def test_whatever_is_wrong_in_any_file_is_refused_at_once_with_its_place_its_reason_and_its_cure(
    root: Path,
) -> None:
    (root / "view" / "directory.location.v2.avsc").write_text('{"type": "record", "name": ', "utf-8")
    contract_file = root / "contract" / "sink.billing.provider.toml"
    contract_file.write_text(
        contract_file.read_text("utf-8").replace('owner = "billing_lead"\n', ""), "utf-8"
    )
    edited = root / "view" / "enrollment.provider.v1.avsc"
    edited.write_text(edited.read_text("utf-8").replace('"doc": "', '"doc": "Edited. ', 1), "utf-8")
    restricted = json.loads((root / VIEW).read_text("utf-8"))
    birth = {"name": "birth", "type": ["null", "string"], "default": None, "doc": "Born.", "class": "S1"}
    restricted["fields"].append(birth)
    (root / VIEW.replace("v1", "v2")).write_text(json.dumps(restricted), "utf-8")
    canonical = root / "canonical.toml"
    ownerless = '[license.fields]\nnobodys = { type = "text", class = "public" }'
    canonical.write_text(canonical.read_text("utf-8").replace("[license.fields]", ownerless), "utf-8")

    done = CliRunner().invoke(app, ["schema", "check", str(root), "--json"])
    problems = [p for p in json.loads(done.stdout)["result"]["problems"] if not p["warning"]]
    assert done.exit_code == 2
    expected = {
        "schema.syntax": "schemas/view/directory.location.v2.avsc",
        "contract.key_missing": "schemas/contract/sink.billing.provider.toml",
        "schema.sealed_edited": "schemas/view/enrollment.provider.v1.avsc",
        "schema.not_cleared": "schemas/view/directory.provider.v2.avsc:birth",
        "authority.field_missing": "authority.toml",
    }
    assert {p["code"] for p in problems} == set(expected), problems
    for problem in problems:
        assert expected[problem["code"]] in problem["where"]
        assert problem["what"]
        assert problem["why"]
        assert problem["fix"]


def test_a_safe_version_passes_and_may_be_sealed(root: Path, next_version: Next) -> None:
    added = {"name": "pronouns", "type": ["null", "string"], "default": None, "doc": "As the provider says."}
    next_version(lambda schema: schema["fields"].append(added))
    checked = schemas.check(root)
    assert (checked.sound, checked.unsealed) == (True, [VIEW.replace("v1", "v2")])
    before = digests(root)
    assert schemas.seal(root) == [VIEW.replace("v1", "v2")]
    assert before.items() < digests(root).items()
    assert schemas.seal(root) == []


def test_a_breaking_version_is_never_sealed(root: Path, next_version: Next) -> None:
    next_version(lambda schema: schema["fields"].pop(0))
    with pytest.raises(InvalidInput) as caught:
        schemas.seal(root)
    assert caught.value.code == "schema.default"
    assert VIEW.replace("v1", "v2") not in digests(root)


def test_an_edited_old_version_is_refused(root: Path) -> None:
    (root / VIEW).write_text((root / VIEW).read_text("utf-8").replace("Family name.", "Last name."), "utf-8")
    assert codes(root) == ["schema.sealed_edited"]


def test_a_removed_old_version_is_refused(root: Path) -> None:
    (root / "finding.v1.avsc").unlink()
    assert sorted(codes(root)) == ["schema.gap", "schema.sealed_missing"]


def test_an_earlier_version_that_nobody_sealed_is_refused(root: Path) -> None:
    kept = [line for line in (root / SEALED).read_text().splitlines() if "finding.v1" not in line]
    (root / SEALED).write_text("\n".join(kept) + "\n")
    assert codes(root) == ["schema.not_sealed"]


def test_a_gap_between_versions_is_refused(root: Path) -> None:
    shutil.copy(root / VIEW, root / VIEW.replace("v1", "v3"))
    assert codes(root) == ["schema.gap"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"type": "record", "name": "X"}',
        '{"type": "record", "name": "X", "fields": [{"name": "a", "type": "Nowhere"}]}',
        '{"type": "enum", "name": "X", "symbols": ["not a name"]}',
    ],
    ids=["no JSON", "no fields", "an undefined type", "a bad symbol"],
)
def test_a_schema_that_does_not_parse_is_refused_with_its_path(root: Path, text: str) -> None:
    (root / "view" / "billing.location.v2.avsc").write_text(text)
    [problem] = schemas.check(root).problems
    assert (problem.code, problem.where) == ("schema.syntax", "schemas/view/billing.location.v2.avsc")


def test_a_file_that_is_not_called_as_a_version_is_refused(root: Path) -> None:
    shutil.copy(root / VIEW, root / "view" / "directory.provider.avsc")
    assert codes(root) == ["schema.name"]


def test_a_type_no_worker_can_write_is_refused(root: Path, next_version: Next) -> None:
    kind = {"type": "enum", "name": "Day", "symbols": ["mon", "unknown"], "default": "unknown"}
    new = {"name": "day", "type": kind, "default": "unknown", "doc": "A day."}
    next_version(lambda schema: schema["fields"].append(new))
    assert codes(root) == ["schema.not_written"]


def test_a_field_may_not_lose_the_class_of_what_it_is_made_of(root: Path) -> None:
    """In its first version, too: where there is no earlier one to compare with."""
    path = root / "view" / "billing.organization.v1.avsc"
    schema = json.loads(path.read_text("utf-8"))
    del field(schema, "tin")["class"]
    path.write_text(json.dumps(schema), "utf-8")
    assert codes(root) == ["schema.sealed_edited", "schema.class_dropped"]


def contract(root: Path, old: str, new: str) -> list[str]:
    """What is wrong once this text of a contract is another."""
    path = root / "contract" / "sink.directory.provider.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")
    return codes(root)


def test_a_contract_without_an_owner_is_refused(root: Path) -> None:
    assert contract(root, 'owner = "directory_manager"\n', "") == ["contract.key_missing"]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ('owner = "directory_manager"', 'owner = ""', "contract.type_wrong"),
        ('classification = "public"', 'classification = "secret"', "contract.name_unknown"),
        ('key = "provider_id"', 'key = "npi"', "contract.key"),
        ('readers = ["concord-directory"]', 'readers = ["no name"]', "contract.type_wrong"),
        ("title =", "titel =", "contract.key_unknown"),
        ("title =", "retention = { history_hours = 1, tombstone_days = 90 }\ntitle =", "contract.retention"),
        ("title =", 'retention = { history_hours = "unlimited" }\ntitle =', "contract.retention"),
        ("title =", 'retention = { history_hours = "long" }\ntitle =', "contract.type_wrong"),
        ("title =", "title", "contract.syntax"),
    ],
)
def test_a_wrong_contract_is_refused(root: Path, old: str, new: str, code: str) -> None:
    assert code in contract(root, old, new)


def test_a_topic_without_a_contract_and_a_contract_without_a_topic_are_refused(root: Path) -> None:
    folder = root / "contract"
    (folder / "sink.directory.provider.toml").rename(folder / "sink.dictionary.provider.toml")
    assert sorted(codes(root)) == ["contract.missing", "contract.topic_unknown"]


def test_a_restricted_field_does_not_fit_into_a_public_topic(root: Path) -> None:
    path = root / "contract" / "sink.billing.organization.toml"
    path.write_text(path.read_text("utf-8").replace('"restricted"', '"public"'), "utf-8")
    assert codes(root) == ["schema.not_cleared"]


OURS = Settings(registry="http://127.0.0.1:9/apis/ccompat/v7")
OTHERS = Settings(registry="https://schemas.example.org/apis/ccompat/v7")


def test_a_registry_that_others_use_is_published_to_from_ci_only() -> None:
    with pytest.raises(InvalidInput) as caught:
        schemas.publish(OTHERS, in_ci=False)
    assert caught.value.code == "schema.publish_by_hand"
    with pytest.raises(Unavailable):
        schemas.publish(OURS, in_ci=False)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["schema", "check", str(tmp_path / "nowhere")])
    assert done.exit_code == 2
