"""An interrupted snapshot is taken again under its epoch: the later reading wins, a streamed row over both."""

from __future__ import annotations

from typing import Any, Literal

from connectors import envelope
from schemas.tables import decoders
from streams.core.change import Change
from streams.core.entity import APPLIED, SUPERSEDED, Entity, aggregate

LICENSE = {"license_id": "l", "provider_id": "p", "state": "IL", "license_type": "MD", "number": "1"}
DECODE = decoders(("credentialing",))["credentialing"].decode


def seen(number: str, prior: int | None, lsn: int, op: Literal["c", "u", "d", "r"]) -> Change:
    row: dict[str, Any] = {**LICENSE, "number": number}
    change = envelope.Change("license", row, op)
    said = DECODE(
        *envelope.Source("credentialing").message(change, prior, lsn, "true" if op == "r" else "false")
    )
    assert isinstance(said, Change)
    return said


def test_what_changed_between_two_readings_is_taken_from_the_second() -> None:
    entity = Entity("provider", "p")
    assert aggregate(entity, seen("1", None, 5_000, "r")) == APPLIED
    assert aggregate(entity, seen("2", None, 6_000, "r")) == APPLIED


def test_the_first_reading_sent_again_changes_nothing() -> None:
    entity = Entity("provider", "p")
    aggregate(entity, seen("2", None, 6_000, "r"))
    assert aggregate(entity, seen("1", None, 5_000, "r")) == SUPERSEDED


def test_a_row_streamed_after_either_reading_wins_whatever_its_lsn() -> None:
    """The first transaction after a snapshot has no prior commit either (seen on Debezium 3.7)."""
    entity = Entity("provider", "p")
    aggregate(entity, seen("2", None, 6_000, "r"))
    assert aggregate(entity, seen("3", None, 4_000, "u")) == APPLIED
    assert aggregate(entity, seen("2", None, 7_000, "r")) == SUPERSEDED
