"""Control records: what topic `clock` tells every partition, one record each; or one of them, of one entity.

    ClockHolder --snapshot-complete--> every partition
    `concord verify target --repair` --assert-again--> the entity's partition
    a verification --diverges--> the entity's partition
    ClockHolder, `concord clock tick` --tick-proposed--> every partition --tick-counted--> 0 --tick--> every partition

Read by the decide hop only. A record that is none of them is a value (`Malformed`), never an exception.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import msgspec

from streams.core.change import Int64, Malformed

AHEAD = timedelta(days=1)
"""How far a tick may be ahead of the broker's clock."""


class SnapshotComplete(msgspec.Struct, frozen=True, tag="snapshot-complete"):
    """This system's initial snapshot of `epoch` ends at `until` in this partition."""

    system: str
    epoch: Int64
    until: Int64


class Tick(msgspec.Struct, frozen=True, tag="tick"):
    """It is this date (ISO, UTC). `id` says who said so, for people."""

    as_of: str
    id: str


class TickProposed(msgspec.Struct, frozen=True, tag="tick-proposed"):
    """It would be this date: what would be withdrawn under it? `id` names the proposal."""

    as_of: str
    id: str


class TickCounted(msgspec.Struct, frozen=True, tag="tick-counted"):
    """A partition's answer to a proposal, told to `clock` partition 0.

    due        entities that the date makes due
    withdrawn  those of them that a system would lose
    providers  all providers the partition knows
    """

    as_of: str
    id: str
    partition: Int64
    due: Int64
    withdrawn: Int64
    providers: Int64


class AssertAgain(msgspec.Struct, frozen=True, tag="assert-again"):
    """A system holds something else than the view it confirmed of an entity: it goes out once more. `id` names the
    repair that found it."""

    system: str
    kind: str
    entity: str
    id: str


class Diverges(msgspec.Struct, frozen=True, tag="diverges"):
    """Rows of an entity that a verification found not to be as their system has them: row -> code. In place of what
    was said of this record and system before; empty: nothing diverges any more."""

    system: str
    record: str
    kind: str
    entity: str
    rows: dict[str, str]


Said = SnapshotComplete | Tick | TickProposed | TickCounted | AssertAgain | Diverges
OF_AN_ENTITY = AssertAgain | Diverges
"""Said to one entity, which `kind` and `entity` name."""

encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Said).decode


def decode(value: bytes | None, broker_ms: int) -> Said | Malformed:
    """What a record says that the broker took at this time."""
    try:
        control: Said = _decode(value or b"")
        return control if isinstance(control, SnapshotComplete | OF_AN_ENTITY) else _dated(control, broker_ms)
    except (msgspec.DecodeError, ValueError):
        return Malformed("clock.undecodable", "no control record of a known kind")


def _dated(control: Tick | TickProposed | TickCounted, broker_ms: int) -> Said | Malformed:
    """A date too far ahead would withdraw what is still good, and no later tick could take it back."""
    named = date.fromisoformat(control.as_of)
    if named > today(broker_ms / 1_000) + AHEAD:
        return Malformed("clock.too_far", "a tick more than a day ahead of the broker's time")
    return msgspec.structs.replace(control, as_of=named.isoformat())


def today(seconds: float) -> date:
    """The UTC date at a time of day given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).date()
