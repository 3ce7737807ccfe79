"""How far a roll-out of rules, authority or mapping is: `status` tells it, partition by partition.

    partitions as their workers (or their last transaction) tell them --> Rollout

Pure but for the version of this installation, which it compares them with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from streams.agents import rollout
from streams.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Part:
    """One partition: decided under `rules`, on the way `toward` another version (empty: it has arrived).

    `done` of `total` entities; null where no worker has the partition open, and so nobody counts.
    """

    partition: int
    rules: str
    toward: str
    done: int | None
    total: int | None


@dataclass(frozen=True, slots=True)
class Rollout:
    """`installed`: the version of the installation that is asked. `why`: what keeps its workers out, and what to do."""

    installed: str
    running: bool
    done: int | None
    total: int | None
    partitions: list[Part]
    why: str = ""


def progress(rows: Iterable[Mapping[str, Any]], installed: str = "") -> Rollout:
    """From the partitions as `/status` and their stored state tell them."""
    own = installed or str(rollout.installed())
    parts = [_part(row) for row in sorted(rows, key=lambda row: int(row["partition"]))]
    moving = [part for part in parts if part.toward]
    why = next((why for part in parts if (why := _refused(part, own))), "")
    return Rollout(own, bool(moving), _sum(p.done for p in moving), _sum(p.total for p in moving), parts, why)


def _part(row: Mapping[str, Any]) -> Part:
    again = row["again"] or {"done": None, "total": None}
    return Part(row["partition"], row["rules"], row["toward"], again["done"], again["total"])


def _refused(part: Part, own: str) -> str:
    """What a worker of this installation would say of the partition."""
    if not (found := part.toward or part.rules):
        return ""
    try:
        rollout.check(part.partition, own, found)
    except InvalidInput as error:
        return f"{error.message}; next: {error.next_step}"
    return ""


def _sum(counts: Iterable[int | None]) -> int | None:
    found = list(counts)
    return None if None in found else sum(count for count in found if count is not None)
