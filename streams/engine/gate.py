"""What the transport is told, and whom it asks: its settings, and the gate of the partition stores.

Beside the flow: the engine's worker implements `Gate`; the transport calls it. A gate that keeps a partition
shut delays that partition only: the others flow, and heartbeats go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from faust.types import TP


@dataclass(frozen=True, slots=True)
class Gap:
    """The log does not hold the offset we have to go on from: records were removed before we read them."""

    tp: TP
    wanted: int
    earliest: int


@dataclass(frozen=True, slots=True)
class Settings:
    """How the transport behaves; seconds where it is about time."""

    chunk: int = 2000
    in_flight: int = 2
    """Chunks out per partition: one being worked, one waiting, so the actor never idles."""
    long_poll: float = 0.1
    """How long the broker may hold back an empty fetch. While it does, a partition that was full waits."""
    drain: float = 5.0
    """How long a rebalance or a stop waits for the chunks being worked on."""
    copartitioned: bool = True
    """Refuse an assignment that lacks a partition number in one of the topics (one store a number)."""


class Gate(Protocol):
    """What the owner of the partition stores is asked and told."""

    def ready(self, partition: int) -> bool:
        """Whether records of this partition number may be delivered. Asked often: must be cheap."""
        ...

    async def assigned(self, partitions: frozenset[int]) -> None:
        """All partition numbers this worker now has, also those it had before.

        Before any record of them is delivered. Must return at once (start tasks): no heartbeat is sent
        meanwhile. Records come when `ready` says so.
        """
        ...

    async def revoked(self, partitions: frozenset[int]) -> None:
        """These numbers are given up, at a rebalance or a stop; the acknowledged prefix is committed.

        Chunks still being worked on are dead (`Chunk.live`). When this returns, another worker may own them.
        """
        ...

    async def gap(self, gap: Gap) -> None:
        """Records were removed from the log before they were read; reading goes on at `gap.earliest`."""
        ...


class OpenGate:
    """The gate of a worker without state."""

    def ready(self, partition: int) -> bool:
        return True

    async def assigned(self, partitions: frozenset[int]) -> None: ...

    async def revoked(self, partitions: frozenset[int]) -> None: ...

    async def gap(self, gap: Gap) -> None: ...
