"""The contracts of the topics that others read (sinks, findings, rejections): what they may rely on.

    schemas/contract/default.toml, <topic>.toml --read--> TopicContract, or problems --> check, pages, rights

What a field means and which class it has stands in the Avro schema alone, how a topic is kept in streams/topics.py; a
contract promises, and tests hold the rest to it. Files are outside input: all their problems at once, with their lines.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import strict
from schemas.place import Places
from schemas.problem import Problem, nearest, refuse
from schemas.registry import NAME, topics_of

DEFAULT = "default.toml"
HERE = Path(__file__).parent
Classification = Literal["public", "internal", "restricted"]
CLEARED: Mapping[Classification, str] = {"public": "public", "internal": "S2", "restricted": "S1"}
"""Classification of a topic -> the highest class of a field in it (schemas/canonical.toml)."""
CLASSIFIED: Mapping[str, Classification] = {cls: name for name, cls in CLEARED.items()}
"""Class of a field -> how it is classified"""


Principal = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
"""A name the broker knows somebody by; the names of its consumer groups begin with it."""


class _Outside(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Freshness(_Outside):
    """From a source's commit to a readable record."""

    p50_ms: int = Field(ge=1)
    p99_ms: int = Field(ge=1)


class Retention(_Outside):
    """How long what is not the newest record of its key stays readable, at least; of a topic that isn't compacted,
    every record, and there are no tombstones."""

    history_hours: Annotated[int, Field(ge=0)] | Literal["unlimited"]
    tombstone_days: int | None = Field(default=None, ge=1)


class ContractFile(_Outside):
    """<topic>.toml over default.toml."""

    title: str = Field(min_length=1)
    purpose: str = Field(min_length=1)
    limits: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    classification: Classification
    key: str = Field(min_length=1)
    writers: list[Principal] = Field(min_length=1)
    readers: list[Principal]
    version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    compatibility: Literal["FULL_TRANSITIVE"]
    promises: list[str] = Field(min_length=1)
    change_policy: list[str] = Field(min_length=1)
    freshness: Freshness
    retention: Retention
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class TopicContract:
    """The contract of one topic; `stem` names its schema, `directory.provider`."""

    topic: str
    stem: str
    said: ContractFile


def load(root: Path = HERE) -> list[TopicContract]:
    """Every contract, or InvalidInput with every problem."""
    contracts, problems = read(root)
    if problems:
        refuse(problems)
    return contracts


def read(root: Path = HERE) -> tuple[list[TopicContract], list[Problem]]:
    """The contracts that can be read, and what is wrong: with a file, or with what has none."""
    contracts: list[TopicContract] = []
    problems: list[Problem] = []
    stems = _stems(root)
    for path in sorted((root / "contract").glob("*.toml")):
        if path.name == DEFAULT:
            continue
        topic = path.name.removesuffix(".toml")
        said, found = _file(root, path)
        problems += found
        if topic not in stems:
            problems.append(_unknown(path, stems))
        elif said is not None:
            contracts.append(TopicContract(topic, stems[topic], said))
    return contracts, [*dict.fromkeys(problems), *_missing(root, stems)]


def clearance(contracts: list[TopicContract]) -> Mapping[str, str]:
    """Schema -> the highest class of a field that each of its topics is cleared for."""
    found: dict[str, list[str]] = {}
    for contract in contracts:
        found.setdefault(contract.stem, []).append(CLEARED[contract.said.classification])
    order = list(CLEARED.values())
    return {stem: min(classes, key=order.index) for stem, classes in found.items()}


def _stems(root: Path) -> dict[str, str]:
    """Topic -> the stem of its schema's files."""
    found: dict[str, str] = {}
    for pattern, is_view in (("view/*.avsc", True), ("*.avsc", False)):
        named = [NAME.fullmatch(path.name) for path in root.glob(pattern)]
        for stem in sorted({match["stem"] for match in named if match}):
            found |= dict.fromkeys(topics_of(stem, is_view), stem)
    return found


def _file(root: Path, path: Path) -> tuple[ContractFile | None, list[Problem]]:
    """What the file says over what all say, in its shape."""
    text, place = path.read_text("utf-8"), f"schemas/contract/{path.name}"
    default = root / "contract" / DEFAULT
    try:
        said = tomllib.loads(default.read_text("utf-8")) | tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found = [_syntax(file) for file in (default, path)]
        return None, [problem for problems in found for problem in problems]
    return strict.shaped(ContractFile, said, Places(text), place, "contract")


def _syntax(path: Path) -> list[Problem]:
    """What is no TOML in it."""
    _, _, problems = strict.parse(
        ContractFile, path.read_text("utf-8"), f"schemas/contract/{path.name}", "contract"
    )
    return [problem for problem in problems if problem.code in ("contract.syntax", "contract.duplicate")]


def _unknown(path: Path, stems: Mapping[str, str]) -> Problem:
    what = f"no topic with a schema is called {path.name.removesuffix('.toml')}"
    why = "a contract of a topic that doesn't exist promises nothing"
    where = f"schemas/contract/{path.name}:1"
    return Problem(
        "contract.topic_unknown", where, what, why, nearest(path.name.removesuffix(".toml"), stems)
    )


def _missing(root: Path, stems: Mapping[str, str]) -> Iterator[Problem]:
    for topic in stems:
        if not (root / "contract" / f"{topic}.toml").exists():
            where = f"schemas/contract/{topic}.toml:1"
            why = "without one nobody knows who answers for the topic and what stays as it is"
            fix = "write it: another topic's file is the pattern"
            yield Problem("contract.missing", where, f"{topic} has no contract", why, fix)
