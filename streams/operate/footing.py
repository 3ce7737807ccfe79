"""What the flow stands on besides its hops, for `concord status`: registry, reference data, disks, clocks.

    registry, reference folder, /status of workers and guard --footing--> Footing --ailing--> a line for what is wrong

Told only where it is not in order; `concord doctor` and docs/runbooks say what to do. Never changes anything.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from connectors.reference import standing
from connectors.reference.store import Folder
from streams.errors import ConcordError
from streams.operate.announced import Answer
from streams.settings import Settings
from streams.trust import trusted

PATIENCE = httpx.Timeout(3.0, connect=0.5)
LEAST_FREE = 0.1
"""As alert DiskNearlyFull."""
SKEW = 2.0
"""Seconds, as alert ClockSkewed and doctor's check `clock`."""


@dataclass(frozen=True, slots=True)
class Footing:
    """registry: why it doesn't answer. witnesses: source -> why it is not fresh. free: worker -> share of the disk
    under its store. skew: system -> seconds that its server's clock is ahead of the guard's."""

    registry: str = ""
    witnesses: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, float] = field(default_factory=dict)
    skew: Mapping[str, float] = field(default_factory=dict)


def footing(settings: Settings, answers: Iterable[Answer]) -> Footing:
    """How it stands now; what nobody can say is left out."""
    found = list(answers)
    return Footing(registry(settings), _witnesses(settings), _free(found), _skew(found))


def registry(settings: Settings) -> str:
    """Why the registry doesn't answer; empty when it does, and where none is named."""
    if not settings.registry:
        return ""
    try:
        answer = httpx.get(f"{settings.registry.rstrip('/')}/config", timeout=PATIENCE, verify=trusted())
    except (httpx.HTTPError, httpx.InvalidURL) as fault:
        return type(fault).__name__
    return f"HTTP {answer.status_code}" if answer.is_server_error else ""


def _witnesses(settings: Settings) -> dict[str, str]:
    """Those that somebody has tried to load."""
    folder = Folder(settings.reference_dir)
    if not folder.holders.exists():
        return {}
    try:
        found = standing.standings(folder, datetime.now(UTC).date())
    except (ConcordError, OSError, sqlite3.Error):
        return {}  # not ours to read: `concord reference status` says so
    tried = [each for each in found if each.version is not None or each.failed is not None]
    return {each.source: f"{each.state}: {each.why}" for each in tried if each.state != "fresh"}


def _free(answers: Iterable[Answer]) -> dict[str, float]:
    told = {a.party.key: a.status.get("free_ratio") for a in answers if a.party.role == "worker"}
    return {key: share for key, share in told.items() if share is not None}


def _skew(answers: Iterable[Answer]) -> dict[str, float]:
    guards = [answer.status for answer in answers if answer.party.role == "guard"]
    sources: Mapping[str, Any] = guards[0]["sources"] if guards else {}
    return {system: told["skew"] for system, told in sources.items() if told.get("skew") is not None}


def ailing(found: Footing) -> Iterator[str]:
    """A line for each thing that is not in order, with the next step."""
    if found.registry:
        yield f"registry  does not answer ({found.registry}): concord doctor --only registry"
    for source, why in found.witnesses.items():
        yield f"reference {source} is {why}: concord reference status"
    for worker, share in found.free.items():
        if share < LEAST_FREE:
            yield f"disk      {share:.1%} is free under the store of {worker}: concord doctor --only disk"
    apart = {system: skew for system, skew in found.skew.items() if abs(skew) > SKEW}
    if apart:
        told = ", ".join(f"{system} {skew:+.1f} s" for system, skew in sorted(apart.items()))
        yield f"clocks    apart from the guard's: {told}: concord doctor --only clock"
