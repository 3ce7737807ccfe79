"""What `concord status` found, as metrics: a hop that lags, one that nobody can judge and one that stopped differ.

    Status, paces, retention, processes, sources of reference data --samples--> Sample ...

A lag that is not known has no sample (never 0), and says so beside it. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors.reference.standing import Standing
from streams.metrics import Sample
from streams.operate.announced import Answer
from streams.operate.exporter.course import Pace
from streams.operate.standing import CAUGHT_UP, LAGGING, STOPPED, UNKNOWN, Capture, Hop, Input
from streams.operate.status import Status

STATES = (CAUGHT_UP, LAGGING, UNKNOWN, STOPPED)
UNASKED, POSITION = "unasked", "position"
"""Why a hop is unknown: who knows could not be asked, or answered and did not know how far it is."""
SOURCE_STATES = ("fresh", "stale", "unavailable")


def of_status(
    found: Status, paces: Mapping[str, Pace | None], keeps: Mapping[str, float]
) -> Iterator[Sample]:
    """Every hop, capture and count; `keeps`: topic -> seconds it keeps a record."""
    for hop in hops(found):
        yield from _hop(hop, paces.get(hop.name))
        for each in hop.inputs:
            yield from _input(hop.name, each, keeps.get(each.topic))
    yield from _states("concord_hop_state", "guard", found.guard.state, STATES)
    for capture in found.capture:
        yield from _capture(capture)
    for code, count in found.findings.by_code.items():
        yield Sample("concord_findings_open", (code,), count)
    for code, count in found.unhandled.by_code.items():
        yield Sample("concord_quarantine_open", (code,), count)
    if found.balanced is not None:
        yield Sample("concord_outcomes_balanced", (), int(found.balanced))


def hops(found: Status) -> list[Hop]:
    """The hops that read topics."""
    return [found.decide, *found.adapters, found.reference]


def unanswered(found: Status) -> Iterator[str]:
    """What could not be counted."""
    if found.findings.total is None:
        yield "findings"
    if found.unhandled.count is None:
        yield "quarantine"


def _states(name: str, who: str, state: str, states: Iterable[str]) -> Iterator[Sample]:
    for each in states:
        yield Sample(name, (who, each), int(each == state))


def _hop(hop: Hop, pace: Pace | None) -> Iterator[Sample]:
    yield from _states("concord_hop_state", hop.name, hop.state, STATES)
    why = "" if hop.state != UNKNOWN else POSITION if hop.inputs else UNASKED
    for reason in (UNASKED, POSITION):
        yield Sample("concord_hop_unknown", (hop.name, reason), int(reason == why))
    if pace is not None:
        yield Sample("concord_hop_lag_velocity", (hop.name,), pace.velocity)
        yield Sample("concord_hop_catch_up_seconds", (hop.name,), pace.catch_up)


def _input(hop: str, each: Input, keeps: float | None) -> Iterator[Sample]:
    place = (hop, each.topic, str(each.partition))
    unknown = each.lag_records is None or each.lag_seconds is None
    yield Sample("concord_input_unknown", place, int(unknown))
    yield Sample("concord_input_stopped", place, int(each.state == STOPPED))
    if each.lag_records is None or each.lag_seconds is None:
        return
    yield Sample("concord_input_lag_records", place, each.lag_records)
    yield Sample("concord_input_oldest_unprocessed_age_seconds", place, each.lag_seconds)
    if keeps:
        yield Sample("concord_input_retention_used_ratio", place, each.lag_seconds / keeps)


def _capture(found: Capture) -> Iterator[Sample]:
    yield from _states("concord_capture_state", found.system, found.state, STATES)
    if found.lag_seconds is not None:
        yield Sample("concord_capture_lag_seconds", (found.system,), found.lag_seconds)
    if found.lag_bytes is not None:
        yield Sample("concord_capture_lag_bytes", (found.system,), found.lag_bytes)


def of_processes(answers: Iterable[Answer], expected: Iterable[str]) -> Iterator[Sample]:
    """Who answers, and since when."""
    counts: Counter[str] = Counter(dict.fromkeys(expected, 0))
    for answer in answers:
        counts[answer.party.role] += 1
        place = (answer.party.role, answer.party.key)
        yield Sample("concord_process_start_time_seconds", place, _moment(answer.status["started_at"]))
    for role, count in counts.items():
        yield Sample("concord_processes", (role,), count)


def _moment(told: str | float) -> float:
    """A worker tells epoch seconds, the others ISO 8601."""
    return datetime.fromisoformat(told).timestamp() if isinstance(told, str) else told


def of_witnesses(found: Iterable[Standing]) -> Iterator[Sample]:
    """The sources of reference data that somebody has tried to load."""
    for each in found:
        if each.version is not None or each.failed is not None:
            yield from _states("concord_witness_state", each.source, each.state, SOURCE_STATES)


def plain(sample: Any) -> dict[str, Any]:
    """A sample of an exposition as JSON data; infinity has no number there."""
    value = sample.value
    return {
        "name": sample.name,
        "labels": sample.labels,
        "value": value if abs(value) < 1e300 else str(value),
    }
