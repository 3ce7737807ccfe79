"""A finding as somebody works on it, and how a list of them is asked for. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

SEVERITIES = ("high", "medium", "low")
NO_DUE = "~"
"""Sorts behind every date."""
ID_BYTES = 7
"""Of a hash: SQLite keeps 63 bits as an integer, and a million findings meet once in 10^5 lists."""


@dataclass(frozen=True, slots=True)
class Handling:
    """What people last said of a finding. `number` is of their newest word; 0: nobody said anything."""

    number: int = 0
    assignee: str = ""
    until: str = ""
    """deferred until this day"""
    by: str = ""
    reason: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """An open finding, and what people said of it."""

    finding: Mapping[str, Any]
    handling: Handling = Handling()

    @property
    def id(self) -> str:
        """Its name in an address."""
        return f"{number_of(key_of(self.finding)):x}"

    @property
    def entity(self) -> str:
        """`kind/id`."""
        return f"{self.finding['kind']}/{self.finding['entity_id']}"

    @property
    def seen(self) -> str:
        """What somebody who looks at it has seen: another word or another change makes their form stale."""
        return f"{self.finding['position']} {self.handling.number}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which findings. whose: all | mine | unassigned | deferred; due: '' | overdue | week; after: a page's `next`."""

    whose: str = "all"
    who: str = ""
    severity: str = ""
    code: str = ""
    actor: str = ""
    due: str = ""
    entity: str = ""
    after: str = ""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the list has been read. Until it is whole, nothing is listed: a part would look like everything."""

    read: int = 0
    of: int | None = None
    whole: bool = False
    why: str = ""
    """what keeps it from going on"""
    at: float = 0.0
    """epoch seconds when it was last known to be at the topic's end"""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of the list; `total` counts the other pages too."""

    cases: list[Case]
    total: int
    next: str = ""
    progress: Progress = Progress()


@dataclass(frozen=True, slots=True)
class Sums:
    """Open findings in all, and what of them needs a person now."""

    total: int = 0
    by_severity: Mapping[str, int] = field(default_factory=dict)
    by_code: Mapping[str, int] = field(default_factory=dict)
    by_actor: Mapping[str, int] = field(default_factory=dict)
    overdue: int = 0
    assigned: int = 0
    deferred: int = 0
    progress: Progress = Progress()


def key_of(finding: Mapping[str, Any]) -> bytes:
    """The key of its record in topic `finding`."""
    return f"{finding['kind']}/{finding['entity_id']} {finding['code']} {finding['subject']}".encode()


def number_of(key: bytes) -> int:
    """A key as the number it has in the index."""
    return int.from_bytes(blake2b(key, digest_size=ID_BYTES).digest())


def rank_of(severity: str) -> int:
    """0 is the worst."""
    return SEVERITIES.index(severity) if severity in SEVERITIES else len(SEVERITIES)
