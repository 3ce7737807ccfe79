"""What Prometheus is told: zero lag, unknown lag and a stopped hop are three different things."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from connectors.metered import Meter
from connectors.reference.standing import Standing
from streams import metrics
from streams.errors import EnvironmentFault
from streams.metrics import Sample
from streams.operate.announced import Answer, Party
from streams.operate.exporter import samples
from streams.operate.exporter.course import FLOWING, WINDOW, Course, Pace
from streams.operate.exporter.forward import merged
from streams.operate.findings import OpenFindings
from streams.operate.hops import stored_offsets
from streams.operate.quarantine.unhandled import Unhandled
from streams.operate.standing import (
    CAUGHT_UP,
    LAGGING,
    STOPPED,
    UNKNOWN,
    Capture,
    Hop,
    Input,
    Watch,
    hop,
    judge_input,
)
from streams.operate.status import Status
from streams.settings import Settings

TOPIC = "sink.directory.provider"
NOW = 1_000_000.0


def reads(lag: int | None, seconds: float | None = None, stopped: str = "", partition: int = 0) -> Input:
    """An input of which so much waits, the oldest for so long; None: nobody knows where its reader is."""
    waiting = NOW - (seconds or 0) * 1000 if lag else None
    position = None if lag is None else 100 - lag
    return judge_input(
        (TOPIC, partition), position, 100, int(waiting) if waiting else None, NOW, None, stopped
    )


def told(directory: Hop, **more: object) -> list[Sample]:
    """The samples of an installation of which this hop is interesting."""
    quiet = hop("decide", [reads(0)])
    found = Status(
        time.time(), False, [], quiet, [directory], OpenFindings(0), 0, True, hop("reference", [reads(0)])
    )
    return list(samples.of_status(replace(found, **more), {}, {TOPIC: 1_000.0}))  # type: ignore[arg-type]


def value(found: Iterable[Sample], name: str, *labels: str) -> float | None:
    """One number; None: it is absent."""
    matching = [sample.value for sample in found if sample.name == name and sample.labels == labels]
    assert len(matching) < 2, name
    return next(iter(matching), None)


def state(found: Iterable[Sample], name: str = "directory") -> set[str]:
    return {
        s.labels[1] for s in found if s.name == "concord_hop_state" and s.labels[0] == name and s.value == 1
    }


AGE, RECORDS = "concord_input_oldest_unprocessed_age_seconds", "concord_input_lag_records"
PLACE = ("directory", TOPIC, "0")


def test_a_hop_with_nothing_to_do_has_a_lag_of_zero() -> None:
    found = told(hop("directory", [reads(0)]))
    assert state(found) == {CAUGHT_UP}
    assert (value(found, RECORDS, *PLACE), value(found, AGE, *PLACE)) == (0, 0)
    assert value(found, "concord_input_unknown", *PLACE) == 0


def test_an_unknown_lag_is_absent_and_says_why() -> None:
    found = told(hop("directory", [reads(None)]))
    assert state(found) == {UNKNOWN}
    assert (value(found, RECORDS, *PLACE), value(found, AGE, *PLACE)) == (None, None)
    assert value(found, "concord_input_unknown", *PLACE) == 1
    assert value(found, "concord_hop_unknown", "directory", samples.POSITION) == 1
    assert value(found, "concord_hop_unknown", "directory", samples.UNASKED) == 0


def test_a_hop_that_nobody_could_ask_has_another_reason() -> None:
    found = told(hop("directory", [], why="connection refused: password=hunter2"))
    assert value(found, "concord_hop_unknown", "directory", samples.UNASKED) == 1
    assert not any("hunter2" in label for sample in found for label in sample.labels)


def test_a_stopped_hop_still_tells_what_waits_and_how_long() -> None:
    found = told(hop("directory", [reads(7, 90.0, stopped="no adapter answers")]))
    assert state(found) == {STOPPED}
    assert (value(found, RECORDS, *PLACE), value(found, AGE, *PLACE)) == (7, 90.0)
    assert value(found, "concord_input_stopped", *PLACE) == 1
    assert value(found, "concord_hop_unknown", "directory", samples.UNASKED) == 0


def test_what_waits_is_told_as_a_share_of_what_the_topic_keeps() -> None:
    found = told(hop("directory", [reads(7, 250.0)]))
    assert value(found, "concord_input_retention_used_ratio", *PLACE) == 0.25


def test_counts_that_nobody_could_take_are_absent_and_named() -> None:
    unread = {"findings": OpenFindings(None, why="too long"), "unhandled": Unhandled(None, "too long")}
    found = told(hop("directory", [reads(0)]), **unread, balanced=None)
    assert not {s.name for s in found} & {
        "concord_findings_open",
        "concord_quarantine_open",
        "concord_outcomes_balanced",
    }
    status = Status(0, False, [], hop("decide", []), [], unread["findings"], None, None, hop("reference", []))  # type: ignore[arg-type]
    assert list(samples.unanswered(status)) == ["findings", "quarantine"]


def test_open_findings_and_quarantined_records_are_counted_by_code() -> None:
    found = told(
        hop("directory", [reads(0)]),
        findings=OpenFindings(3, {"npi.invalid": 3}),
        unhandled=Unhandled(2, "", {"change.type_wrong": 2}),
        guard=Watch(STOPPED, "nobody"),
    )
    assert value(found, "concord_findings_open", "npi.invalid") == 3
    assert value(found, "concord_quarantine_open", "change.type_wrong") == 2
    assert state(found, "guard") == {STOPPED}


def test_capture_that_nobody_reads_has_no_lag_in_seconds() -> None:
    stopped = Capture("billing", "c", STOPPED, "paused", "PAUSED", 1, True, False, 10, 5, None)
    found = told(hop("directory", [reads(0)]), capture=[stopped])
    assert value(found, "concord_capture_state", "billing", STOPPED) == 1
    assert value(found, "concord_capture_lag_seconds", "billing") is None
    assert value(found, "concord_capture_lag_bytes", "billing") == 5


# ---- which way it goes ----


def paced(*lags: int, seconds: float = 60.0, every: float = 10.0) -> Pace | None:
    course, last = Course(), hop("directory", [])
    for number, lag in enumerate(lags):
        last = hop("directory", [reads(lag, seconds), reads(0, partition=1)])
        course.note(last, number * every)
    return course.pace(last)


def test_the_worst_partition_says_how_long_it_takes_to_catch_up() -> None:
    assert paced(90, 60, 30) == Pace(-3.0, 10.0)


def test_a_lag_that_grows_is_never_caught_up_with() -> None:
    assert paced(30, 60, 90) == Pace(3.0, math.inf)


def test_what_came_a_moment_ago_is_on_its_way_and_no_backlog() -> None:
    assert paced(30, 60, 90, seconds=FLOWING / 2) == Pace(3.0, 0.0)


def test_one_look_says_nothing_of_where_it_goes() -> None:
    assert paced(90) is None


def test_a_partition_whose_lag_is_unknown_leaves_no_pace_of_the_hop() -> None:
    course = Course()
    for number in range(2):
        known = hop("directory", [reads(9, 60.0)])
        course.note(known, number)
    lost = hop("directory", [reads(9, 60.0), reads(None, partition=1)])
    course.note(lost, 2)
    assert course.pace(lost) is None


def test_old_looks_are_forgotten() -> None:
    pace = paced(900, 90, 60, every=WINDOW * 0.6)
    assert pace is not None
    assert pace.velocity == pytest.approx(-30 / (WINDOW * 0.6))


# ---- processes ----


def test_each_role_is_counted_also_when_nobody_answers() -> None:
    status = {"started_at": "2026-11-22T10:00:00+00:00"}
    answers = [Answer(Party("adapter/directory/ab12", "", 1), status)]
    found = list(samples.of_processes(answers, ["worker", "adapter/directory"]))
    assert value(found, "concord_processes", "worker") == 0
    assert value(found, "concord_processes", "adapter/directory") == 1
    started = value(
        found, "concord_process_start_time_seconds", "adapter/directory", "adapter/directory/ab12"
    )
    assert started == 1_795_341_600
    [first, *_] = samples.of_processes([Answer(Party("worker/w", "", 1), {"started_at": 12.5})], [])
    assert first.value == 12.5


def test_a_source_that_nobody_loads_has_no_state() -> None:
    assert list(samples.of_witnesses([Standing("leie", "LEIE", "unavailable", "never loaded")])) == []


def test_what_processes_tell_is_one_family_each_with_the_process_as_label() -> None:
    texts = []
    for name in ("a", "b"):
        meter = Meter("directory")
        meter._latency.observe(0.02)
        texts.append((f"adapter/directory/{name}", meter.metrics().decode() + "python_info 1\n"))
    text = metrics.exposition(merged(texts)).decode()
    assert text.count("# TYPE concord_end_to_end_seconds histogram") == 1
    labels = 'le="+Inf",process="adapter/directory/a",system="directory"'
    assert f"concord_end_to_end_seconds_bucket{{{labels}}} 1.0" in text
    assert "python_info" not in text
    assert "_created" not in text
    assert list(text_string_to_metric_families(text))


def test_counters_keep_their_kind_on_the_way() -> None:
    told = metrics.render([Sample("concord_decide_records_total", ("cdc.billing", "0", "applied"), 4)])
    text = metrics.exposition(merged([("worker/w", told.decode())])).decode()
    labels = 'outcome="applied",partition="0",process="worker/w",topic="cdc.billing"'
    assert f"concord_decide_records_total{{{labels}}} 4.0" in text
    assert "# TYPE concord_decide_records_total counter" in text


def test_lagging_is_not_stopped() -> None:
    assert state(told(hop("directory", [reads(3, 1.0)]))) == {LAGGING}


def test_a_target_without_an_address_is_a_fault_that_status_can_tell() -> None:
    with pytest.raises(EnvironmentFault, match="CONCORD_ADAPTER_DIRECTORY"):
        stored_offsets(Settings(topic_prefix="", partitions=1), "directory")
