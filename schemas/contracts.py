"""The files a worker decides by, as one: canonical.toml, every mapping, authority.toml.

    files --problems--> a worker that refuses to start, or nothing      files --version--> which state of them this is

Says of all of them at once what is wrong, so that nobody corrects one file only to learn of the next. Decides nothing.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from schemas import authority, catalog
from schemas.problem import Problem, refuse


def require(directory: Path | None = None) -> None:
    """Nothing, or InvalidInput with every problem of every file."""
    found = problems(directory)
    if found:
        refuse(found)


def problems(directory: Path | None = None) -> list[Problem]:
    """All of them. While the catalogue or a mapping is wrong, only the authority file's own shape can be judged."""
    file = directory / authority.NAME if directory else None
    found = catalog.problems(directory)
    if found:
        return [*found, *authority.shape(file)]
    return list(authority.read(file, catalog.load_catalog(directory) if directory else None).problems)


def generations(directory: Path | None = None) -> Mapping[str, int]:
    """The `version` that each file names."""
    mappings = catalog.load_mappings(directory)
    matrix = authority.load_rules(directory / authority.NAME if directory else None)
    return {"authority": matrix.version} | {f"mapping.{name}": m.version for name, m in mappings.items()}


def digest(directory: Path | None = None) -> str:
    """Of what the files say; comments and layout don't count."""
    root: Traversable = directory or files("schemas")
    said = {name: tomllib.loads(file.read_text("utf-8")) for name, file in _files(root)}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _files(root: Traversable) -> Iterator[tuple[str, Traversable]]:
    for name in ("canonical.toml", authority.NAME):
        yield name, root / name
    for name in sorted(entry.name for entry in (root / "mapping").iterdir()):
        if name.endswith(".toml"):
            yield f"mapping/{name}", root / "mapping" / name
