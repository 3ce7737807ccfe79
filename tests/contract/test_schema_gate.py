"""The gate refuses every change that breaks somebody and accepts every safe one; fastavro and avro are asked, too.

What the registry says of the same cases stands in tests/integration/test_live_schema_gate.py.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import fastavro
import pytest
from avro import schema as avro_schema
from avro.errors import AvroException
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter

from schemas import gate
from tests.schema_cases import ALL, BLIND, BREAKING, CASES, SAFE, Case, Schema, pairs, text

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
PLAIN: dict[str, list[Any]] = {
    "null": [None],
    "boolean": [True],
    "int": [7],
    "long": [2**40],
    "float": [0.5],
    "double": [0.1],
    "bytes": [b"\x00\x01"],
    "string": ["00000000-0000-4000-8000-000000000001"],
}
LOGICAL: dict[str, Any] = {
    "timestamp-millis": datetime(2026, 1, 2, tzinfo=UTC),
    "timestamp-micros": datetime(2026, 1, 2, tzinfo=UTC),
    "date": date(2026, 1, 2),
    "decimal": Decimal("1.50"),
}
"""What both libraries take as a value of a logical type."""


def found(case: Case) -> set[str]:
    return {p.code.removeprefix("schema.") for p in gate.verdict(case.versions()) if not p.warning}


@each
def test_our_verdict(case: Case) -> None:
    assert found(case) == set(case.codes.split())


def test_the_table_is_what_it_says_it_is() -> None:
    assert len(CASES) >= 40
    assert all(case.safe for case in SAFE)
    assert all(case.codes and case.others == ALL for case in BREAKING)
    assert all(case.codes and case.others != ALL for case in BLIND)
    assert len({case.name for case in CASES}) == len(CASES)


@each
def test_the_verdict_of_fastavro(case: Case) -> None:
    assert refused(case, _by_fastavro) == ("fastavro" in case.others.split())


@each
def test_the_verdict_of_avro(case: Case) -> None:
    assert refused(case, _by_avro) == ("avro" in case.others.split())


def test_every_problem_has_place_reason_and_cure() -> None:
    for case in CASES:
        for problem in gate.verdict(case.versions()):
            assert problem.where.startswith("schemas/view/test.v")
            assert problem.what
            assert problem.why
            assert problem.fix


def test_all_problems_are_told_at_once_each_with_its_path() -> None:
    [case] = [case for case in BREAKING if case.name == "a required field is renamed without an alias"]
    problems = gate.verdict(case.versions())
    assert sorted((p.code, p.where) for p in problems) == [
        ("schema.default", "schemas/view/test.v2.avsc:phone"),
        ("schema.default", "schemas/view/test.v2.avsc:telephone"),
        ("schema.rename", "schemas/view/test.v2.avsc:telephone"),
    ]


def test_a_rename_that_is_allowed_is_still_told() -> None:
    [case] = [case for case in SAFE if case.name.endswith("renamed, with an alias")]
    [said] = gate.verdict(case.versions())
    assert (said.code, said.warning) == ("schema.value_lost", True)


Reads = Callable[[Schema, Schema, Any], None]


def refused(case: Case, reads: Reads) -> bool:
    """Whether some value one version can write can't be read as the other."""
    return any(_fails(reads, *pair, value) for pair in pairs(case) for value in samples(pair[0], {}))


def _fails(reads: Reads, writer: Schema, reader: Schema, value: Any) -> bool:
    try:
        reads(writer, reader, value)
    except (AvroException, ValueError, TypeError, KeyError, fastavro.read.SchemaResolutionError):
        return True
    return False


def _by_fastavro(writer: Schema, reader: Schema, value: Any) -> None:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(writer), value)
    out.seek(0)
    fastavro.schemaless_reader(out, fastavro.parse_schema(writer), fastavro.parse_schema(reader))


def _by_avro(writer: Schema, reader: Schema, value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrote, reads = avro_schema.parse(text(writer)), avro_schema.parse(text(reader))
    out = io.BytesIO()
    DatumWriter(wrote).write(value, BinaryEncoder(out))
    out.seek(0)
    DatumReader(wrote, reads).read(BinaryDecoder(out))


def samples(schema: Any, known: dict[str, Any]) -> list[Any]:
    """Values that between them use every branch and every symbol."""
    match schema:
        case str():
            return PLAIN.get(schema) or _again(known[schema], known)
        case list():
            return [value for branch in schema for value in samples(branch, known)]
        case {"logicalType": name} if name in LOGICAL:
            return [LOGICAL[name]]
        case {"type": "record", "name": name, "fields": fields}:
            known[name] = schema
            every = [(field["name"], samples(field["type"], known)) for field in fields]
            longest = max(len(values) for _, values in every)
            return [{f: values[n % len(values)] for f, values in every} for n in range(longest)]
        case {"type": "enum", "symbols": symbols}:
            return list(symbols)
        case {"type": "fixed", "size": size}:
            return [b"\x01" * size]
        case {"type": "array", "items": items}:
            return [[], *([value] for value in samples(items, known))]
        case {"type": "map", "values": values}:
            return [{}, *({"key": value} for value in samples(values, known))]
    return samples(schema["type"], known)


def _again(schema: Any, known: dict[str, Any]) -> list[Any]:
    """A named type inside itself: its child is empty."""
    if any(field["type"] == ["null", schema["name"]] for field in schema["fields"]):
        return [{f["name"]: None if f["name"] == "child" else "text" for f in schema["fields"]}]
    return samples(schema, known)
