"""A fifth system is one folder, one mapping file, its authority rows, its handoffs and one line of the registry.

An electronic health record is added to a copy of the project as docs/adding-a-system.md says, with nothing else changed,
and the page's own commands answer there.
"""

from __future__ import annotations

import json

import pytest

from stack.layout import PROJECT
from tests.fixtures import fifth
from tests.fixtures.fifth import Copy

PAGE = (PROJECT / "docs" / "adding-a-system.md").read_text("utf-8")
WALKERS = (
    "tests/unit/test_systems.py",
    "tests/unit/test_source.py",
    "tests/unit/test_mapping_files.py",
    "tests/unit/test_registry.py",
    "tests/unit/test_request.py",
    "tests/unit/test_topics.py",
    "tests/unit/test_imports_point_one_way.py",
    "tests/contract/test_adapters_keep_to_authority.py",
    "tests/contract/test_authority_matrix.py",
)
"""Tests that walk the registry: in the copy they judge the fifth system as they do the others."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    return fifth.assemble(tmp_path_factory.mktemp("fifth") / "project")


def test_the_page_shows_every_line_that_changes_in_a_file_that_is_there() -> None:
    shown = {line.strip() for line in PAGE.splitlines()}
    missing = [
        line for edit in fifth.edits() for line in edit.added if line.strip() and line.strip() not in shown
    ]
    assert missing == []


def test_the_page_names_every_file_of_the_folder() -> None:
    files = [path.name for path in (fifth.HERE / "ehr").iterdir() if path.is_file()]
    assert [name for name in files if f"`{name}`" not in PAGE] == []


def test_one_line_of_the_registry_is_all_the_code_that_changes() -> None:
    lines = [line for edit in fifth.edits() if edit.file.endswith(".py") for line in edit.added]
    assert len(lines) == 1
    assert {edit.file for edit in fifth.edits()} == {
        "streams/systems.py",
        "schemas/authority.toml",
        "schemas/handoffs.toml",
    }


def test_the_authority_file_is_total_and_not_contradictory(copy: Copy) -> None:
    checked = copy.concord("authority", "check")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_its_topics_have_contracts_that_hold(copy: Copy) -> None:
    checked = copy.concord("schema", "check")
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout


def test_what_it_reports_is_judged_as_its_authority_rows_say_and_an_echo_stops(copy: Copy) -> None:
    scenarios = sorted(f"tests/behavior/{path.name}" for path in (fifth.HERE / "behavior").iterdir())
    played = copy.concord("test", *scenarios)
    assert played.returncode == 0, played.stdout + played.stderr
    assert played.stdout.count("holds  ") == len(scenarios) == 4


def test_its_topics_stand_in_the_catalogue_and_its_views_have_contracts(copy: Copy) -> None:
    asked = "import json; from streams.topics import CATALOGUE; from schemas.registry import schema_files"
    told = "print(json.dumps([[t.name for t in CATALOGUE], [f.subject for f in schema_files()]]))"
    found = copy.python(f"{asked}; {told}")
    assert found.returncode == 0, found.stderr
    topics, subjects = json.loads(found.stdout)
    assert {"cdc.ehr", "claims.ehr", "rejection.ehr", "sink.ehr.location", "sink.ehr.provider"} <= set(topics)
    assert {"sink.ehr.location-value", "sink.ehr.provider-value", "rejection.ehr-value"} <= set(subjects)


def test_whatever_walks_the_registry_finds_nothing_wrong_with_it(copy: Copy) -> None:
    assert copy.run("streams.operate.matrix").returncode == 0
    walked = copy.run("pytest", "-q", "-p", "no:cacheprovider", *WALKERS)
    assert walked.returncode == 0, walked.stdout[-4000:]
