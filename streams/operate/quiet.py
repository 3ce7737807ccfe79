"""Is what was committed captured, and is what was captured decided? Conditions the demo waits on.

Asks the systems' slots and the workers; changes nothing and waits for nothing itself.
"""

from __future__ import annotations

import psycopg

from streams.operate import announced
from streams.operate.announced import Party
from streams.operate.preparing import chosen_sources
from streams.settings import Settings, need

MASTER = "credentialing"
_HERE = "select pg_current_wal_lsn()"
_PASSED = "select confirmed_flush_lsn >= %s::pg_lsn from pg_replication_slots where slot_name = %s"


class Quiet:
    """Is everything that was captured decided? Asks the workers that were found at the start."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parties: list[Party] = []

    def __call__(self) -> bool:
        answers = announced.answers(self._parties)
        opened = sum(len(answer.status["partitions"]) for answer in answers)
        if opened < self._settings.partitions:
            self._parties = announced.announced(self._settings, "worker")
            return False
        return not any(
            any(entry["lag"] for entry in answer.status["inputs"])
            or any(partition["dirty"] for partition in answer.status["partitions"])
            for answer in answers
        )


def log_position(settings: Settings, system: str = MASTER) -> str:
    """Where a system's log ends now."""
    with psycopg.connect(dsn(settings, system), autocommit=True) as connection:
        row = connection.execute(_HERE).fetchone()
    return str(row[0]) if row else "0/0"


def captured(settings: Settings, position: str, system: str = MASTER) -> bool:
    """The slot has confirmed the position: every row before it is in Kafka."""
    (source,) = [s for s in chosen_sources(settings) if s.names.system == system]
    with psycopg.connect(dsn(settings, system), autocommit=True) as connection:
        row = connection.execute(_PASSED, [position, source.names.slot_name]).fetchone()
    return bool(row and row[0])


def dsn(settings: Settings, system: str) -> str:
    """A system's own database."""
    found: str = need(settings.databases.get(system), f"CONCORD_DATABASE_{system.upper()}")
    return found
