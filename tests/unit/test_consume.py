"""A record as `concord sample` and `tail` show it: decoded by its own schema, restricted values masked, or told why not."""

from __future__ import annotations

import io
import json
from typing import Any

import fastavro
import pytest

from schemas.registry import schema_files
from streams.operate import consume
from streams.operate.consume import Decode, Record, Wanted

SCHEMA = json.loads(next(f.text for f in schema_files() if f.topic == "sink.billing.organization"))
VIEW = {"revision": 3, "status": "active", "organization_id": "o-1", "npi": "1234567893", "tin": "121234567"}


class Sent:
    """A message as the client gives it."""

    def __init__(self, value: bytes | None) -> None:
        self._value = value

    def value(self) -> bytes | None:
        return self._value

    def key(self) -> bytes:
        return b"o-1"

    def topic(self) -> str:
        return "sink.billing.organization"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 7

    def timestamp(self) -> tuple[int, int]:
        return 1, 1000

    def headers(self) -> list[tuple[str, bytes]]:
        return [("ce_id", b"billing/organization/o-1/3"), ("concord-changed", b"npi,tin")]


def wire(number: int = 5) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(SCHEMA), VIEW)
    return b"\0" + number.to_bytes(4, "big") + body.getvalue()


def shown(value: bytes | None, known: Any = SCHEMA) -> Record:
    return Decode(lambda number: known)(Sent(value))


def test_a_record_is_decoded_and_restricted_values_are_masked() -> None:
    found = shown(wire())
    assert (found.key, found.schema, found.schema_id) == ("o-1", "concord.billing.Organization", 5)
    assert found.value is not None
    assert (found.value["npi"], found.value["tin"]) == ("1234567893", "•••4567")
    assert "121234567" not in consume.line(found)
    assert json.loads(consume.line(found))["headers"]["ce_id"] == "billing/organization/o-1/3"


def test_a_tombstone_is_no_problem() -> None:
    found = shown(None)
    assert (found.value, found.problem) == (None, "")


@pytest.mark.parametrize("value", [b"", b"{}", b"\0\0\0\0\5", wire()[:-3], b"\1" + wire()[1:]])
def test_what_cannot_be_decoded_says_so_and_never_what_it_held(value: bytes) -> None:
    found = shown(value)
    assert found.value is None
    assert found.problem.startswith("can't be decoded: ")


def test_a_schema_nobody_registered_is_told() -> None:
    assert shown(wire(), None).problem == "can't be decoded: KeyError"


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [
        (Wanted(), True),
        (Wanted(provider="1234567893"), True),
        (Wanted(provider="o-1"), True),
        (Wanted(provider="1999999999"), False),
        (Wanted(changed="tin"), True),
        (Wanted(changed="ti"), False),
        (Wanted(provider="o-1", changed="legal_name"), False),
    ],
)
def test_who_and_what_is_asked_for_is_shown(wanted: Wanted, is_shown: bool) -> None:
    assert wanted(shown(wire())) == is_shown
