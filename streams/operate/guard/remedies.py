"""What the guard does by itself: the few acts that can make nothing worse, each a few times and then no more.

    open findings --Remedies--> pause a connector, start failed tasks again, make a lost slot anew,
                                pass over for a while what can't be processed
    closed ones   --Remedies--> start the task of an altered table again

Never takes a snapshot, never raises an epoch, never writes a row: those are a person's command. Every act is one line
in the log and stands in the audit, with its cause. docs/capture-guard.md says why each is safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import structlog

from connectors import lenient, sources
from connectors.connect import Connect
from connectors.sighting import Connector
from connectors.sources import Source
from streams.errors import ConcordError
from streams.operate.audit.act import act as audited
from streams.operate.guard.facts import Facts
from streams.settings import Settings

log = structlog.get_logger("concord.guard")

WHO = "concord guard"
HOUR = 3_600.0
RESTARTS = 3
RENEWALS = 2
PAUSES = 6
REFRESHES = 6
AGAINS = 6
LENIENCES = 4
STRICTNESSES = 30
"""Never fewer than leniences: to fail again over what can't be processed is the safe side."""
ALTERED = frozenset({"mapping.differs", "publication.differs"})
"""Closed, they tell of a table that was altered and mended."""


@dataclass(slots=True)
class Bounded:
    """So many times an hour, and not twice within `apart` seconds."""

    most: int
    apart: float
    _done: deque[float] = field(default_factory=deque)

    def admits(self, now: float) -> bool:
        """Whether it may be done now; counts it as done."""
        while self._done and now - self._done[0] > HOUR:
            self._done.popleft()
        if len(self._done) >= self.most or (self._done and now - self._done[-1] < self.apart):
            return False
        self._done.append(now)
        return True


class Remedies:
    """For one source."""

    def __init__(self, settings: Settings, source: Source, connect: str) -> None:
        self._settings = settings
        self._source = source
        self._connect = connect
        self._tried = 0
        """the change that a start hasn't got past"""
        self._bounds = {
            "pause": Bounded(PAUSES, 10.0),
            "restart": Bounded(RESTARTS, 20.0),
            "renew": Bounded(RENEWALS, 60.0),
            "refresh": Bounded(REFRESHES, 5.0),
            "again": Bounded(AGAINS, 0.0),
            "pass_over": Bounded(LENIENCES, 5.0),
            "heed": Bounded(STRICTNESSES, 5.0),
        }

    def act(self, facts: Facts, codes: Collection[str], now: float) -> str:
        """Do what the open conditions ask for, one thing at a time; what was done."""
        if facts.connector is None or facts.server is None:
            return ""
        if "source.replaced" in codes:
            # Positions of another server under the old epoch would be compared with those before.
            return self._do("pause", codes, now, self._pause) if facts.connector.state == "RUNNING" else ""
        if facts.connector.state not in ("RUNNING", "FAILED"):
            return ""  # somebody has stopped it: theirs to go on
        if {"slot.missing", "slot.lost"} & set(codes) or {"slot.ahead", "connector.failed"} <= set(codes):
            return self._do("renew", codes, now, self._renew)
        if "connector.failed" in codes:
            return self._do("restart", codes, now, self._restart)
        if "connector.passes_over" in codes:
            return self._passed_over(facts.connector, codes, now)
        if "connector.unprocessable" in codes:
            return self._unprocessable(facts.connector, facts.lsn, codes, now)
        return ""

    def _unprocessable(self, found: Connector, lsn: int, codes: Collection[str], now: float) -> str:
        """Once more from the offset: a task that starts learns its tables anew, and loses nothing. If it meets the same
        change again, that is passed over."""
        name = self._source.names.connector
        if not found.stuck_at or found.lenient[1]:
            return ""
        if found.stuck_at > self._tried and (again := self._do("again", codes, now, self._restart)):
            self._tried = found.stuck_at
            return again
        captured = found.lsn or 0
        return self._do("pass_over", codes, now, lambda connect: lenient.begin(connect, name, captured, lsn))

    def _passed_over(self, found: Connector, codes: Collection[str], now: float) -> str:
        """What ends it stands in Connect: whoever was killed in between goes on from there. Never without the finding,
        which leaves what may be missing to be verified."""
        name, until = self._source.names.connector, found.lenient[1]
        if found.runs and until and (found.lsn or 0) > until:
            return self._do("heed", codes, now, lambda connect: lenient.end(connect, name))
        return ""

    def altered(self, closed: Collection[str], now: float) -> str:
        """A mended table: the task learns its columns anew, or what is read again would be taken in their old order,
        and the task would fail on it; what was done."""
        found = sorted(ALTERED.intersection(closed))
        return self._do("refresh", found, now, self._refresh) if found else ""

    def _do(self, name: str, codes: Collection[str], now: float, act: Callable[[Connect], None]) -> str:
        if not self._bounds[name].admits(now):
            return ""
        system = self._source.names.system
        log.warning("guard.acts", act=name, system=system, because=sorted(codes))
        what, why = f"guard.{name}", ", ".join(sorted(codes))
        try:
            # Who can't be written down does nothing: it is tried again at a later look, within its bounds.
            with (
                audited(self._settings, WHO, what, subject=system, why=why),
                Connect(self._connect) as connect,
            ):
                act(connect)
        except ConcordError as fault:
            log.warning("guard.act_failed", act=name, system=system, code=fault.code, fault=fault.message)
            return ""
        return name

    def _pause(self, connect: Connect) -> None:
        connect.pause(self._source.names.connector)

    def _restart(self, connect: Connect) -> None:
        connect.restart_failed(self._source.names.connector)

    def _refresh(self, connect: Connect) -> None:
        connect.restart(self._source.names.connector)

    def _renew(self, connect: Connect) -> None:
        """Capture goes on under the same epoch from where a slot can; a finding that stays names what is left out."""
        begins = sources.renew_slot(connect, self._source)
        log.warning("guard.renewed", system=self._source.names.system, begins=begins)
