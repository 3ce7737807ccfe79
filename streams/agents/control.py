"""Control records: what topic `clock` tells every partition, one record each.

    ClockHolder, `concord clock tick` --clock--> decide

Read by the decide hop only. A record that is none of them is a value (`Malformed`), never an exception.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from streams.core.change import Malformed

AHEAD = timedelta(days=1)
"""How far a tick may be ahead of the broker's clock."""


class SnapshotComplete(msgspec.Struct, frozen=True, tag="snapshot-complete"):
    """This system's initial snapshot of `epoch` ends at `until` in this partition."""

    system: str
    epoch: int
    until: int


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """It is this date (ISO, UTC). `id` says who said so, for people."""

    as_of: str
    id: str


encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(SnapshotComplete | Tick).decode


def decode(value: bytes | None, broker_ms: int) -> SnapshotComplete | Tick | Malformed:
    """What a record says that the broker took at this time."""
    try:
        control: SnapshotComplete | Tick = _decode(value or b"")
        return _tick(control, broker_ms) if isinstance(control, Tick) else control
    except (msgspec.DecodeError, ValueError):
        return Malformed("clock.undecodable", "no control record of a known kind")


def _tick(tick: Tick, broker_ms: int) -> Tick | Malformed:
    """A date too far ahead would withdraw what is still good, and no later tick could take it back."""
    named = date.fromisoformat(tick.as_of)
    if named > today(broker_ms / 1_000) + AHEAD:
        return Malformed("clock.too_far", "a tick more than a day ahead of the broker's time")
    return Tick(named.isoformat(), tick.id)


def today(seconds: float) -> date:
    """The UTC date at a time of day given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()
