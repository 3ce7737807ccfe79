"""Restricted values stay restricted when people ask: class S1 (date of birth, TIN) is masked, in --json too.

The class of a claim's field stands in schemas/canonical.toml, that of a view's field in its Avro schema. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from schemas.catalog import load_catalog
from schemas.registry import newest_view
from streams.systems import TAKEN

HIDDEN = "•••"
_TIN_DIGITS = 9
_NUMBERS = re.compile(r"(?<!\d)(\d{3}-?\d{2}-?\d{4}|\d{2}-\d{7})(?!\d)|\b[A-Z]{2}\d{7}\b")


def looks_restricted(text: str) -> bool:
    """Whether what a person typed holds what looks like a social security, tax or DEA number."""
    return _NUMBERS.search(text) is not None


def mask(value: Any) -> Any:
    """`•••1234` of a TIN, else nothing at all of the value; null stays null."""
    if value is None:
        return None
    text = value if isinstance(value, str) else ""
    return f"{HIDDEN}{text[-4:]}" if len(text) == _TIN_DIGITS and text.isdigit() else HIDDEN


@cache
def restricted_names() -> frozenset[str]:
    """The names of the canonical fields that are S1, of whatever record."""
    records = load_catalog().records.values()
    return frozenset(name for record in records for name, field in record.fields.items() if field.cls == "S1")


def field_class(record: str, field: str) -> str:
    """public, S2 or S1; a field the catalogue does not know is the platform's own, and public."""
    known = load_catalog().field(record, field)
    return known.cls if known else "public"


def shown(record: str, field: str, value: Any) -> Any:
    """A canonical value as it may be shown."""
    return mask(value) if field_class(record, field) == "S1" else value


@cache
def view_schema(sink: str, kind: str) -> Any:
    """The contract of the view a system is sent."""
    return json.loads(newest_view(f"{TAKEN[sink][kind]}.{kind}"))


@cache
def restricted_paths(sink: str, kind: str) -> frozenset[str]:
    """The paths of a view (`groups[].group_tax_id`) whose values are S1."""
    return frozenset(path for path, field in leaves(view_schema(sink, kind)) if field.get("class") == "S1")


def leaves(schema: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path, field) of every value of a record schema; `[]` marks the items of a list of records."""
    for field in schema["fields"]:
        items = field["type"].get("items") if isinstance(field["type"], dict) else None
        if isinstance(items, dict):
            yield from leaves(items, f"{prefix}{field['name']}[].")
        else:
            yield prefix + field["name"], field
