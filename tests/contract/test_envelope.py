"""The source in memory writes what Debezium writes: its records are compared with recorded ones, field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.envelope import UNAVAILABLE, Change, Op, Source
from schemas.catalog import load_catalog, load_mapping

RECORDED = Path(__file__).parents[1] / "fixtures" / "debezium"
SHAPES = [
    "insert",
    "update",
    "delete",
    "snapshot",
    "transaction_of_three_rows",
    "unchanged_toast_text",
    "text_list",
]
SHAPES += ["unchanged_toast_json_and_list", "numeric_and_boolean", "timestamps", "unicode_and_controls"]


def records(shape: str) -> list[dict[str, Any]]:
    return [
        r
        for r in json.loads((RECORDED / f"{shape}.json").read_text())["records"]
        if r["topic"] == "cdc.credentialing"
    ]


def plain(table: str, image: dict[str, Any]) -> dict[str, Any]:
    """A recorded row image in the plain values `Source` takes."""
    mapped, catalog, found = load_mapping("credentialing").tables[table], load_catalog(), {}
    for column, value in image.items():
        known = catalog.field(*mapped.target(column)) if column in mapped.columns else None
        kind = known.type if known is not None else "text"
        if value in ("__debezium_unavailable_value", ["__debezium_unavailable_value"]):
            found[column] = UNAVAILABLE
        elif value is not None and kind == "date":
            found[column] = value.removesuffix("Z")
        else:
            found[column] = json.loads(value) if kind == "json" and isinstance(value, str) else value
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_recorded_row_written_again_is_the_same_record(shape: str) -> None:
    for recorded in records(shape):
        value = recorded["value"]
        op: Op = value["op"]
        image = value["before"] if op == "d" else value["after"]
        prior, lsn = json.loads(value["source"]["sequence"])
        source = Source("credentialing", epoch=1, txid=value["source"]["txId"])
        change = Change(value["source"]["table"], plain(value["source"]["table"], image), op)
        key, written, headers = source.message(
            change, prior and int(prior), int(lsn), value["source"]["snapshot"]
        )
        mine = json.loads(written)
        assert key.decode() == recorded["key"]
        assert [*headers] == [(n, v.encode()) for n, v in recorded["headers"] if n == "concord-epoch"]
        assert mine.keys() == value.keys()
        assert mine["source"].keys() == value["source"].keys()
        for name in ("sequence", "lsn", "table", "schema", "txId", "snapshot", "connector", "version"):
            assert json.loads(json.dumps(mine["source"][name])) == value["source"][name] or name == "sequence"
        assert json.loads(mine["source"]["sequence"]) == json.loads(value["source"]["sequence"])
        if op != "d":
            assert _documents(mine["after"]) == _documents(value["after"])


def _documents(image: dict[str, Any]) -> dict[str, Any]:
    """JSON texts compared as documents: PostgreSQL spaces jsonb its own way."""
    return {
        name: json.loads(value)
        if isinstance(value, str) and value[:1] in "[{" and name != "gap_explanation"
        else value
        for name, value in image.items()
    }
