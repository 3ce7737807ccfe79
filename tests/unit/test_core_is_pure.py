"""The core is pure: an allow-list of imports, and no call that reads a clock, a file, a socket, chance or the environment."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import streams.core
import streams.systems

CORE = Path(streams.core.__file__).parent
FILES = [*sorted(CORE.rglob("*.py")), Path(streams.systems.__file__)]
"""The core, and the one table beside it that it reads: which systems there are."""
ALLOWED = {
    "__future__",
    "collections.abc",
    "datetime",
    "decimal",
    "functools",
    "hashlib",
    "json",
    "msgspec",
    "msgspec.structs",
    "operator",
    "re",
    "typing",
}
"""Standard library parts that compute and never ask; `datetime` for calendar arithmetic only (see BANNED_CALLS)."""
BANNED_CALLS = {
    "now",
    "today",
    "utcnow",
    "time",
    "monotonic",
    "perf_counter",
    "fromtimestamp",
    "uuid4",
    "random",
}
BANNED_NAMES = {"open", "print", "input", "exec", "eval", "compile", "__import__", "globals", "breakpoint"}


def imported(tree: ast.AST) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide where a name comes from"
            found.add(node.module or "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_core_module_imports_the_standard_library_msgspec_and_the_core_only(path: Path) -> None:
    names = imported(ast.parse(path.read_text()))
    assert {n for n in names if n not in ALLOWED and not is_ours(n)} == set()


def is_ours(name: str) -> bool:
    return name in ("streams.core", "streams.systems") or name.startswith("streams.core.")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_core_module_asks_nothing_of_the_world(path: Path) -> None:
    asked = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr in BANNED_CALLS:
                asked.add(node.func.attr)
            if isinstance(node.func, ast.Name) and node.func.id in BANNED_NAMES:
                asked.add(node.func.id)
    assert asked == set()


def test_a_module_that_is_not_pure_would_be_found() -> None:
    tree = ast.parse("import os\nfrom time import time\n")
    assert imported(tree) - ALLOWED == {"os", "time"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_core_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
