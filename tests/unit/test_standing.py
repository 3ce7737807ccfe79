"""Zero lag, a lag nobody measured, and a hop that stopped are three things; outcomes balance or they don't."""

from __future__ import annotations

from streams.operate.hops import CANARY_FRESH_MS, fresh_canary
from streams.operate.standing import (
    CAUGHT_UP,
    LAGGING,
    STOPPED,
    UNKNOWN,
    balance,
    hop,
    judge_input,
    longest,
    rate,
    total,
    worst,
)

PLACE, NOW = ("cdc.credentialing", 0), 1_000_000.0


def test_at_the_end_nothing_lags() -> None:
    found = judge_input(PLACE, 7, 7, None, NOW, 0.0)
    assert (found.state, found.lag_records, found.lag_seconds) == (CAUGHT_UP, 0, 0.0)


def test_transaction_markers_before_the_end_are_no_lag() -> None:
    found = judge_input(PLACE, 7, 9, None, NOW, 0.0)
    assert (found.state, found.lag_records, found.lag_seconds) == (CAUGHT_UP, 0, 0.0)


def test_a_lag_in_seconds_is_the_age_of_the_oldest_record_that_waits() -> None:
    found = judge_input(PLACE, 7, 12, int(NOW) - 2_500, NOW, 1.0)
    assert (found.state, found.lag_records, found.lag_seconds) == (LAGGING, 5, 2.5)


def test_a_clock_that_runs_behind_the_brokers_makes_no_negative_lag() -> None:
    assert judge_input(PLACE, 7, 8, int(NOW) + 500, NOW, None).lag_seconds == 0.0


def test_a_stopped_hop_says_so_and_still_what_waits_for_it() -> None:
    found = judge_input(PLACE, 7, 8, int(NOW) - 1_000, NOW, None, "no worker answers")
    assert (found.state, found.lag_records, found.why) == (STOPPED, 1, "no worker answers")


def test_a_position_nobody_knows_is_no_zero() -> None:
    found = judge_input(PLACE, None, 8, None, NOW, None)
    assert (found.state, found.lag_records, found.lag_seconds) == (UNKNOWN, None, None)
    whole = hop("decide", [found, judge_input(PLACE, 8, 8, None, NOW, 1.0)])
    assert (whole.state, whole.lag_records, whole.lag_seconds) == (UNKNOWN, None, None)
    assert whole.why


def test_a_whole_is_as_bad_as_its_worst_part() -> None:
    assert worst([CAUGHT_UP, LAGGING]) == LAGGING
    assert worst([LAGGING, UNKNOWN, STOPPED]) == STOPPED
    assert worst([]) == UNKNOWN


def test_sums_of_what_is_partly_unknown_are_unknown() -> None:
    assert (total([1, 2]), total([1, None]), total([])) == (3, None, None)
    assert (longest([1.0, 2.0]), longest([1.0, None])) == (2.0, None)


def test_a_rate_needs_two_samples_of_one_counter() -> None:
    assert rate(100, 150, 0.5) == 100.0
    assert rate(None, 150, 0.5) is None
    assert rate(150, 3, 0.5) is None  # it started anew


def test_outcomes_balance_by_topic_over_all_partitions() -> None:
    even = {
        "consumed": {"cdc": 3, "clock": 1},
        "outcomes": {"cdc": {"applied": 2, "unchanged": 1}, "clock": {"applied": 1}},
    }
    odd = {"consumed": {"cdc": 2}, "outcomes": {"cdc": {"applied": 1}}}
    assert balance([even])["cdc"].balanced
    both = balance([even, odd])
    assert (both["cdc"].consumed, both["cdc"].outcomes, both["cdc"].balanced) == (
        5,
        {"applied": 3, "unchanged": 1},
        False,
    )
    assert both["clock"].balanced


def test_a_canary_on_its_way_is_no_lag_and_one_that_waits_is() -> None:
    """Each source has one a second, so that one is always on its way; its key names the source."""
    assert fresh_canary(b"canary/directory", 1_000, 2_000)
    assert not fresh_canary(b"canary/directory", 1_000, 1_000 + CANARY_FRESH_MS)
    assert not fresh_canary(b"provider/canary", 1_000, 2_000)
    assert not fresh_canary(None, 1_000, 2_000)
