"""Writes streams/core/canonical.py, the canonical records as typed rows, from canonical.toml.

    python -m schemas.canonical        # writes the module; a contract test fails when it is out of date

The core may not read files, and its rows are attributes a type checker knows. Never hand-edit what this writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from schemas.catalog import Catalog, Record, load_catalog

MODULE = Path(__file__).parents[1] / "streams" / "core" / "canonical.py"
TYPES = {
    "integer": "int | None",
    "boolean": "bool | None",
    "json": "Any",
    "text_list": "list[str | None] | None",
}
"""Canonical type -> Python's; every other one is text."""
HEAD = '''"""The canonical records as typed rows. Written by `python -m schemas.canonical` from schemas/canonical.toml.

A row is what one system says of one canonical record; None: it says nothing, or null. Dates are ISO text. As bytes
(`encode`, `decode`) a row is an array in the order of its fields, so fields are appended, never moved or removed:
a row stored before a field existed reads None there. Do not edit: change the catalogue and write this anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec
from msgspec import Struct


class Row(Struct, array_like=True, frozen=True, gc=False):
    """A row of any record."""

    RECORD: ClassVar[str] = ""


class Holder(Row, array_like=True, frozen=True, gc=False):
    """holder, of kind npi: the platform's own record of who says to hold an NPI; no system has such a table."""

    RECORD: ClassVar[str] = "holder"

    kind: str | None = None
    id: str | None = None
'''
TAIL = '''

def decoder(record: type[Row]) -> Callable[[bytes], Row]:
    """Reads a stored row of this record."""
    return msgspec.msgpack.Decoder(record).decode


encode = msgspec.msgpack.Encoder().encode
DECODE: Mapping[str, Callable[[bytes], Row]] = {name: decoder(record) for name, record in RECORDS.items()}
"""record -> what reads a stored row of it"""
'''


def module(catalog: Catalog) -> str:
    """The text of streams/core/canonical.py."""
    classes = [text for record in catalog.records.values() for text in _class(record)]
    table = ["", "", "RECORDS: Mapping[str, type[Row]] = {", '    "holder": Holder,']
    table += [f'    "{record.name}": {class_name(record.name)},' for record in catalog.records.values()]
    return HEAD + "\n".join([*classes, *table, "}", '"""record -> its row"""']) + "\n" + TAIL


def class_name(record: str) -> str:
    """`dea_registration` -> `DeaRegistration`."""
    return record.title().replace("_", "")


def _class(record: Record) -> Iterator[str]:
    yield f"\n\nclass {class_name(record.name)}(Row, array_like=True, frozen=True, gc=False):"
    yield f'    """{record.name}, of kind {record.kind}."""\n'
    yield f'    RECORD: ClassVar[str] = "{record.name}"\n'
    for name, field in record.fields.items():
        yield f"    {name}: {TYPES.get(field.type, 'str | None')} = None"


if __name__ == "__main__":
    MODULE.write_text(module(load_catalog()), "utf-8")
