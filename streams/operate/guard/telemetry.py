"""The guard's metrics, from what it answers: canary ages by hop, transactions counted, slots, clocks, what is open.

Read when somebody asks. Names stand in `streams.metrics`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from streams import metrics
from streams.metrics import Sample
from streams.operate.guard.facts import Facts


def render(status: Mapping[str, Any], facts: Mapping[str, Facts]) -> bytes:
    """The Prometheus text of a guard."""
    return metrics.render([*_watched(status), *_slots(facts), *_clocks(facts)])


def _watched(status: Mapping[str, Any]) -> Iterator[Sample]:
    for system, found in status["sources"].items():
        yield from _source(system, found)
    for (system, code), count in Counter((f["system"], f["code"]) for f in status["open"]).items():
        yield Sample("concord_guard_open", (system, code), count)
    for act, count in status["acts"].items():
        yield Sample("concord_guard_acts_total", (act,), count)


def _source(system: str, found: Mapping[str, Any]) -> Iterator[Sample]:
    for what in ("age", "late"):
        for hop, seconds in found[what].items():
            yield Sample(f"concord_canary_{what}_seconds", (system, hop), seconds)
    for outcome in ("proven", "incomplete", "unproven"):
        yield Sample("concord_transactions_total", (system, outcome), found["transactions"][outcome])
    yield Sample("concord_transactions_open", (system,), found["transactions"]["open"])


def _slots(facts: Mapping[str, Facts]) -> Iterator[Sample]:
    for system, found in facts.items():
        slot = found.server.slot if found.server else None
        if slot is not None and slot.retained is not None:
            yield Sample("concord_slot_retained_bytes", (system,), slot.retained)
        if slot is not None and slot.safe is not None:
            yield Sample("concord_slot_safe_bytes", (system,), slot.safe)


def _clocks(facts: Mapping[str, Facts]) -> Iterator[Sample]:
    for system, found in facts.items():
        if found.server is not None:
            yield Sample("concord_clock_skew_seconds", (system,), found.server.skew)
