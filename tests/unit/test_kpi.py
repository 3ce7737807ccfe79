"""The KPIs' arithmetic: nothing is counted twice or lost, and a figure never says more than what is kept."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streams import metrics
from streams.errors import InvalidInput
from streams.operate.kpi import ask
from streams.operate.kpi.figures import (
    CLOSED,
    DAY,
    HOUR,
    OLDER,
    OPENED,
    Spread,
    Stood,
    by_age,
    measured,
    spread,
)
from streams.operate.moments import moment
from streams.settings import Settings

SECONDS = st.floats(0, 1e8)
CHANGED = "changed"


@given(st.lists(SECONDS, min_size=1))
def test_a_spread_is_of_what_happened_and_in_order(durations: list[float]) -> None:
    found = spread(durations)
    figures = [found.p50, found.p95, found.longest]
    assert found.count == len(durations)
    assert figures == sorted(figures, key=lambda value: value or 0.0)
    assert all(any(math.isclose(value or 0.0, d, abs_tol=1e-3) for d in durations) for value in figures)
    assert min(durations) - 1e-3 <= (found.mean or 0.0) <= max(durations) + 1e-3
    assert sum(d <= (found.p50 or 0.0) + 1e-3 for d in durations) * 2 >= len(durations)


def test_of_nothing_nothing_is_said() -> None:
    assert spread([]) == Spread(0)
    assert measured({}, 0.0).p50_at_most is None
    assert measured({1.0: 0.0, math.inf: 0.0}, 0.0).count == 0


@given(st.lists(SECONDS, min_size=1))
def test_a_histogram_says_bounds_that_hold(durations: list[float]) -> None:
    bounds = [*metrics.SECONDS, math.inf]
    buckets = {bound: float(sum(d <= bound for d in durations)) for bound in bounds}
    found = measured(buckets, sum(durations))
    assert found.count == len(durations)
    for share, bound in ((0.5, found.p50_at_most), (0.95, found.p95_at_most)):
        within = sum(d <= (math.inf if bound is None else bound) for d in durations)
        assert within >= share * len(durations)


@given(st.lists(SECONDS))
def test_every_age_stands_in_exactly_one_class(ages: list[float]) -> None:
    assert sum(by_age(ages).values()) == len(ages)


def test_an_age_on_a_bound_is_of_the_older_class() -> None:
    assert by_age([0.0, HOUR, DAY, 30 * DAY]) == {
        "under 1 h": 1, "under 1 d": 1, "under 7 d": 1, "under 30 d": 0, OLDER: 1,
    }  # fmt: skip


RECORDS = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from([OPENED, CHANGED, CLOSED]), st.floats(0, 100)), max_size=40
)


@given(RECORDS, st.integers(0, 10_000))
def test_each_closing_is_timed_or_told_to_be_older_and_each_key_is_open_or_not(
    records: list[tuple[int, str, float]], since: int
) -> None:
    stood, at, closings = Stood(float(since)), 0.0, 0
    last: dict[int, str] = {}
    for key, state, later in records:
        at += later
        stood.take(key, f"code.{key % 2}", state, at)
        closings += state == CLOSED and at >= since
        last[key] = state
    causes = stood.causes(at)
    assert sum(c.closed.count + c.closed_older for c in causes) == closings
    assert sum(c.open for c in causes) == sum(state != CLOSED for state in last.values())
    assert all(sum(c.ages.values()) == c.open for c in causes)
    assert all(c.at_least <= c.open for c in causes)
    timed, older = stood.persisted()
    assert timed.count + older == closings


def test_an_error_stood_from_its_opening_to_its_closing_whatever_was_said_between() -> None:
    stood = Stood(since=100.0)
    for state, at in ((OPENED, 90.0), (CHANGED, 95.0), (OPENED, 99.0), (CLOSED, 130.0)):
        stood.take("a", "licence.lapsed", state, at)
    assert stood.persisted()[0].longest == 40.0


def test_what_closed_before_is_left_out_and_what_opened_before_what_is_kept_is_told_apart() -> None:
    stood = Stood(since=100.0)
    stood.take("a", "x", OPENED, 1.0)
    stood.take("a", "x", CLOSED, 99.0)
    stood.take("b", "x", CHANGED, 50.0)
    stood.take("b", "x", CLOSED, 120.0)
    stood.take("c", "x", CLOSED, 121.0)
    stood.take("d", "x", CHANGED, 60.0)
    stood.take("e", "x", OPENED, 70.0)
    stood.gone("e")
    [cause] = stood.causes(160.0)
    assert (cause.open, cause.oldest_seconds, cause.at_least) == (1, 100.0, 1)
    assert (cause.closed.count, cause.closed_older) == (0, 2)


def test_the_histograms_of_a_systems_processes_are_added_up() -> None:
    def told(process: str, *seconds: float) -> list[Any]:
        registry = CollectorRegistry()
        histogram = metrics.histogram(ask.DELIVERY, registry).labels("directory")
        for each in seconds:
            histogram.observe(each)
        families = text_string_to_metric_families(generate_latest(registry).decode())
        return [s for family in families for s in family.samples]

    found = ask.of_samples([*told("one", 0.03, 0.04), *told("two", 0.03, 100_000.0)])["directory"]
    assert (found.count, found.p50_at_most, found.p95_at_most) == (4, 0.035, None)
    assert found.mean == pytest.approx(25_000.025)


def test_who_can_ask_nobody_is_told_so_and_sees_no_zero() -> None:
    nowhere = Settings(kafka="", steward="postgresql://nobody@127.0.0.1:1/x")
    found = ask.kpis(nowhere)
    assert {found.delivery, found.causes, found.persisted, found.approvals, found.denials} == {None}
    assert Counter(line.partition(":")[0] for line in found.unknown) == {
        "findings": 1, "delivery": 1, "approvals": 1, "denials": 1,
    }  # fmt: skip
    assert found.handoffs is not None
    assert all(each.open is None for each in found.handoffs.handoffs)


@pytest.mark.parametrize("text", ["soon", "7", "99999999d", "2026-13-01", "999999d"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        moment(text, "kpi.since")
    assert refused.value.code == "kpi.since"


def test_a_time_is_utc_and_a_span_reaches_back() -> None:
    assert moment("2026-11-22", "x") == "2026-11-22T00:00:00.000+00:00"
    assert moment("2026-11-22T14:00:00+02:00", "x") == "2026-11-22T12:00:00.000+00:00"
    assert moment("1h", "x") < moment("1m", "x")
