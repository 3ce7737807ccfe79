"""docs/guarantees.md: each promise says what breaks it and names tests that exist, and its words are kept elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from stack.layout import PROJECT
from tests.guarantees import PAGE, Guarantee, guarantees, named, owed

EXACTLY_ONCE = re.compile(r"exactly[- ]once", re.IGNORECASE)


def test_every_guarantee_has_its_test_and_says_what_breaks_it() -> None:
    found = guarantees()
    assert len(found) > 20
    assert [guarantee.promise for guarantee in found if not (guarantee.tests and guarantee.breaks)] == []


def test_every_test_that_is_named_exists() -> None:
    collect = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
    asked = subprocess.run(
        [*collect, *(f"tests/{test}" for test in named())],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, (asked.stdout + asked.stderr)[-3000:]


@pytest.mark.parametrize("folder", ["docs", "streams", "connectors", "schemas", "stack"])
def test_exactly_once_is_written_only_where_a_guarantee_proves_it(folder: str) -> None:
    text = [file for file in (PROJECT / folder).rglob("*") if file.suffix in (".md", ".py", ".toml", ".sql")]
    said = [str(file) for file in text if file != PAGE and EXACTLY_ONCE.search(file.read_text("utf-8"))]
    assert said == []


def test_on_the_page_itself_it_is_a_promise_with_its_tests() -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if EXACTLY_ONCE.search(line)]
    promised: list[Guarantee] = [each for each in guarantees() if EXACTLY_ONCE.search(each.promise)]
    assert len(lines) == len(promised) == 1


def test_a_session_owes_what_its_whole_rings_are_to_prove() -> None:
    mine = [test for test in named() if test.startswith("faults/")]
    outcomes = {f"tests/{test}": "passed" for test in mine}
    assert owed({"faults"}, outcomes) == {}
    gone, skipped, *_ = [test for test in mine if sum(other.startswith(test) for other in mine) == 1]
    del outcomes[f"tests/{gone}"]
    cases = {f"tests/{skipped}[one]": "passed", f"tests/{skipped}[two]": "skipped"}
    del outcomes[f"tests/{skipped}"]
    found = owed({"faults"}, outcomes | cases)
    assert found[skipped] == "skipped"
    assert found[gone] == "missing"
    assert owed({"unit"}, {}).keys() == {test for test in named() if test.startswith("unit/")}
    assert owed(set(), {}) == {}
