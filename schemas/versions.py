"""Every version of every schema in the repository, and what is wrong with a file before any two are compared.

    schemas/*.avsc, schemas/view/*.avsc, sealed.sha256 --read--> versions, problems

A version is a file. The newest one of a schema may still change; a version is sealed when it is published, its digest
stands in sealed.sha256 from then on (`concord schema seal`), and a sealed file is never edited: consumers hold copies
of it. Says all problems at once; publishes nothing (schemas/registry.py does).
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException

from schemas.avro_type import Type, parse
from schemas.problem import Problem
from schemas.registry import NAME

SEALED = "sealed.sha256"
WHY_SEALED = "consumers and the registry hold copies of a sealed version: an edit makes another schema of the same name"


@dataclass(frozen=True, slots=True)
class Version:
    """One file: `stem` is what its versions share, `directory.provider` or `finding`."""

    stem: str
    number: int
    file: str
    schema: Any
    tree: Type


def read(root: Path) -> tuple[list[Version], list[Problem]]:
    """The versions that can be read, oldest first, and every problem of the files themselves."""
    versions: list[Version] = []
    problems: list[Problem] = []
    for path in sorted([*root.glob("*.avsc"), *root.glob("view/*.avsc")]):
        found = _version(path, path.relative_to(root).as_posix())
        (versions if isinstance(found, Version) else problems).append(found)  # type: ignore[arg-type]
    versions.sort(key=lambda version: (version.stem, version.number))
    return versions, [*problems, *_gaps(versions), *unsealed(root, versions)]


def histories(versions: Sequence[Version]) -> Mapping[str, list[Version]]:
    """The versions of each schema, oldest first."""
    found: dict[str, list[Version]] = {}
    for version in versions:
        found.setdefault(version.stem, []).append(version)
    return found


def parsers() -> list[str]:
    """Who reads each schema: `avro` is a development dependency and stays away in production."""
    return ["fastavro", *(["avro"] if find_spec("avro") else [])]


def seal(root: Path, versions: Sequence[Version]) -> list[str]:
    """Add the digest of each version that has none; the files sealed now. Never changes a line that is there."""
    sealed = digests(root)
    new = [version.file for version in versions if version.file not in sealed]
    lines = sorted([*sealed.items(), *((file, _digest(root / file)) for file in new)])
    (root / SEALED).write_text("".join(f"{digest}  {file}\n" for file, digest in lines), "utf-8")
    return new


def digests(root: Path) -> dict[str, str]:
    """file -> sha256, as `sha256sum -c sealed.sha256` reads it."""
    path = root / SEALED
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    return {file: digest for digest, _, file in (line.partition("  ") for line in lines)}


def unsealed(root: Path, versions: Sequence[Version]) -> Iterator[Problem]:
    """Sealed files that are gone or edited, and earlier versions nobody sealed."""
    sealed = digests(root)
    for file, digest in sealed.items():
        if not (root / file).exists():
            fix = f"git checkout -- schemas/{file}"
            yield Problem("schema.sealed_missing", _at(file), "a sealed version is gone", WHY_SEALED, fix)
        elif _digest(root / file) != digest:
            fix = f"take the edit back (git checkout -- schemas/{file}) and write it as the next version"
            yield Problem("schema.sealed_edited", _at(file), "a sealed version was edited", WHY_SEALED, fix)
    newest = {stem: history[-1].number for stem, history in histories(versions).items()}
    for version in versions:
        if version.file not in sealed and version.number < newest[version.stem]:
            what = f"an earlier version, and not in {SEALED}"
            yield Problem(
                "schema.not_sealed", _at(version.file), what, WHY_SEALED, "run `concord schema seal`"
            )


def _at(file: str) -> str:
    return f"schemas/{file}"


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _version(path: Path, file: str) -> Version | Problem:
    named = NAME.fullmatch(path.name)
    if named is None:
        why = "the name says which topic it is the schema of, and which version"
        fix = "name it view/<view>.<kind>.v<N>.avsc or <topic>.v<N>.avsc"
        return Problem("schema.name", _at(file), "not the name of a schema", why, fix)
    try:
        schema = json.loads(path.read_text("utf-8"))
        _judge(schema)
        return Version(named["stem"], int(named["version"]), file, schema, parse(schema))
    except (ValueError, SchemaParseException, _Refused) as fault:
        why = "what no Avro library reads, no worker can write and no consumer read"
        return Problem("schema.syntax", _at(file), str(fault), why, "correct the schema there")


class _Refused(Exception):
    """The package avro doesn't take it."""


def _judge(schema: Any) -> None:
    fastavro.parse_schema(schema)
    if "avro" not in parsers():
        return
    from avro import errors
    from avro import schema as reference

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of logical types that it doesn't know
        try:
            reference.parse(json.dumps(schema))
        except errors.AvroException as fault:
            raise _Refused(str(fault)) from fault


def _gaps(versions: Sequence[Version]) -> Iterator[Problem]:
    for stem, history in histories(versions).items():
        for wanted, version in enumerate(history, 1):
            if version.number != wanted:
                why = "a version that is not there is one nothing is compared with"
                what = f"version {version.number} of {stem}, and no version {wanted}"
                fix = "number the versions from 1 without a gap"
                yield Problem("schema.gap", _at(version.file), what, why, fix)
                break
