"""Sink records to views: what is read, what is refused, what is nobody's fault."""

from __future__ import annotations

import copy
import io
import json
from dataclasses import dataclass, field
from typing import Any

import fastavro
import pytest
from confluent_kafka import TIMESTAMP_CREATE_TIME

from connectors.sink import View
from connectors.stewardship.adapter import proposal_rows
from connectors.wire import Decoder, Undecodable, reader_schema
from schemas.registry import schema_files
from streams.errors import Unavailable
from tests import views

HERE = views.entity(1)
SENT = views.location("directory", HERE, 4)


@dataclass
class Record:
    """What a confluent message shows of itself."""

    sent: bytes | None
    name: str = HERE
    said: list[tuple[str, bytes]] = field(default_factory=list)
    topic_name: str = "t1.sink.directory.location"

    def topic(self) -> str:
        return self.topic_name

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 17

    def key(self) -> bytes:
        return self.name.encode()

    def value(self) -> bytes | None:
        return self.sent

    def headers(self) -> list[tuple[str, bytes]]:
        return self.said

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, 1_700_000_000_180


def contract() -> Any:
    return copy.deepcopy(reader_schema("directory", "location"))


def decoder(schema: Any = None) -> Decoder:
    known = {1: schema or contract()}
    return Decoder("directory", known.get)


def test_a_record_becomes_the_view_it_was() -> None:
    said = [("concord-committed-us", b"1700000000000000"), ("concord-position", b"1:2:3")]
    view = decoder().decode(Record(views.wire("directory", SENT, 1), said=said))
    assert isinstance(view, View)
    assert (view.kind, view.entity_id, view.revision, view.content) == ("location", HERE, 4, SENT.content)
    assert (view.committed_us, view.written_ms) == (1_700_000_000_000_000, 1_700_000_000_180)
    assert (view.partition, view.offset) == (3, 17)
    assert (view.committed_us, view.position) == (1700000000000000, "1:2:3")


def test_a_newer_writers_field_is_left_out() -> None:
    newer = contract()
    newer["fields"].append({"name": "parking", "type": ["null", "string"], "default": None})
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(newer), {**SENT.content, "parking": "rear"})
    view = decoder(newer).decode(Record(b"\0\0\0\0\1" + body.getvalue()))
    assert isinstance(view, View)
    assert view.content == SENT.content


def test_an_older_writers_missing_field_takes_its_default() -> None:
    older = contract()
    older["fields"] = [each for each in older["fields"] if each["name"] != "hours"]
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(older), SENT.content)
    view = decoder(older).decode(Record(b"\0\0\0\0\1" + body.getvalue()))
    assert isinstance(view, View)
    assert view.content["hours"] == []


def test_a_tombstone_is_no_view() -> None:
    assert decoder().decode(Record(None)) is None


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\0\0\0\0",
        b"{}",
        b"\1" + views.wire("directory", SENT, 1)[1:],
        b"\0\0\0\0\1\xff\xff",
        b"\0\0\0\0\2rest",
    ],
    ids=["empty", "short", "json", "magic", "not avro", "unknown schema id"],
)
def test_a_record_no_view_can_be_made_of_is_a_value_not_an_error(value: bytes) -> None:
    found = decoder().decode(Record(value))
    assert isinstance(found, Undecodable)
    assert (found.code, found.kind, found.entity_id, found.offset) == (
        "view.undecodable",
        "location",
        HERE,
        17,
    )


def test_a_key_that_is_not_the_views_own_is_refused() -> None:
    assert isinstance(
        decoder().decode(Record(views.wire("directory", SENT, 1), views.entity(2))), Undecodable
    )


def test_a_registry_that_does_not_answer_is_no_fault_of_the_record() -> None:
    def silent(schema_id: int) -> None:
        raise Unavailable("registry.unavailable", "down")

    with pytest.raises(Unavailable):
        Decoder("directory", silent).decode(Record(views.wire("directory", SENT, 1)))


def test_what_was_written_under_an_older_contract_is_read_with_the_defaults_of_the_newest() -> None:
    written = {file.version: json.loads(file.text) for file in schema_files() if file.topic == TASKS}
    assert max(written) > 1, "another topic with two versions shows it as well"
    task: dict[str, Any] = {
        "id": "7", "system": "directory", "record": "provider", "row_id": "1", "field": "degree", "value": None,
        "current": None, "position": "1/2/3", "opened": "2026-06-01", "expires": "2026-06-15", "level": "A1",
        "approvers": [], "owner": "credentialing", "state": "approved",
    }  # fmt: skip
    old = {
        "revision": 1,
        "status": "active",
        "reason": None,
        "entity_id": HERE,
        "proposals": [task],
        "ended": [],
    }
    made = io.BytesIO()
    fastavro.schemaless_writer(made, fastavro.parse_schema(written[1]), old)
    record = Record(b"\0\0\0\0\1" + made.getvalue(), topic_name=f"t1.{TASKS}")
    view = Decoder("stewardship", {1: written[1]}.get).decode(record)
    assert isinstance(view, View)
    assert [(t["requires"], t["way"], t["edited_by"]) for t in view.content["proposals"]] == [
        ([], "asked", None)
    ]
    assert next(iter(proposal_rows(view)))["requires"] == []


TASKS = "sink.stewardship.provider"
