"""A fast Avro encoder for the sink schemas, built once a schema from small functions.

Same bytes as fastavro (tests/unit/test_avro.py lets fastavro judge), at a third of its time: the hot path spends
most of its encoding on short texts, whose lengths are known bytes. Covers
the types the project's contracts use; anything else is refused when the encoder is built, never at run time. A
record's value is a tuple or a Struct with the schema's fields in the schema's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import astuple

from streams.errors import InvalidInput

Encode = Callable[[Any], bytes]


_BYTES = [bytes([n]) for n in range(0x80)]


def long(value: int) -> bytes:
    """Zigzag, then seven bits a byte."""
    number = (value << 1) ^ (value >> 63)
    if number < 0x80:
        return _BYTES[number]
    out = bytearray()
    while number >= 0x80:
        out.append((number & 0x7F) | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = 64
_LENGTHS = [long(length) for length in range(_SHORT)]
_SOME = [b"\x02" + length for length in _LENGTHS]


def string(value: str) -> bytes:
    """Length, then UTF-8."""
    raw = value.encode()
    length = len(raw)
    return (_LENGTHS[length] if length < _SHORT else long(length)) + raw


def _optional_string(value: str | None) -> bytes:
    if value is None:
        return b"\x00"
    raw = value.encode()
    length = len(raw)
    return (_SOME[length] if length < _SHORT else b"\x02" + long(length)) + raw


def _boolean(value: bool) -> bytes:
    return b"\x01" if value else b"\x00"


def encoder(schema: Any) -> Encode:
    """The encoder of a schema (as parsed JSON); InvalidInput names a type it doesn't know."""
    match schema:
        case "string":
            return string
        case "long" | "int":
            return long
        case "boolean":
            return _boolean
        case ["null", "string"]:
            return _optional_string
        case ["null", other]:
            return _optional(encoder(other))
        case {"type": "record", "fields": fields}:
            return _record(fields)
        case {"type": "array", "items": items}:
            return _array(encoder(items))
        case {"type": str() as plain, **rest} if "logicalType" not in rest:
            return encoder(plain)
    raise InvalidInput(
        "avro.type_unknown", f"no encoder for {schema!r}", "extend streams/avro.py and its test"
    )


def _optional(encode: Encode) -> Encode:
    return lambda value: b"\x00" if value is None else b"\x02" + encode(value)


def _array(encode: Encode) -> Encode:
    def array(values: Sequence[Any]) -> bytes:
        if not values:
            return b"\x00"
        return b"".join([long(len(values)), *map(encode, values), b"\x00"])

    return array


def _record(fields: Sequence[Mapping[str, Any]]) -> Encode:
    # Neighbours of one type are encoded in one call of `map`: a view is mostly optional texts.
    runs: list[tuple[Encode, int, int]] = []
    for number, field in enumerate(fields):
        encode = encoder(field["type"])
        if runs and runs[-1][0] is encode:
            runs[-1] = (encode, runs[-1][1], number + 1)
        else:
            runs.append((encode, number, number + 1))

    def record(values: Any) -> bytes:
        row = values if isinstance(values, tuple) else astuple(values)
        parts: list[bytes] = []
        for encode, start, end in runs:
            if end - start == 1:
                parts.append(encode(row[start]))
            else:
                parts += map(encode, row[start:end])
        return b"".join(parts)

    return record
