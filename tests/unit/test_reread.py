"""Rows that the platform reads itself: they say what Debezium's incremental snapshot would, at the mark of the reading."""

from __future__ import annotations

import time

import pytest

from connectors.reread import _moment, log, said
from schemas.tables import decoders
from streams.core.change import Change

WHO = "00000000-0000-4000-8000-000000000001"
ROW = {
    "provider_id": WHO, "npi": "1234567893", "entity_type": "1", "last_name": "Example", "dob": "1961-04-15",
    "languages": [{"code": "en"}], "status": "active", "row_version": 7, "updated_at": "2026-11-23T04:00:00.5Z",
    "updated_by": "somebody",
}  # fmt: skip


def test_a_row_stands_at_the_mark_of_its_reading_and_waits_for_no_snapshot() -> None:
    before = time.time_ns() // 1000
    found = decoders(["credentialing"])["credentialing"].decode(
        *said(log("credentialing", 3), "provider", ROW, 5_000)
    )
    assert isinstance(found, Change)
    assert (found.position, found.read, found.initial) == ((3, 5_000, 0), True, False)
    assert before <= found.committed_us <= time.time_ns() // 1000, "it counts as fresh: nobody waited for it"
    assert getattr(found.values, "last_name", None) == "Example"


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2026-11-23T04:42:59.923121+00:00", "2026-11-23T04:42:59.923121Z"),
        ("2026-11-23T04:42:59", "2026-11-23T04:42:59Z"),
        ("infinity", "+292278994-08-17T00:00:00Z"),
        ("20000-01-01T00:00:00+00:00", "+292278994-08-17T00:00:00Z"),
        ("0044-03-15T12:00:00+00:00 BC", "+292278994-08-17T00:00:00Z"),
    ],
)
def test_moments_are_written_as_debezium_does(told: str, moment: str) -> None:
    assert _moment(told) == moment
