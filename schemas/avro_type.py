"""An Avro schema as a tree whose named types are resolved: what two versions are compared by.

    JSON --parse--> Type --compatibility, evolution--> what breaks whom

Knows the types Avro has, judges nothing. A schema that refers to what it doesn't define is no schema (`ValueError`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

PRIMITIVE = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
NAMED = frozenset({"record", "error", "enum", "fixed"})
MISSING: Any = object()
"""No default: null is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of a record. `cls` is the class of data it carries; absent in the schema means public."""

    name: str
    type: Type
    default: Any
    aliases: tuple[str, ...]
    doc: str
    cls: str


@dataclass(slots=True, eq=False)
class Type:
    """One type; a named type met again is the same object, so a recursive schema is a cycle.

    kind      record | enum | fixed | array | map | union, or a primitive
    logical   logicalType and what refines it (precision, scale)
    parts     the branches of a union, or the items or values of an array or map
    """

    kind: str
    name: str = ""
    namespace: str = ""
    logical: Mapping[str, Any] = field(default_factory=dict)
    parts: list[Type] = field(default_factory=list)
    fields: list[Field] = field(default_factory=list)
    symbols: tuple[str, ...] = ()
    default: Any = MISSING
    size: int = 0
    doc: str = ""

    def __str__(self) -> str:
        """As people name it: `decimal(bytes)`, `union of null, string`."""
        if self.kind == "union":
            return f"union of {', '.join(map(str, self.parts))}"
        said = f"{self.kind} {self.name}" if self.name else self.kind
        return f"{self.logical['logicalType']} ({said})" if self.logical else said


def parse(schema: Any) -> Type:
    """The tree of a schema (as parsed JSON)."""
    return _parse(schema, "", {})


def fields(found: Type, prefix: str = "", above: tuple[Type, ...] = ()) -> Iterator[tuple[str, Field]]:
    """(path, field) of every field, those of nested records too: `listings[].phone`."""
    if any(found is known for known in above):
        return
    if found.kind == "record":
        for child in found.fields:
            yield f"{prefix}{child.name}", child
            yield from fields(child.type, f"{prefix}{child.name}.", (*above, found))
    for part in found.parts:
        yield from fields(part, step(prefix, found.kind), above)


def types(found: Type, prefix: str = "", above: tuple[Type, ...] = ()) -> Iterator[tuple[str, Type]]:
    """(path, type) of every type in it."""
    if any(found is known for known in above):
        return
    yield prefix.rstrip("."), found
    for child in found.fields:
        yield from types(child.type, f"{prefix}{child.name}.", (*above, found))
    for part in found.parts:
        yield from types(part, step(prefix, found.kind), (*above, found))


def step(prefix: str, kind: str) -> str:
    """The prefix of what stands in a list, a map, or one branch of a union."""
    mark = {"array": "[]", "map": "{}"}.get(kind, "")
    return f"{prefix.removesuffix('.')}{mark}." if mark else prefix


def _parse(schema: Any, space: str, known: dict[str, Type]) -> Type:
    if isinstance(schema, str):
        return _reference(schema, space, known)
    if isinstance(schema, list):
        return Type("union", parts=[_parse(branch, space, known) for branch in schema])
    if not isinstance(schema, dict) or "type" not in schema:
        raise ValueError(f"{schema!r} is no type")
    return _complex(schema, space, known)


def _reference(name: str, space: str, known: Mapping[str, Type]) -> Type:
    if name in PRIMITIVE:
        return Type(name)
    full = name if "." in name or not space else f"{space}.{name}"
    if full not in known:
        raise ValueError(f"type {name} is used but not defined")
    return known[full]


def _complex(schema: Mapping[str, Any], space: str, known: dict[str, Type]) -> Type:
    kind = schema["type"]
    if not isinstance(kind, str) or kind not in NAMED | PRIMITIVE | {"array", "map"}:
        return _parse(kind, space, known)
    logical = {k: schema[k] for k in ("logicalType", "precision", "scale") if k in schema}
    logical = logical if "logicalType" in logical else {}
    if kind in ("array", "map"):
        inside = schema.get("items" if kind == "array" else "values")
        return Type(kind, logical=logical, parts=[_parse(inside, space, known)])
    if kind in PRIMITIVE:
        return Type(kind, logical=logical)
    return _named(schema, space, known, logical)


def _named(schema: Mapping[str, Any], space: str, known: dict[str, Type], logical: Mapping[str, Any]) -> Type:
    if not isinstance(schema.get("name"), str):
        raise ValueError(f"a {schema['type']} has no name")
    before, _, name = schema["name"].rpartition(".")
    space = before or schema.get("namespace", space)
    kind = "record" if schema["type"] == "error" else schema["type"]
    made = Type(kind, name, space, logical, doc=str(schema.get("doc", "")))
    known[f"{space}.{name}" if space else name] = made
    made.symbols = tuple(schema.get("symbols", ()))
    made.default = schema.get("default", MISSING)
    made.size = int(schema.get("size", 0))
    made.fields = [_field(child, space, known) for child in schema.get("fields", ())]
    return made


def _field(child: Mapping[str, Any], space: str, known: dict[str, Type]) -> Field:
    if "name" not in child or "type" not in child:
        raise ValueError(f"{child!r} is no field: it needs a name and a type")
    return Field(
        child["name"],
        _parse(child["type"], space, known),
        child.get("default", MISSING),
        tuple(child.get("aliases", ())),
        str(child.get("doc", "")),
        str(child.get("class", "public")),
    )
