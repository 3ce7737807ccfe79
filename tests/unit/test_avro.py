"""Our Avro encoder is judged by fastavro: the same bytes for every schema of the project."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import avro
from streams.errors import InvalidInput

SCHEMAS = sorted(Path("schemas").rglob("*.avsc"))


def values(schema: Any) -> st.SearchStrategy[Any]:
    """Any value a schema admits."""
    match schema:
        case "string":
            return st.text()
        case "long":
            return st.integers(-(2**63), 2**63 - 1)
        case "boolean":
            return st.booleans()
        case ["null", other]:
            return st.none() | values(other)
        case {"type": "array", "items": items}:
            return st.lists(values(items), max_size=3)
        case {"type": "record", "fields": fields}:
            return st.tuples(*(values(f["type"]) for f in fields))
        case {"type": plain}:
            return values(plain)
    raise AssertionError(schema)


def named(schema: Any, value: Any) -> Any:
    """The value as fastavro takes it: records by field name."""
    match schema:
        case {"type": "record", "fields": fields}:
            return {f["name"]: named(f["type"], v) for f, v in zip(fields, value, strict=True)}
        case {"type": "array", "items": items}:
            return [named(items, v) for v in value]
        case ["null", other]:
            return None if value is None else named(other, value)
    return value


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda p: p.stem)
@given(data=st.data())
def test_the_encoder_writes_what_fastavro_writes(path: Path, data: st.DataObject) -> None:
    schema = json.loads(path.read_text())
    value = data.draw(values(schema))
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, fastavro.parse_schema(schema), named(schema, value))
    assert avro.encoder(schema)(value) == expected.getvalue()


@given(st.integers(-(2**63), 2**63 - 1))
def test_longs_are_zigzag_varints(value: int) -> None:
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, "long", value)
    assert avro.long(value) == expected.getvalue()


def test_a_type_the_encoder_does_not_know_is_refused_when_it_is_built() -> None:
    with pytest.raises(InvalidInput, match=r"avro\.type_unknown"):
        avro.encoder({"type": "fixed", "size": 4, "name": "F"})
