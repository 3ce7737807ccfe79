"""Changes of a schema, safe and breaking, with the verdict of everybody who could be asked.

A case is the versions of one schema, the problems our gate finds with the last of them, and who else refuses it:
fastavro and avro by reading, both ways, what the others wrote; the registry under FULL_TRANSITIVE. What only we refuse
is what this project's gate is for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from schemas.avro_type import parse
from schemas.versions import Version

Schema = dict[str, Any]
NULL_TEXT = ["null", "string"]


@dataclass(frozen=True, slots=True)
class Case:
    """`codes`: what we find, without "schema."; `others`: who refuses it too."""

    name: str
    history: tuple[Schema, ...]
    codes: str = ""
    others: str = ""

    @property
    def safe(self) -> bool:
        return not self.codes

    def versions(self) -> list[Version]:
        return [
            Version("test", number, f"view/test.v{number}.avsc", schema, parse(schema))
            for number, schema in enumerate(self.history, 1)
        ]


def field(name: str, kind: Any = "string", **more: Any) -> Schema:
    return {"name": name, "type": kind, "doc": f"What {name} means.", **more}


def optional(name: str, kind: Any = "string", **more: Any) -> Schema:
    return field(name, ["null", kind], default=None, **more)


def record(*fields: Schema, name: str = "Provider", namespace: str = "concord.test", **more: Any) -> Schema:
    first = field("revision", "long")
    return {"type": "record", "name": name, "namespace": namespace, "fields": [first, *fields], **more}


def place(*fields: Schema, **more: Any) -> Schema:
    """A nested record type."""
    return {"type": "record", "name": "Place", "fields": [field("city"), *fields], **more}


def enum(*symbols: str, **more: Any) -> Schema:
    return {"type": "enum", "name": "Status", "symbols": list(symbols), **more}


def logical(kind: str, name: str, **more: Any) -> Schema:
    return {"type": kind, "logicalType": name, **more}


def array(items: Any) -> Schema:
    return {"type": "array", "items": items}


def decimal(precision: int, scale: int) -> Schema:
    return logical("bytes", "decimal", precision=precision, scale=scale)


def became(before: Any, after: Any) -> tuple[Schema, Schema]:
    """One required field whose type changed."""
    return record(field("x", before)), record(field("x", after))


def tree(*fields: Schema) -> Schema:
    """A type that holds itself."""
    node = {"type": "record", "name": "Node", "fields": [optional("child", "Node"), *fields]}
    return record(field("root", node))


A, B = optional("first"), optional("second")
ALL = "fastavro avro registry"

SAFE = (
    Case("the same again", (record(A), record(A))),
    Case("an optional field with a default is added", (record(A), record(A, B))),
    Case("a text with a default is added", (record(A), record(A, field("network", default="")))),
    Case(
        "a list with a default is added", (record(A), record(A, field("codes", array("string"), default=[])))
    ),
    Case("an optional record is added", (record(A), record(A, optional("place", place())))),
    Case("a field with a default is removed", (record(A, B), record(A))),
    Case(
        "a field with a default is renamed, with an alias",
        (record(optional("phone")), record(optional("telephone", aliases=["phone"]))),
    ),
    Case("an alias that nobody had is added", (record(A), record(optional("first", aliases=["one"])))),
    Case("another wording of the meaning", (record(A), record({**A, "doc": "Better said."}))),
    Case("fields in another order", (record(A, field("z")), record(field("z"), A))),
    Case(
        "an enum with a default grows",
        became(
            enum("open", "unknown", default="unknown"), enum("open", "shut", "unknown", default="unknown")
        ),
        others="avro",  # Python's avro knows no default of an enum
    ),
    Case(
        "an enum with a default shrinks",
        became(
            enum("open", "shut", "unknown", default="unknown"), enum("open", "unknown", default="unknown")
        ),
        others="avro",  # Python's avro knows no default of an enum
    ),
    Case("a field gets a default", (record(field("x")), record(field("x", default="")))),
    Case(
        "a record in a list gets an optional field",
        (record(field("places", array(place()))), record(field("places", array(place(A))))),
    ),
    Case(
        "a named type used twice gets an optional field",
        (
            record(field("home", place()), field("work", "Place")),
            record(field("home", place(A)), field("work", "Place")),
        ),
    ),
    Case("a field gets a class", (record(A), record({**A, "class": "S2"}))),
    Case("an attribute Avro doesn't know", (record(A), record({**A, "unit": "m"}))),
    Case(
        "a logical type stays",
        became(logical("long", "timestamp-micros"), logical("long", "timestamp-micros")),
    ),
    Case("a type gets an alias", (record(A), record(A, aliases=["Doctor"]))),
    Case("removed, and back as it was", (record(A, B), record(A), record(A, B))),
    Case("a recursive type gets an optional field", (tree(), tree(A))),
    Case(
        "one optional field goes, and two versions later another like it comes",
        (record(optional("phone")), record(), record(optional("phones"))),
    ),
)

BREAKING = (
    Case("a field without default is added", (record(A), record(A, field("x"))), "default", ALL),
    Case("a field without default is removed", (record(A, field("x")), record(A)), "default", ALL),
    Case("text to number", became("string", "long"), "type", ALL),
    Case("int to long", became("int", "long"), "type", ALL),
    Case("long to int", became("long", "int"), "type", ALL),
    Case("float to double", became("float", "double"), "type", ALL),
    Case("long to double", became("long", "double"), "type", ALL),
    Case("a union grows", became(NULL_TEXT, [*NULL_TEXT, "long"]), "type", ALL),
    Case("a union shrinks", became([*NULL_TEXT, "long"], NULL_TEXT), "type", ALL),
    Case("a text becomes optional", became("string", NULL_TEXT), "type", ALL),
    Case("an optional text becomes required", became(NULL_TEXT, "string"), "type", ALL),
    Case(
        "an enum without default grows", became(enum("open"), enum("open", "shut")), "enum enum_default", ALL
    ),
    Case(
        "an enum without default shrinks",
        became(enum("open", "shut"), enum("open")),
        "enum enum_default",
        ALL,
    ),
    Case(
        "an enum grows and gets its default too late",
        became(enum("open"), enum("open", "unknown", default="unknown")),
        "enum",
        ALL,
    ),
    Case(
        "an enum is renamed",
        became(enum("open", default="open"), enum("open", default="open") | {"name": "State"}),
        "name",
        ALL,
    ),
    Case("a nested record is renamed", became(place(), place() | {"name": "Spot"}), "name", ALL),
    Case("the record is renamed", (record(A), record(A, name="Doctor")), "name", ALL),
    Case("a nested record gets a required field", became(place(), place(field("x"))), "default", ALL),
    Case(
        "a named type used twice gets a required field",
        (
            record(field("home", place()), field("work", "Place")),
            record(field("home", place(field("x"))), field("work", "Place")),
        ),
        "default",
        ALL,
    ),
    Case("a recursive type gets a required field", (tree(), tree(field("x"))), "default", ALL),
    Case("the items of a list change", became(array("string"), array("long")), "type", ALL),
    Case("a list becomes a map", became(array("string"), {"type": "map", "values": "string"}), "type", ALL),
    Case(
        "the values of a map change",
        became({"type": "map", "values": "string"}, {"type": "map", "values": "long"}),
        "type",
        ALL,
    ),
    Case(
        "a fixed gets another size",
        became({"type": "fixed", "name": "F", "size": 4}, {"type": "fixed", "name": "F", "size": 8}),
        "type",
        ALL,
    ),
    Case(
        "a required field is renamed without an alias",
        (record(field("phone")), record(field("telephone"))),
        "default rename",
        ALL,
    ),
    Case(
        "a required field is renamed with an alias",
        (record(field("phone")), record(field("telephone", aliases=["phone"]))),
        "default",
        ALL,
    ),
    Case(
        "removed, and back with another type",
        (record(A, B), record(A), record(A, field("second", "long", default=0))),
        "type default_changed",
        ALL,
    ),
)

BLIND = (
    Case(
        "milliseconds to microseconds",
        became(logical("long", "timestamp-millis"), logical("long", "timestamp-micros")),
        "logical",
    ),
    Case(
        "microseconds to local microseconds",
        became(logical("long", "timestamp-micros"), logical("long", "local-timestamp-micros")),
        "logical",
    ),
    Case("number to date", became("int", logical("int", "date")), "logical"),
    Case("date to number", became(logical("int", "date"), "int"), "logical"),
    Case(
        "an optional number to an optional date",
        (record(optional("x", "int")), record(optional("x", logical("int", "date")))),
        "logical",
    ),
    Case("another scale of a decimal", became(decimal(9, 2), decimal(9, 4)), "logical"),
    Case("another precision of a decimal", became(decimal(9, 2), decimal(12, 2)), "logical"),
    Case("text to uuid", became("string", logical("string", "uuid")), "logical"),
    Case("uuid to text", became(logical("string", "uuid"), "string"), "logical"),
    Case("text to bytes", became("string", "bytes"), "type", "avro"),
    Case("bytes to text", became("bytes", "string"), "type", "avro"),
    Case(
        "another default",
        (record(field("x", default="a")), record(field("x", default="b"))),
        "default_changed",
    ),
    Case("a default is taken away", (record(field("x", default="")), record(field("x"))), "default_changed"),
    Case(
        "removed, and back with another default",
        (record(A, field("x", default="a")), record(A), record(A, field("x", default="b"))),
        "default_changed",
    ),
    Case("the branches of a union in another order", became(NULL_TEXT, ["string", "null"]), "union_order"),
    Case("another namespace", (record(A), record(A, namespace="concord.other")), "namespace", "avro"),
    Case(
        "another namespace of a nested type",
        became(place(namespace="concord.test"), place(namespace="concord.other")),
        "namespace",
        "avro",
    ),
    Case("the class is dropped", (record({**A, "class": "S1"}), record(A)), "class"),
    Case("the class is lowered", (record({**A, "class": "S1"}), record({**A, "class": "S2"})), "class"),
    Case(
        "the class of a field in a list is dropped",
        (
            record(field("places", array(place(field("tin", **{"class": "S1"}))))),
            record(field("places", array(place(field("tin"))))),
        ),
        "class",
    ),
    Case(
        "an optional field is renamed without an alias",
        (record(optional("phone")), record(optional("telephone"))),
        "rename",
    ),
    Case(
        "an optional field of a record in a list is renamed without an alias",
        (
            record(field("places", array(place(optional("phone"))))),
            record(field("places", array(place(optional("telephone"))))),
        ),
        "rename",
    ),
    Case(
        "an enum without a default, in its first version", (record(field("x", enum("open"))),), "enum_default"
    ),
    Case(
        "a default of another type",
        (record(field("x", "long", default="none")),),
        "default_wrong",
        "registry",
    ),
    Case(
        "a default of the second branch",
        (record(field("x", ["string", "null"], default=None)),),
        "default_wrong",
    ),
    Case("a class nobody knows", (record({**A, "class": "secret"}),), "class_unknown"),
    Case("a field without a meaning", (record({"name": "x", "type": "string"}),), "meaning"),
)

CASES = (*SAFE, *BREAKING, *BLIND)


def pairs(case: Case) -> Iterator[tuple[Schema, Schema]]:
    """(writer, reader): the last version and each earlier one, both ways."""
    *earlier, last = case.history
    for schema in earlier:
        yield schema, last
        yield last, schema


def text(schema: Schema) -> str:
    return json.dumps(schema)
