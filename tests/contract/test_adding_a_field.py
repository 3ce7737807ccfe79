"""A field goes from a column to a topic as docs/adding-a-field.md says: one command, and edits only in the files it names.

Done in a copy of the project, with the page's own command; then the copy's gate, authority file, scenario and tests judge it.
"""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest

from stack.layout import PROJECT
from tests.fixtures.fifth import FILES, PACKAGES, Copy

PAGE = (PROJECT / "docs" / "adding-a-field.md").read_text("utf-8")
BY_HAND = (
    ("streams/core/view.py", "    listings: list[Listing] = []\n", "    pronouns: str | None = None\n"),
    (
        "streams/core/view.py",
        "        [_listing(place, network, today) for place, network in today.listed],\n",
        "        root.pronouns,\n",
    ),
    (
        "streams/operate/provenance.py",
        '        **{f"listings[].{name}": leaf for name, leaf in _LISTING.items()},\n',
        '        "pronouns": _from("", "provider.pronouns"),\n',
    ),
)
"""File, the line it follows, the line: what the page leaves to people."""


def command() -> list[str]:
    """The page's first command, without what is said of it."""
    first = PAGE.split("    concord schema new-field", 1)[1].split("\n    concord", 1)[0]
    return ["schema", "new-field", *shlex.split(first.replace("\\\n", " "), comments=True)]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Copy:
    folder = tmp_path_factory.mktemp("field") / "project"
    for name in PACKAGES:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name in (*FILES, "catalog-info.yaml"):
        shutil.copy(PROJECT / name, folder / name)
    return Copy(folder)


@pytest.fixture(scope="module")
def scaffolded(copy: Copy) -> Copy:
    done = copy.concord(*command(), "--apply", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    named = json.loads(done.stdout)["result"]["by_hand"]
    for file, after, line in BY_HAND:
        assert file in named
        _insert(copy.folder / file, after, line)
    return copy


def _insert(path: Path, after: str, line: str) -> None:
    text = path.read_text("utf-8")
    assert after in text
    head, _, tail = text.partition(after)
    path.write_text(head + after + line + tail, "utf-8")


def test_without_apply_nothing_is_written(copy: Copy) -> None:
    done = copy.concord(*command())
    assert done.returncode == 0, done.stderr
    assert "would be written" in done.stdout
    assert not (copy.folder / "docs" / "changes").exists()


def test_the_page_names_every_file(scaffolded: Copy) -> None:
    done = scaffolded.concord(*[word.replace("pronouns", "prefix") for word in command()], "--json")
    planned = json.loads(done.stdout)["result"]
    named = [*planned["files"], *planned["by_hand"]]
    shown = [name.replace("prefix", "pronouns").rpartition("/")[2] for name in named]
    assert [name for name in shown if name not in PAGE] == []


def test_the_gate_and_the_authority_file_hold(scaffolded: Copy) -> None:
    for words in (("schema", "check"), ("authority", "check")):
        done = scaffolded.concord(*words)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_scenario_shows_the_field_in_the_view(scaffolded: Copy) -> None:
    done = scaffolded.concord("test", "tests/behavior/provider_pronouns.toml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_generated_has_drifted(scaffolded: Copy) -> None:
    module = "from schemas import canonical, catalog; print(canonical.module(catalog.load_catalog()) == canonical.MODULE"
    done = scaffolded.python(
        f"{module}.read_text()); from streams.operate import contract_pages as p; print(p.drifted())"
    )
    assert done.stdout.splitlines() == ["True", "[]"], done.stderr


def test_the_view_can_be_written_as_its_contract_says(scaffolded: Copy) -> None:
    """Its values are as many as the schema has fields, the new one last."""
    code = (
        "import json; from schemas.registry import newest_view; from streams import avro; "
        "from streams.core.view import DirectoryProvider as View; from msgspec.structs import astuple; "
        "schema = json.loads(newest_view('directory.provider')); value = (7, *astuple(View('active', None, 'id'))); "
        "avro.encoder(schema)(value); print(len(value) == len(schema['fields']), schema['fields'][-1]['name'])"
    )
    done = scaffolded.python(code)
    assert done.stdout.split() == ["True", "pronouns"], done.stderr


def test_a_second_time_every_problem_is_told_at_once(scaffolded: Copy) -> None:
    done = scaffolded.concord(*command(), "--class", "S1")
    assert done.returncode == 2
    for said in (
        "provider.pronouns is there already",
        "is pronouns already",
        "may not enter directory.provider",
    ):
        assert said in done.stderr
