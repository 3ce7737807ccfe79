"""Whether a default is a value of its field's type: Python's Avro libraries don't ask, Java's refuse the schema.

    one version --misfits--> breaks

Of a union, the default belongs to its first branch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemas.avro_type import MISSING, Type, fields
from schemas.compatibility import Break

_FITS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "int": lambda value: _whole(value) and -(2**31) <= value < 2**31,
    "long": lambda value: _whole(value) and -(2**63) <= value < 2**63,
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "double": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "string": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, str),
    "fixed": lambda value: isinstance(value, str),
}


def misfits(found: Type) -> Iterator[Break]:
    """Each field whose default is no value of its type."""
    for path, field in fields(found):
        if field.default is not MISSING and not fits(field.type, field.default):
            what = f"the default {field.default!r} is no {field.type}"
            fix = "write a default of the type; of a union, of its first branch"
            yield Break("default_wrong", path, what, fix)


def fits(kind: Type, value: Any) -> bool:
    """Whether the value may be a default of the type."""
    match kind.kind:
        case "union":
            return bool(kind.parts) and fits(kind.parts[0], value)
        case "array":
            return isinstance(value, list) and all(fits(kind.parts[0], item) for item in value)
        case "map":
            return isinstance(value, dict) and all(fits(kind.parts[0], v) for v in value.values())
        case "enum":
            return value in kind.symbols
        case "record":
            return isinstance(value, dict) and all(
                fits(f.type, value.get(f.name, f.default)) for f in kind.fields
            )
    return _FITS[kind.kind](value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
