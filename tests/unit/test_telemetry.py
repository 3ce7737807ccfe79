"""A worker's metrics count records by outcome, partition by partition."""

from __future__ import annotations

from streams import telemetry

PARTITION = {
    "partition": 2,
    "dirty": 1,
    "decided": 5,
    "emitted": 9,
    "largest": 0,
    "toward": "",
    "again": None,
    "late": 0,
    "retries": 3,
    "due": 4,
    "ticked": "1970-01-02",
    "asked": None,
    "parity": {
        "systems": {"directory": {"equal": 7, "in_flight": 2}},
        "fields": {"directory": {"provider.degree": 1}},
        "longest": {"directory": {"in_flight": [[5_000_000, "provider/p"]]}},
    },
    "outcomes": {"cdc.credentialing": {"applied": 7, "quarantined": 1}},
}


def test_records_are_counted_by_outcome() -> None:
    text = telemetry.text([PARTITION])
    labels = 'outcome="quarantined",partition="2",topic="cdc.credentialing"'
    assert f"concord_decide_records_total{{{labels}}} 1.0" in text
    assert 'concord_decide_views_total{partition="2"} 9.0' in text
    assert 'concord_decide_dirty{partition="2"} 1.0' in text
    assert 'concord_parity_entities{partition="2",state="in_flight",system="directory"} 2.0' in text
    assert (
        'concord_parity_field_differences{field="provider.degree",partition="2",system="directory"} 1.0'
        in text
    )
    oldest = 'concord_parity_since_timestamp_seconds{partition="2",state="in_flight",system="directory"} 5.0'
    assert oldest in text
    assert 'concord_clock_due{partition="2"} 4.0' in text
    assert 'concord_clock_tick_timestamp_seconds{partition="2"} 86400.0' in text


def test_a_partition_that_no_tick_has_reached_tells_no_date() -> None:
    assert "concord_clock_tick_timestamp_seconds{" not in telemetry.text([{**PARTITION, "ticked": ""}])


def test_a_clock_that_has_stopped_is_told() -> None:
    stopped = {**PARTITION, "asked": {"stopped": True}}
    assert 'concord_clock_stopped{partition="2"} 1.0' in telemetry.text([stopped])
    assert 'concord_clock_stopped{partition="2"} 0.0' in telemetry.text([PARTITION])


def test_a_worker_without_partitions_still_answers() -> None:
    assert "concord_decide_partitions_opened_total 0.0" in telemetry.text([])


def test_a_partition_that_is_being_restored_tells_how_far() -> None:
    told = telemetry.text([], [{"partition": 3, "done": 1, "total": 4}], opened=2)
    assert 'concord_restore_ratio{partition="3"} 0.25' in told
    assert "concord_decide_partitions_opened_total 2.0" in told
