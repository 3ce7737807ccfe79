"""Open findings are counted by code, and who asks again reads only what is new."""

from __future__ import annotations

import io
import json

import fastavro
import pytest
from confluent_kafka import Message

from schemas import registry
from streams.operate.findings import HEAD, Counting
from streams.settings import Settings

SCHEMA = json.loads([f for f in registry.schema_files() if f.topic == "finding"][-1].text)


def said(key: str, code: str, state: str | None) -> Message:
    """A record of topic finding; no state: a tombstone."""
    value = None if state is None else _record(code, state)
    return Message("finding", 0, 0, key.encode(), value, [], timestamp=(1, 0))


def _record(code: str, state: str) -> bytes:
    fields = {field["name"]: field for field in SCHEMA["fields"]}
    empty = {name: field.get("default", "") for name, field in fields.items()}
    body = io.BytesIO()
    fastavro.schemaless_writer(body, SCHEMA, {**empty, "code": code, "state": state})
    return bytes(HEAD) + body.getvalue()


@pytest.fixture
def counting() -> Counting:
    return Counting(Settings(topic_prefix="", partitions=1))


def counts(counting: Counting, *messages: Message) -> dict[str, int]:
    counting.take(messages)
    return {code: count for code, count in counting.codes().items() if count}


def test_findings_open_change_and_close(counting: Counting) -> None:
    first = counts(counting, said("a", "npi.invalid", "opened"), said("b", "npi.invalid", "opened"))
    assert first == {"npi.invalid": 2}
    assert counts(counting, said("a", "npi.invalid", "changed")) == {"npi.invalid": 2}
    assert counts(counting, said("a", "npi.invalid", "closed")) == {"npi.invalid": 1}
    assert counts(counting, said("b", "npi.invalid", None)) == {}


def test_a_topic_too_long_to_read_gives_no_number_and_is_gone_on_with(counting: Counting) -> None:
    with pytest.raises(TimeoutError):
        counting.take([said("a", "npi.invalid", "opened")], patience=-1)
    assert counts(counting, said("a", "npi.invalid", "opened")) == {"npi.invalid": 1}
