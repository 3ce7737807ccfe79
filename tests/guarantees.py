"""docs/guarantees.md as data: each promise and the tests that are to prove it, and which of these a session owed and did not run."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stack.layout import PROJECT

PAGE = PROJECT / "docs" / "guarantees.md"
_TEST = re.compile(r"`(\w+/test_\w+\.py::test_[^`]+)`")
_RULE = re.compile(r"\| *-")


@dataclass(frozen=True, slots=True)
class Guarantee:
    """A row of the page; `tests` are node ids below tests/."""

    promise: str
    breaks: str
    tests: tuple[str, ...]


def guarantees() -> list[Guarantee]:
    """Every row of every table."""
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows if not _RULE.match(row)]
    return [Guarantee(c[0], c[1], tuple(_TEST.findall(c[2]))) for c in cells if c[0] != "Promise"]


def named() -> list[str]:
    """Every test the page names, once."""
    return list(dict.fromkeys(test for guarantee in guarantees() for test in guarantee.tests))


def outcomes_of(test: str, outcomes: Mapping[str, str]) -> list[str]:
    """What became of the test, or of all its cases."""
    node, _, case = f"tests/{test}".rstrip("]").partition("[")
    told = [(name.partition("["), found) for name, found in outcomes.items()]
    return [found for (name, _, cases), found in told if name == node and case in cases]


def owed(rings: Collection[str], outcomes: Mapping[str, str]) -> dict[str, str]:
    """test -> `missing` or `skipped`, of those in the rings that were run whole. One that failed speaks for itself."""
    told = {test: outcomes_of(test, outcomes) for test in named() if test.partition("/")[0] in rings}
    missing = {test: "missing" for test, found in told.items() if not found}
    return missing | {test: "skipped" for test, found in told.items() if found and "skipped" in found}
