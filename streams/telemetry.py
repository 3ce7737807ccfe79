"""The worker's metrics, from what it answers: counts of records (never of chunks), partition by partition.

Read from the partitions' own state when somebody asks, so the hot path pays nothing. Names stand in `metrics`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streams.metrics import Sample, render

COUNTERS = {
    "decided": "concord_decide_decisions_total",
    "emitted": "concord_decide_views_total",
    "late": "concord_decide_late_total",
    "retries": "concord_decide_retries_total",
}
GAUGES = {
    "dirty": "concord_decide_dirty",
    "due": "concord_clock_due",
    "largest": "concord_decide_entity_bytes_max",
}


def text(
    partitions: Iterable[Mapping[str, Any]],
    restoring: Iterable[Mapping[str, Any]] = (),
    opened: int = 0,
    disk: Path = Path(),
) -> str:
    """The Prometheus text of a worker: its open partitions, those it restores, how many it ever opened, its disk."""
    return render([*_disk(disk), *samples(partitions, restoring, opened)]).decode()


def free_ratio(folder: Path) -> float | None:
    """How much of the disk under the store is free; None when nobody can say."""
    with suppress(OSError):
        found = shutil.disk_usage(folder)
        return found.free / found.total
    return None


def _disk(folder: Path) -> Iterator[Sample]:
    if (share := free_ratio(folder)) is not None:
        yield Sample("concord_store_free_ratio", (), share)


def samples(
    partitions: Iterable[Mapping[str, Any]], restoring: Iterable[Mapping[str, Any]], opened: int
) -> Iterator[Sample]:
    """What a worker has to tell."""
    yield Sample("concord_decide_partitions_opened_total", (), opened)
    for found in restoring:
        share = found["done"] / found["total"] if found["total"] else 0.0
        yield Sample("concord_restore_ratio", (str(found["partition"]),), share)
    for status in partitions:
        number = str(status["partition"])
        for key, name in {**COUNTERS, **GAUGES}.items():
            yield Sample(name, (number,), status[key])
        yield from _clock(number, status)
        yield Sample("concord_rollout_left", (number,), _left(status["again"]))
        for topic, outcomes in status["outcomes"].items():
            for outcome, count in outcomes.items():
                yield Sample("concord_decide_records_total", (topic, number, outcome), count)
        yield from _parity(number, status["parity"])


def _clock(number: str, status: Mapping[str, Any]) -> Iterator[Sample]:
    stopped = bool(status["asked"] and status["asked"]["stopped"])
    yield Sample("concord_clock_stopped", (number,), int(stopped))
    if status["ticked"]:
        day = datetime.fromisoformat(status["ticked"]).replace(tzinfo=UTC)
        yield Sample("concord_clock_tick_timestamp_seconds", (number,), day.timestamp())


def _parity(number: str, found: Mapping[str, Any]) -> Iterator[Sample]:
    for system, states in found["systems"].items():
        for state, count in states.items():
            yield Sample("concord_parity_entities", (system, number, state), count)
    for system, fields in found["fields"].items():
        for name, count in fields.items():
            yield Sample("concord_parity_field_differences", (system, number, name), count)
    for system, oldest in found["longest"].items():
        for state, named in oldest.items():
            if named:
                since = named[0][0] / 1e6
                yield Sample("concord_parity_since_timestamp_seconds", (system, number, state), since)


def _left(again: Mapping[str, int] | None) -> int:
    return max(again["total"] - again["done"], 0) if again else 0
