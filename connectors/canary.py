"""The canary of a source: a count that is raised each second, by a role that may do nothing else.

    Canary.beat --> concord_canary --the same slot and topic as every row--> cdc.<system>

Whoever sees the count arrive knows that all that was committed before it has arrived too. Writes one row, reads
nothing.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from connectors.postgres import SOCKET
from streams.errors import EnvironmentFault, Unavailable

NAME = "canary"
_BEAT = """
insert into public.concord_canary (name, beat) values (%s, 1)
on conflict (name) do update set beat = concord_canary.beat + 1, at = now() returning beat
"""
_PATIENCE = "-c statement_timeout=2s -c lock_timeout=1s"


class Canary:
    """One source's canary, over a connection of its own that is made again when it breaks."""

    def __init__(self, system: str, dsn: str) -> None:
        self._key = f"{NAME}/{system}"
        self._system = system
        self._dsn = make_conninfo(
            dsn, application_name="concord-canary", connect_timeout=2, options=_PATIENCE, **SOCKET
        )
        self._connection: psycopg.Connection[Any] | None = None

    def beat(self) -> int:
        """Raise the count; committed when this returns."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = psycopg.connect(self._dsn, autocommit=True, prepare_threshold=None)
            row = self._connection.execute(_BEAT, [self._key]).fetchone()
        except psycopg.errors.InsufficientPrivilege as fault:
            step = "concord systems apply gives role concord_canary its rights"
            raise EnvironmentFault("canary.refused", f"{self._system}: {_reason(fault)}", step) from None
        except psycopg.Error as fault:
            self.close()
            step = "check that the source's database runs and takes writes"
            raise Unavailable("canary.unwritten", f"{self._system}: {_reason(fault)}", step) from None
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _reason(fault: psycopg.Error) -> str:
    return (fault.diag.message_primary or str(fault)).splitlines()[0]
