"""One look at a source: everything its conditions need to know, each part asked for by itself.

    database, Connect, mapping, Pulse, Listener, Around --Look--> Facts

A part that can't be looked at leaves its reason in the facts and never hides the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from connectors.connect import Connect
from connectors.drift import Altered, Shapes
from connectors.mapping_check import Problem, judge
from connectors.sighting import Connector, Origin, Server, connector
from connectors.sources import Source
from connectors.survey import Survey
from schemas.catalog import load_catalog, load_mapping
from streams.errors import ConcordError
from streams.operate.guard.facts import Beats, Facts, Heard, Overtaken

CONNECT_PATIENCE = 1.5
MAPPING_EVERY = 4.0

T = TypeVar("T")


class Look:
    """Looks at one source, again and again."""

    def __init__(self, source: Source, connect: str) -> None:
        self._source = source
        self._origin = Origin(source.dsn, source.names.slot_name)
        self._connect = Connect(connect, timeout=CONNECT_PATIENCE, deadline=CONNECT_PATIENCE)
        self._before: tuple[Server | None, int] = (None, 0)
        self._known: Connector | None = None
        self._problems: tuple[Problem, ...] | None = None
        self._shapes = Shapes()
        self._altered: tuple[Altered, ...] = ()
        self._checked = float("-inf")

    def facts(
        self,
        now: float,
        beats: Beats,
        heard: Heard,
        overtaken: tuple[Overtaken, ...] | None = None,
        idle: float | None = None,
    ) -> Facts:
        """What is so now. Connect is asked after the slot: its offset only moves on."""
        server, unreachable = _tried(self._origin.server)
        asked, unanswered = _tried(self._connector)
        if server is not None and now - self._checked >= MAPPING_EVERY:
            self._checked = now
            seen, _ = _tried(self._survey)
            self._problems = self._judged(seen) if seen is not None else None
        before = self._seen(server, asked)
        self._known = asked or self._known
        return Facts(
            self._source.names.system,
            self._source.names.slot_name,
            server,
            unreachable,
            before,
            asked,
            unanswered,
            self._problems if server is not None else None,
            beats,
            heard,
            overtaken,
            self._known,
            idle,
            self._told(),
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._origin.close()
        self._connect.__exit__()

    def _seen(self, server: Server | None, asked: Connector | None) -> Server | None:
        """The server at the last look, under the same epoch: a new snapshot makes a new slot."""
        before, epoch = self._before
        if asked is not None and asked.epoch != epoch:
            before, epoch = None, asked.epoch
        self._before = (server or before, epoch)
        return before

    def _connector(self) -> Connector:
        return connector(self._connect, self._source.names.connector)

    def _survey(self) -> Survey:
        return self._origin.survey(load_mapping(self._source.names.system), self._source.names.publication)

    def _judged(self, seen: Survey) -> tuple[Problem, ...]:
        names, catalog = self._source.names, load_catalog()
        mapping = load_mapping(names.system)
        self._altered += tuple(self._shapes.altered(mapping, catalog, seen))
        return tuple(judge(mapping, catalog, seen, publication=names.publication))

    def _told(self) -> tuple[Altered, ...]:
        told, self._altered = self._altered, ()
        return told


def _tried(ask: Callable[[], T]) -> tuple[T | None, str]:
    try:
        return ask(), ""
    except ConcordError as fault:
        return None, fault.message
