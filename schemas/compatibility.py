"""Can a reader of one version read records of another: Avro's own rules, with the path of each place where it can't.

    (reader, writer) --unreadable--> breaks      (old, new) --full--> breaks in either direction

FULL_TRANSITIVE is `full` against every earlier version. What Avro reads without complaint and still means something
else is not judged here (schemas/evolution.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.avro_type import MISSING, Field, Type

PROMOTED = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}
"""What was written -> as what it may be read."""
Pair = tuple[Type, Type]


@dataclass(frozen=True, slots=True)
class Break:
    """One place that doesn't fit: code, path in the record, what, and what to do."""

    code: str
    path: str
    what: str
    fix: str


def full(old: Type, new: Type) -> Iterator[tuple[str, Break]]:
    """(who can't read: "later" records by old readers, or "earlier" ones by new readers; the break)."""
    yield from (("earlier", found) for found in unreadable(new, old))
    yield from (("later", found) for found in unreadable(old, new))


def unreadable(reader: Type, writer: Type, path: str = "", seen: tuple[Pair, ...] = ()) -> Iterator[Break]:
    """Every reason why `reader` can't read what `writer` wrote; none: it can."""
    if any(reader is r and writer is w for r, w in seen):
        return
    seen = (*seen, (reader, writer))
    if "union" in (reader.kind, writer.kind):
        yield from _union(reader, writer, path, seen)
    elif reader.kind != writer.kind:
        if reader.kind not in PROMOTED.get(writer.kind, ()):
            yield _type(reader, writer, path)
    elif reader.kind in ("array", "map"):
        inside = f"{path}[]" if reader.kind == "array" else f"{path}{{}}"
        yield from unreadable(reader.parts[0], writer.parts[0], inside, seen)
    elif reader.name != writer.name:
        what = f"type {writer.name} became {reader.name}"
        yield Break("name", path, what, "keep the name of the type: a type is never renamed")
    else:
        yield from _same_name(reader, writer, path, seen)


def _union(reader: Type, writer: Type, path: str, seen: tuple[Pair, ...]) -> Iterator[Break]:
    """Each branch that may have been written needs one that reads it."""
    for written in writer.parts if writer.kind == "union" else [writer]:
        branches = reader.parts if reader.kind == "union" else [reader]
        tried = [list(unreadable(branch, written, path, seen)) for branch in branches]
        if tried and all(tried):
            near = next((t for b, t in zip(branches, tried, strict=True) if _alike(b, written)), None)
            yield from near or [_branch(written, reader, path)]


def _alike(one: Type, other: Type) -> bool:
    return one.kind == other.kind and one.name == other.name


def _branch(written: Type, reader: Type, path: str) -> Break:
    what = f"{written} is no {reader}" if reader.kind != "union" else f"{written} is none of the {reader}"
    return Break("type", path, what, "keep the type; add a new optional field for the new kind of value")


def _type(reader: Type, writer: Type, path: str) -> Break:
    what = f"{writer} can't be read as {reader}"
    return Break("type", path, what, "keep the type; add a new optional field for the new kind of value")


def _same_name(reader: Type, writer: Type, path: str, seen: tuple[Pair, ...]) -> Iterator[Break]:
    if reader.kind == "fixed" and reader.size != writer.size:
        yield Break("type", path, f"fixed of {writer.size} is not one of {reader.size}", "keep the size")
    if reader.kind == "enum":
        yield from _enum(reader, writer, path)
    for child in reader.fields:
        yield from _field(child, writer, f"{path}.{child.name}".lstrip("."), seen)


def _enum(reader: Type, writer: Type, path: str) -> Iterator[Break]:
    unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
    if unknown and reader.default is MISSING:
        what = f"symbol {', '.join(unknown)} of {writer.name} is unknown, and the enum has no default"
        yield Break("enum", path, what, "give an enum a default in its first version, or use a string")


def _field(child: Field, writer: Type, path: str, seen: tuple[Pair, ...]) -> Iterator[Break]:
    by_name = {written.name: written for written in writer.fields}
    written = next((by_name[name] for name in (child.name, *child.aliases) if name in by_name), None)
    if written is not None:
        yield from unreadable(child.type, written.type, path, seen)
    elif child.default is MISSING:
        what = f"{child.name} is not in the record and has no default"
        yield Break("default", path, what, "give a new field a default; remove only a field that has one")
