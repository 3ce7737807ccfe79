"""What Avro reads without complaint and still means something else: the project's own rules from version to version.

    (old, new) --changed--> breaks      one version --unsound--> breaks

A millisecond read as a microsecond, a text as bytes, a default that is another one: each is a wrong value in silence,
so each is refused as if the checkers saw it (schemas/compatibility.py says what they do see).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from schemas.avro_type import MISSING, Field, Type, fields, types
from schemas.compatibility import Break

CLASSES = ("public", "S2", "S1")
"""Of data, from harmless to restricted (schemas/canonical.toml)."""

WHY: Mapping[str, str] = {
    "default": "a reader of another version has nothing to put there",
    "type": "a reader of another version stops at the record, or reads another value",
    "name": "readers find a type by its name",
    "enum": "a reader that knows fewer symbols stops at the record",
    "logical": "the bytes still decode, as another instant, date or amount: a wrong value in silence",
    "default_changed": "the same record reads differently, by which version of the schema is at hand",
    "class": "masking and access follow the class: without it a restricted value would be shown",
    "union_order": "who reads by branch number takes one branch for another",
    "namespace": "generated classes and unions find a type by its full name",
    "rename": "to readers of either version the value is gone, without an error",
    "default_wrong": "Java's Avro refuses the whole schema, Python's fails at the first record that needs it",
    "enum_default": "the first new symbol would stop every reader that doesn't know it",
    "class_unknown": "a class that nothing knows protects nothing",
    "meaning": "who builds on the topic for years can't ask what a field without meaning means",
}
"""Code -> why it is wrong."""
Pair = tuple[Type, Type]


def unsound(found: Type) -> Iterator[Break]:
    """What is wrong with one version by itself."""
    for path, one in types(found):
        if one.kind == "enum" and one.default is MISSING:
            fix = 'add "default", such as "unknown", to the enum: or use a string and name its values in the doc'
            yield Break("enum_default", path, f"enum {one.name} has no default", fix)
    for path, field in fields(found):
        if field.cls not in CLASSES:
            what = f'class "{field.cls}" is unknown'
            yield Break("class_unknown", path, what, f"use one of: {', '.join(CLASSES)}")
        if not field.doc.strip():
            yield Break("meaning", path, f"{field.name} has no doc", 'say in "doc" what a value means')


def changed(old: Type, new: Type, path: str = "", seen: tuple[Pair, ...] = ()) -> Iterator[Break]:
    """What one version says otherwise than an earlier one did, where Avro sees no difference."""
    if any(old is o and new is n for o, n in seen):
        return
    seen = (*seen, (old, new))
    yield from _logical(old, new, path)
    yield from _order(old, new, path)
    if old.kind == new.kind:
        yield from _namespace(old, new, path)
        for before, after in _pairs(old, new):
            inside = {"array": f"{path}[]", "map": f"{path}{{}}"}.get(old.kind, path)
            yield from changed(before, after, inside, seen)
    for was, now in _fields(old, new):
        place = f"{path}.{now.name}".lstrip(".")
        yield from _field(was, now, place)
        yield from changed(was.type, now.type, place, seen)


def renamed(old: Type, new: Type) -> Iterator[Break]:
    """Fields that vanished from the previous version while one like them appeared. Only of neighbours: in two steps,
    removed in one version and added in the next, it is meant so."""
    after = {path: record for path, record in types(new) if record.kind == "record"}
    for path, before in types(old):
        if before.kind == "record" and path in after:
            yield from _renamed(before, after[path], path)


def _renamed(old: Type, new: Type, path: str) -> Iterator[Break]:
    kept = {name for field in new.fields for name in (field.name, *field.aliases)}
    known = {field.name for field in old.fields}
    gone = [(number, field) for number, field in enumerate(old.fields) if field.name not in kept]
    come = [(number, field) for number, field in enumerate(new.fields) if field.name not in known]
    for was_at, was in gone:
        like = next((f for at, f in come if not f.aliases and _like(was, f, was_at == at)), None)
        if like is not None:
            what = f"{was.name} is gone and {like.name}, of the same type, is new: a rename without an alias"
            fix = f'write "aliases": ["{was.name}"]; or, if it is another fact, add it one version after the removal'
            yield Break("rename", f"{path}.{like.name}".lstrip("."), what, fix)


def _like(was: Field, now: Field, same_place: bool) -> bool:
    if str(was.type) != str(now.type):
        return False
    alike = SequenceMatcher(None, was.name, now.name).ratio() > 0.6
    return same_place or alike or bool(was.doc and was.doc == now.doc)


def _logical(old: Type, new: Type, path: str) -> Iterator[Break]:
    if "union" in (old.kind, new.kind):
        return
    if dict(old.logical) != dict(new.logical):
        fix = "keep the logical type; add a new optional field of the other one"
        yield Break("logical", path, f"{_said(old)} became {_said(new)}", fix)
    elif {old.kind, new.kind} == {"string", "bytes"}:
        yield Break("type", path, f"{old} became {new}", "keep the type; add a new optional field")


def _said(one: Type) -> str:
    refined = ", ".join(f"{k} {v}" for k, v in one.logical.items() if k != "logicalType")
    return f"{one}{f' with {refined}' if refined else ''}"


def _order(old: Type, new: Type, path: str) -> Iterator[Break]:
    if old.kind != "union" or new.kind != "union":
        return
    before, after = [_key(part) for part in old.parts], [_key(part) for part in new.parts]
    if [key for key in before if key in after] != [key for key in after if key in before]:
        what = f"{old} became {new}"
        yield Break("union_order", path, what, "keep the order of the branches")


def _key(part: Type) -> tuple[str, str]:
    return part.kind, part.name


def _namespace(old: Type, new: Type, path: str) -> Iterator[Break]:
    if old.name and old.name == new.name and old.namespace != new.namespace:
        what = f"{old.name} moved from {old.namespace or 'no namespace'} to {new.namespace or 'none'}"
        yield Break("namespace", path, what, f'write "namespace": "{old.namespace}"')


def _pairs(old: Type, new: Type) -> Iterator[Pair]:
    """What stands inside both: branches of the same type, or the one type of the items."""
    if old.kind != "union":
        yield from zip(old.parts, new.parts, strict=False)
        return
    after = {_key(part): part for part in new.parts}
    yield from ((part, after[_key(part)]) for part in old.parts if _key(part) in after)


def _fields(old: Type, new: Type) -> Iterator[tuple[Field, Field]]:
    before = {field.name: field for field in old.fields}
    for now in new.fields:
        was = next((before[name] for name in (now.name, *now.aliases) if name in before), None)
        if was is not None:
            yield was, now


def _field(was: Field, now: Field, path: str) -> Iterator[Break]:
    if was.default is not MISSING and (now.default is MISSING or not _same(was.default, now.default)):
        said = "no default" if now.default is MISSING else f"{now.default!r}"
        what = f"the default was {was.default!r} and is {said}"
        yield Break("default_changed", path, what, "keep the default; add a new field for the new meaning")
    if _rank(now.cls) < _rank(was.cls):
        what = f"class {was.cls} became {now.cls}"
        yield Break("class", path, what, f'write "class": "{was.cls}"')


def _same(one: Any, other: Any) -> bool:
    """0, 0.0 and false are three defaults."""
    return type(one) is type(other) and bool(one == other)


def _rank(cls: str) -> int:
    return CLASSES.index(cls) if cls in CLASSES else 0
