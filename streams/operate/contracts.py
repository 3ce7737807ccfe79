"""A topic as consumers are told of it: its contract, the newest version of its schema, how the topic is kept.

    schemas/contract/*.toml, view/*.avsc, topics.CATALOGUE --told--> Told --> pages, ODCS, AsyncAPI, Backstage, rights

Reads files only. What it gathers is said in each form by the modules beside it, so that no two can disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas import topic_contract, versions
from schemas.avro_type import MISSING, Field, Type, fields
from schemas.topic_contract import CLASSIFIED, ContractFile
from schemas.versions import Version
from streams.errors import InvalidInput
from streams.topics import CATALOGUE


@dataclass(frozen=True, slots=True)
class Said:
    """One field of the schema, by its path in the record."""

    path: str
    name: str
    type: str
    optional: bool
    default: Any
    classification: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Told:
    """Everything a consumer may rely on of one topic."""

    topic: str
    contract: ContractFile
    schema: Version
    config: Mapping[str, str]

    @property
    def compacted(self) -> bool:
        """Whether the newest record of each key stays for ever."""
        return self.config["cleanup.policy"] == "compact"

    @property
    def subject(self) -> str:
        """The name of its schema in the registry."""
        return f"{self.topic}-value"

    @property
    def fields(self) -> list[Said]:
        """Every field, those of nested records too."""
        return [_said(path, field) for path, field in fields(self.schema.tree)]


def told() -> list[Told]:
    """Every topic that others read, by name; InvalidInput when a contract or schema is wrong."""
    found, _ = versions.read(topic_contract.HERE)
    newest = {stem: history[-1] for stem, history in versions.histories(found).items()}
    config = {topic.name: topic.config for topic in CATALOGUE}
    return [Told(c.topic, c.said, newest[c.stem], config[c.topic]) for c in topic_contract.load()]


def of(topic: str) -> Told:
    """One of them."""
    known = {one.topic: one for one in told()}
    if topic not in known:
        said = f"no topic with a contract is called {topic!r}"
        raise InvalidInput("contract.topic_unknown", said, f"one of: {', '.join(known)}")
    return known[topic]


def inner(kind: Type) -> Type:
    """An optional type's own type, a list's items."""
    if kind.kind == "union":
        return next((inner(part) for part in kind.parts if part.kind != "null"), kind)
    return inner(kind.parts[0]) if kind.kind == "array" else kind


def optional(kind: Type) -> bool:
    """Whether it may be null."""
    return kind.kind == "union" and any(part.kind == "null" for part in kind.parts)


def shown(kind: Type) -> str:
    """A type as people read it: `string or null`, `list of Listing`."""
    if kind.kind == "union":
        return " or ".join(sorted(map(shown, kind.parts), key=lambda name: name == "null"))
    if kind.kind == "array":
        return f"list of {shown(kind.parts[0])}"
    return str(kind.logical["logicalType"]) if kind.logical else kind.name or kind.kind


def _said(path: str, field: Field) -> Said:
    default = "" if field.default is MISSING else field.default
    kind = field.type
    return Said(path, field.name, shown(kind), optional(kind), default, CLASSIFIED[field.cls], field.doc)


def children(kind: Type) -> Iterator[Field]:
    """The fields of the record a field holds, or holds a list of; none of a plain one."""
    yield from inner(kind).fields
