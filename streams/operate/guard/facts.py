"""What was seen of one source's capture at one moment: the values that conditions.py judges.

What could not be looked at is None with a reason beside it: it is neither wrong nor in order. Pure values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from connectors.mapping_check import Problem
from connectors.sighting import Connector, Server
from streams.operate.guard.completeness import Incomplete

HOPS = ("captured", "decided", "applied")


@dataclass(frozen=True, slots=True)
class Beats:
    """How the canary fares at each hop, in seconds; a hop that is not named nobody can speak of.

    age   since the newest canary that has reached the hop was committed
    late  since the oldest one that has not reached it was committed; 0: all have
    fault why it could not be written
    new   hops that none has reached yet: who works there may just be starting
    """

    age: Mapping[str, float] = field(default_factory=dict)
    late: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    new: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Skipped:
    """Canaries that never arrived, between two that did: what was committed meanwhile is missing too."""

    first_beat: int
    last_beat: int
    first_lsn: int
    last_lsn: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What the system's topics said since the last look. `quiet`: seconds since the last record of any kind."""

    quiet: float | None = None
    skipped: tuple[Skipped, ...] = ()
    incomplete: tuple[Incomplete, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Overtaken:
    """A reader of a topic whose next record is gone, or nearly (`gone` False)."""

    topic: str
    partition: int
    position: int
    first: int
    gone: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """One source at one moment."""

    system: str
    slot: str = ""
    server: Server | None = None
    unreachable: str = ""
    before: Server | None = None
    """the server as it was seen the time before"""
    connector: Connector | None = None
    unanswered: str = ""
    problems: tuple[Problem, ...] | None = None
    beats: Beats = field(default_factory=Beats)
    heard: Heard = field(default_factory=Heard)
    overtaken: tuple[Overtaken, ...] | None = None
    known: Connector | None = None
    """the connector as Connect last told it"""
    idle: float | None = None
    """seconds since a worker has taken anything of the system; None: no worker answers"""

    @property
    def epoch(self) -> int:
        """The running epoch, 0 while nobody can say."""
        return self.connector.epoch if self.connector else 0

    @property
    def lsn(self) -> int:
        """Where the source's log ends, 0 while nobody can say."""
        return self.server.lsn if self.server else 0
