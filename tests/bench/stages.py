"""Where a view's time goes between a commit and a reader's hand: the hops of one step of experiment d.

    commit --Debezium, Connect--> sent to cdc.* --worker--> decided --its transaction--> appended --reader--> received

Each hop by the clock of whoever did it, all on one machine; p50 of each, so that their sum is near the whole's, not equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from streams.operate import reading
from streams.operate.reading import Place
from streams.settings import Settings
from tests.bench.report import quantiles

HOPS = ("sent", "decided", "appended", "received")


class View(Protocol):
    """A view in a reader's hand; when each hop was over, in ms since the epoch."""

    @property
    def committed_us(self) -> int: ...
    @property
    def decided_ms(self) -> float: ...
    @property
    def appended_ms(self) -> float: ...
    @property
    def received_us(self) -> int: ...


class _Source(msgspec.Struct):
    ts_us: int = 0


class _Row(msgspec.Struct):
    source: _Source = msgspec.field(default_factory=_Source)


_decode = msgspec.json.Decoder(_Row).decode


def sent(settings: Settings, start: dict[Place, int]) -> dict[int, int]:
    """Commit (us) -> when Connect sent the last row of it (ms)."""
    found: dict[int, int] = {}
    for message in reading.read(settings.kafka, start):
        if message.value() is not None:
            committed = _decode(message.value() or b"{}").source.ts_us
            found[committed] = max(found.get(committed, 0), message.timestamp()[1])
    return found


def hops(seen: Iterable[View], sent_ms: dict[int, int]) -> dict[str, float]:
    """p50 of each hop, ms; of views whose change is among those sent."""
    took: dict[str, list[float]] = {hop: [] for hop in HOPS}
    for view in seen:
        if view.committed_us in sent_ms:
            ends = (sent_ms[view.committed_us], view.decided_ms, view.appended_ms, view.received_us / 1e3)
            for hop, begin, end in zip(HOPS, (view.committed_us / 1e3, *ends), ends, strict=False):
                took[hop].append(end - begin)
    return {hop: quantiles(each)["p50"] if each else 0.0 for hop, each in took.items()}
