"""Records no connector would write, produced beside Debezium's own: what is wrong with each, and the code it must get."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Value = dict[str, Any]
TOO_LARGE = 5 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bad:
    """How a good record of table `license` becomes a bad one, and what decide must say of it."""

    name: str
    code: str
    spoil: Callable[[Value], bytes | None]
    key: bytes | None = None
    """another key than the row's"""


def good(position: int, row: Value) -> Value:
    """An update as Debezium writes it; `position` is newer than any real one's."""
    source = {"table": "license", "sequence": f'["{position}","{position}"]', "lsn": position, "txId": 1}
    return {
        "op": "u",
        "before": None,
        "after": row,
        "source": {**source, "ts_us": 0, "snapshot": "false"},
        "ts_us": 0,
    }


def text(value: Value) -> bytes:
    return json.dumps(value).encode()


def _row(**changed: Any) -> Callable[[Value], bytes]:
    return lambda value: text({**value, "after": {**value["after"], **changed}})


def _source(**changed: Any) -> Callable[[Value], bytes]:
    return lambda value: text({**value, "source": {**value["source"], **changed}})


def _without(column: str) -> Callable[[Value], bytes]:
    return lambda value: text({**value, "after": {k: v for k, v in value["after"].items() if k != column}})


BAD = (
    Bad("bytes that are no UTF-8", "change.undecodable", lambda value: b"\xff\xfe\x00" + text(value)),
    Bad("no JSON", "change.undecodable", lambda value: text(value)[:-2]),
    Bad("no value", "change.value_missing", lambda value: None),
    Bad("JSON that is no envelope", "change.envelope_unknown", lambda value: text({"hello": "world"})),
    Bad("an unknown operation", "change.operation_unknown", lambda value: text({**value, "op": "x"})),
    Bad("an unknown table", "change.table_unknown", _source(table="invoice")),
    Bad("no position", "change.position_unknown", _source(sequence=None)),
    Bad(
        "a key that is not the row's",
        "change.key_mismatch",
        text,
        key=b"00000000-0000-4000-8000-000000000001",
    ),
    Bad("a missing column", "change.column_missing", _without("expires")),
    Bad("a value of the wrong type", "change.type_wrong", _row(disciplinary_flag="perhaps")),
    Bad("a date that is none", "change.type_wrong", _row(expires="2027-02-31Z")),
    Bad("an infinite date", "change.value_out_of_range", _row(expires="-5877611-06-21Z")),
    Bad("a row of 5 MB", "change.row_too_large", _row(license_type="x" * TOO_LARGE)),
)
