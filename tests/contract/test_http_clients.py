"""Every HTTP client of the platform takes the certificates that were read once (streams/trust.py)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
CALLS = {"Client", "AsyncClient", "get", "post", "put", "request", "stream"}


def clients(tree: ast.AST) -> list[ast.Call]:
    """Calls of httpx that build a client, for themselves or to be kept."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and (node.func.value.id, node.func.attr) in {("httpx", name) for name in CALLS}
    ]


def files() -> list[Path]:
    found = [path for package in ("streams", "connectors") for path in (PROJECT / package).rglob("*.py")]
    return [path for path in found if "httpx." in path.read_text("utf-8")]


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_no_client_reads_the_certificates_again(path: Path) -> None:
    """20 ms under the interpreter's lock: a worker that asked Connect ten times a second lost a fifth of a core."""
    for call in clients(ast.parse(path.read_text("utf-8"))):
        assert any(k.arg == "verify" for k in call.keywords), f"{path.name}:{call.lineno}: verify=trusted()"
