"""Imports point only one way:  cli -> console -> operate, app -> agents -> engine, connectors, schemas -> streams.core.

What stands beside the flow has its place too: `leaf` modules (errors, placing, avro, web) know none of the layers,
contracts (topics, codec) know the layers below the engine only.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from streams.systems import SYSTEMS

PROJECT = Path(__file__).parents[2]
PACKAGES = ("streams", "schemas", "connectors", "stack")

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"streams.cli"}),
    frozenset({"streams.console"}),
    frozenset({"streams.operate", "streams.app"}),
    frozenset({"streams.agents"}),
    frozenset({"streams.engine", "connectors", "streams.codec", "streams.topics"}),
    frozenset({"schemas", "stack", "streams.settings", "streams.kafka"}),
    frozenset({"streams.core"}),
    frozenset(
        {
            "streams.errors",
            "streams.placing",
            "streams.avro",
            "streams.telemetry",
            "streams.metrics",
            "streams.web",
            "streams.systems",
            "streams.trust",
        }
    ),
)
"""From the outside in: a module imports its own layer and those below it."""

PURE = "streams.core"
LEAVES = LAYERS[-1]


def part(module: str) -> str | None:
    """The part of LAYERS a module belongs to."""
    for layer in LAYERS:
        for name in layer:
            if module == name or module.startswith(f"{name}."):
                return name
    return None


def depth(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((PROJECT / package).rglob("*.py")):
            name = ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")
            found.append((name, path))
    return found


def imports(path: Path) -> set[str]:
    """Every project module a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.split(".")[0] in PACKAGES}


@pytest.mark.parametrize(("name", "path"), modules(), ids=[name for name, _ in modules()])
def test_a_module_imports_nothing_above_it(name: str, path: Path) -> None:
    mine = part(name)
    if mine is None:
        assert name == "streams", f"{name} has no place in LAYERS: give it one"
        return
    above = {found for found in imports(path) if (p := part(found)) is not None and depth(p) < depth(mine)}
    assert above == set()


def test_the_core_imports_nothing_of_the_project_but_itself_and_the_names_of_the_systems() -> None:
    for name, path in modules():
        if part(name) == PURE:
            assert all(found.startswith((PURE, "streams.systems.")) for found in imports(path)), name


def test_the_systems_edges_do_not_know_each_other() -> None:
    """Adding a system is one folder: no connector imports another's."""
    systems = sorted(p.name for p in (PROJECT / "connectors").iterdir() if (p / "schema.sql").exists())
    assert systems == sorted(SYSTEMS)
    for name, path in modules():
        mine = name.split(".")[1] if name.startswith("connectors.") else ""
        if mine in systems:
            others = {
                f for f in imports(path) for s in systems if s != mine and f.startswith(f"connectors.{s}.")
            }
            assert others == set(), name
