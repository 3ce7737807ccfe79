"""What we rely on in Debezium 3.7, held by recordings of it (tests/fixtures/record_debezium.py makes them).

A new recording that fails here shows what changed in Debezium, a setting or the reference schema.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.source import captured
from schemas.catalog import load_mapping

FOLDER = Path(__file__).parents[1] / "fixtures" / "debezium"
TABLES = {table.name: table for table in captured(load_mapping("credentialing"))}
UNAVAILABLE = "__debezium_unavailable_value"


def records(shape: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{shape}.json").read_text("utf-8"))["records"]
    return found


def rows() -> list[dict[str, Any]]:
    shapes = sorted(file.stem for file in FOLDER.glob("*.json"))
    return [record for shape in shapes for record in records(shape) if record["topic"] == "cdc.credentialing"]


def after(shape: str) -> dict[str, Any]:
    found: dict[str, Any] = records(shape)[-1]["value"]["after"]
    return found


@pytest.mark.parametrize("record", rows(), ids=lambda r: f"{r['offset']}-{r['value']['source']['table']}")
def test_every_row_is_keyed_by_its_entity_and_carries_the_epoch(record: dict[str, Any]) -> None:
    value = record["value"]
    row, table = value["after"] or value["before"], TABLES[value["source"]["table"]]
    assert record["key"] == (row[table.entity] if row else None)
    assert dict(record["headers"])["concord-epoch"] == "1"


def test_only_mapped_columns_arrive() -> None:
    for record in rows():
        row = record["value"]["after"]
        table = TABLES[record["value"]["source"]["table"]]
        assert row is None or set(row) == set(table.captured)


def test_an_unchanged_large_value_has_a_placeholder_for_each_type() -> None:
    location = after("unchanged_toast_json_and_list")
    assert location["hours"] == UNAVAILABLE
    assert location["accessibility"] == [UNAVAILABLE]
    assert after("unchanged_toast_text")["gap_explanation"] == UNAVAILABLE


def test_a_row_that_moves_is_deleted_there_and_created_here_without_its_large_value() -> None:
    gone, here = records("row_moves_to_another_entity")
    assert (gone["value"]["op"], here["value"]["op"]) == ("d", "c")
    assert gone["key"] != here["key"]
    assert here["value"]["after"]["gap_explanation"] == UNAVAILABLE


def test_values_before_a_delete_are_invented_except_the_key() -> None:
    before = records("delete")[0]["value"]["before"]
    assert before["license_id"].endswith("12")
    assert before["number"] == ""


def test_a_truncate_has_neither_key_nor_row() -> None:
    [record] = records("truncate")
    assert (record["key"], record["value"]["op"]) == (None, "t")
    assert record["value"]["before"] is record["value"]["after"] is None


def test_rows_that_were_read_have_no_position_of_their_own() -> None:
    for record in records("incremental_snapshot"):
        source = record["value"]["source"]
        assert (source["snapshot"], source["lsn"], source["txId"]) == ("incremental", None, None)
    assert all(json.loads(r["value"]["source"]["sequence"])[0] is None for r in records("snapshot"))


def test_rows_of_a_transaction_share_the_commit_before_it() -> None:
    sources = [record["value"]["source"] for record in records("transaction_of_three_rows")]
    assert len({json.loads(source["sequence"])[0] for source in sources}) == 1
    assert len({source["txId"] for source in sources}) == 1


def test_the_platforms_mark_stands_first_in_its_transaction() -> None:
    mark, row = records("applied_mark_then_row")
    assert mark["value"]["source"]["table"] == "concord_applied"
    assert mark["key"] == row["key"]


def test_decimals_dates_times_and_lists_arrive_as_text_and_arrays() -> None:
    assert after("numeric_and_boolean")["per_occurrence"] == "1000000.50"
    assert after("numeric_not_a_number")["aggregate"] == "NAN"
    assert after("insert")["issued"] == "2021-01-01Z"
    assert after("timestamps")["performed_at"] == "2026-05-06T05:08:09.123456Z"
    assert after("text_list")["schedules"] == ["2", "2N", None, 'a"b,c']
    assert json.loads(records("snapshot")[0]["value"]["after"]["languages"]) == [{"code": "en"}]


def test_dates_outside_the_calendar_differ_between_stream_and_read() -> None:
    """Infinity has two spellings, and a year before Christ loses its sign when it is read: refuse both."""
    streamed, read = after("date_before_christ"), records("incremental_snapshot")[0]["value"]["after"]
    assert (streamed["expires"], read["expires"]) == ("+5877611-06-21Z", "+292278994-08-16Z")
    assert (streamed["issued"], read["issued"]) == ("-0043-03-15Z", "0044-03-15Z")


def test_no_recording_holds_a_social_security_number() -> None:
    for record in rows():
        assert "ssn" not in (record["value"]["after"] or {})
