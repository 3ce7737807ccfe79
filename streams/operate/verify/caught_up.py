"""Catching up: everything a source committed up to a position is captured, decided and read.

    log position --connector flushed past it--> end of cdc.<system> --partitions have read it--> `entity`, followed

In this order: what the slot has confirmed is in Kafka, so the ends read afterwards are behind it. Waits, and says who
is late; changes nothing but the source's heartbeat row, so that an idle source has something to confirm.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg

from connectors import origin
from connectors.sources import Source
from streams.errors import Unavailable
from streams.operate import reading
from streams.operate.verify.entities import PATIENCE, Entities
from streams.operate.verify.found import lsn_text
from streams.settings import Settings

POLL = 0.05
BEAT = 1.0
_CONFIRMED = """
select coalesce(confirmed_flush_lsn - '0/0'::pg_lsn, 0)::bigint from pg_replication_slots where slot_name = %s
"""


class CaughtUp:
    """One system's way from its log to what the platform holds."""

    def __init__(
        self, settings: Settings, source: Source, connection: psycopg.Connection[Any], entities: Entities
    ) -> None:
        self._kafka, self._source, self._connection, self._entities = (
            settings.kafka,
            source,
            connection,
            entities,
        )
        self._places = [(source.names.topic, number) for number in range(settings.partitions)]

    def past(self, lsn: int) -> None:
        """Return when the platform holds all that was committed before this position."""
        captured(self._connection, self._source, lsn)
        ends = {place: end for place, (_, end) in reading.ends(self._kafka, self._places).items()}
        self._entities.past(ends)


def captured(connection: psycopg.Connection[Any], source: Source, lsn: int) -> None:
    """Return when all that was committed before this position is in Kafka; Unavailable where that takes too long."""
    deadline, beaten = time.monotonic() + PATIENCE, 0.0
    while (confirmed := _confirmed(connection, source)) is None or confirmed < lsn:
        if time.monotonic() > deadline:
            raise _late(source, lsn, confirmed)
        if time.monotonic() - beaten > BEAT:
            origin.beat(source.dsn)
            beaten = time.monotonic()
        time.sleep(POLL)


def _confirmed(connection: psycopg.Connection[Any], source: Source) -> int | None:
    row = connection.execute(_CONFIRMED, [source.names.slot_name]).fetchone()
    return int(row[0]) if row else None


def _late(source: Source, lsn: int, confirmed: int | None) -> Unavailable:
    stands = "there is no such slot" if confirmed is None else f"it has confirmed {lsn_text(confirmed)}"
    what = f"slot {source.names.slot_name} does not get past {lsn_text(lsn)}: {stands}"
    return Unavailable("verify.not_captured", what, "concord sources status")
