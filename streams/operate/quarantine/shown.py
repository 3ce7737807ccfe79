"""A quarantined record as it may be shown: its headers, and its envelope with every value that is not public masked.

A bad row is trusted less than a stored one (explain shows internal values): what its mapping does not call public is
masked whole, a column of no mapping too, and bytes that are no envelope are only measured (invariant 11). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from schemas.catalog import Table, load_catalog, load_mappings
from streams.operate.masking import HIDDEN
from streams.operate.quarantine.record import Quarantined

PUBLIC = "public"
LONGEST = 120
SOURCE = frozenset(
    "version connector name ts_ms ts_us snapshot db sequence schema table txId lsn xmin".split()  # Debezium's names
)
OURS = ("concord-", "ce_")
KNOWN = frozenset({"traceparent", "tracestate", "content-type"})


def headers(found: Quarantined) -> list[list[str]]:
    """[name, value] of each header; of one that is not ours only the size."""
    return [[name, _header(name, value)] for name, value in found.headers]


def _header(name: str, value: bytes | None) -> str:
    if name.startswith(OURS) or name in KNOWN:
        return str(_short((value or b"").decode("utf-8", "replace")))
    return f"{HIDDEN} ({len(value or b'')} bytes)"


def envelope(value: bytes | None, system: str) -> Any:
    """The envelope with masked images, or what can be said of bytes that hold none."""
    if value is None:
        return {"unreadable": "no value"}
    try:
        said = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {"unreadable": f"{len(value)} bytes that are not JSON"}
    if not isinstance(said, dict) or not isinstance(said.get("source"), dict) or "op" not in said:
        return {"unreadable": f"{len(value)} bytes of JSON that are no Debezium envelope"}
    source = {name: _short(v) for name, v in said["source"].items() if name in SOURCE}
    table = tables(system).get(str(source.get("table")))
    images = {name: _image(said.get(name), table) for name in ("before", "after")}
    return {"op": _short(said["op"]), "ts_us": _number(said.get("ts_us")), "source": source, **images}


def _number(value: Any) -> Any:
    return value if isinstance(value, int) else None


def _image(image: Any, table: Table | None) -> Any:
    if not isinstance(image, dict):
        return None if image is None else HIDDEN
    public = frozenset(public_columns(table)) if table else frozenset()
    return {column: _shown(value, column in public) for column, value in image.items()}


def _shown(value: Any, public: bool) -> Any:
    return _short(value) if public or value is None else HIDDEN


def _short(value: Any) -> Any:
    """Numbers and short texts as they are; of long ones the beginning."""
    if isinstance(value, bool | int | float) or value is None:
        return value
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text)} characters)"


def public_columns(table: Table) -> Iterator[str]:
    """The columns anybody may see: the row's identity, and what the catalogue calls public."""
    catalog = load_catalog()
    yield from table.key
    for column in table.columns:
        known = catalog.field(*table.target(column))
        if known is not None and known.cls == PUBLIC:
            yield column


@cache
def tables(system: str) -> Mapping[str, Table]:
    """A system's mapped tables by name; none for what is no system."""
    mapping = load_mappings().get(system)
    return mapping.tables if mapping else {}
