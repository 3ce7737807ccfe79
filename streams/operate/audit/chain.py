"""The hash chain: each link says the hash of the one before it, so that none can be changed, taken out or moved. Pure.

    audit_text (the database) --> Link: what it says, letter by letter, and the hash that is kept beside it
    links in order --Chain--> whole up to here, or the first that is not, and why

A link taken off the end is not found by the chain alone, but by a head that somebody kept: an export's manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

NAMES = ("previous_hash", "at", "actor", "action", "kind", "entity_id", "detail")
CHANGED = "it says something else than when it was written"
MOVED = "it does not follow the one before it: a row between them is missing, or their order was changed"
UNREADABLE = "it is no row of the audit"


@dataclass(frozen=True, slots=True)
class Link:
    """One row. `text`: what the database hashed."""

    audit_id: int
    text: str
    hash: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The first row at which the chain is not whole."""

    audit_id: int
    why: str


@dataclass(slots=True)
class Chain:
    """What was walked so far. `previous`: the hash of the row before the first, where not the whole is walked."""

    previous: str | None = None
    entries: int = 0
    first: int = 0
    last: int = 0
    broken: Broken | None = None

    def walk(self, links: Iterable[Link]) -> Chain:
        """Up to the first that is broken, one at a time."""
        for link in links:
            if why := wrong(link, self.previous):
                self.broken = Broken(link.audit_id, why)
                break
            self.take(link)
        return self

    def take(self, link: Link) -> None:
        """Behind what was walked, whatever it says."""
        self.first = self.first or link.audit_id
        self.entries, self.last, self.previous = self.entries + 1, link.audit_id, link.hash

    @property
    def head(self) -> str | None:
        """The hash of the last."""
        return self.previous


def wrong(link: Link, previous: str | None) -> str:
    """Why a link can't follow this one; empty where it can."""
    if hashlib.sha256(link.text.encode()).hexdigest() != link.hash:
        return CHANGED
    try:
        said = json.loads(link.text)
    except (ValueError, RecursionError):
        return UNREADABLE
    if not isinstance(said, list) or len(said) != len(NAMES):
        return UNREADABLE
    return "" if said[0] == previous else MOVED


def entry(link: Link) -> dict[str, Any]:
    """What a row says, for people."""
    said = dict(zip(NAMES, json.loads(link.text), strict=True))
    said["at"] = datetime.fromtimestamp(float(said["at"]), UTC).isoformat(timespec="milliseconds")
    return {"audit_id": link.audit_id, **said, "hash": link.hash}
