"""What Prometheus reads of a running platform: zero, stopped and unknown, told apart.

The tests share one platform and go in order: one stops an adapter, the last starts it again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from stack import process
from streams.metrics import BY_NAME, PROCESS
from streams.operate import announced
from streams.operate.exporter.serve import Exporter
from streams.settings import Settings
from tests import series
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.timeout(600)
HOPS = ("decide", "directory", "enrollment", "billing", "stewardship", "credentialing", "reference")
WITH_A_CAUSE = {
    "concord_adapter_paused",
    "concord_clock_tick_timestamp_seconds",
    "concord_findings_open",
    "concord_guard_acts_total",
    "concord_guard_open",
    "concord_parity_field_differences",
    "concord_parity_since_timestamp_seconds",
    "concord_quarantine_open",
    "concord_restore_ratio",
    "concord_verify_diverging_rows",
    "concord_verify_failing",
    "concord_verify_repaired_rows_total",
    "concord_verify_rows",
    "concord_verify_timestamp_seconds",
    "concord_witness_state",
    "concord_adapter_released_total",
}
"""Told only once there is something to tell: a fault, a difference, a finished verification."""
AGE, LAG = "concord_input_oldest_unprocessed_age_seconds", "concord_input_lag_records"

Series = dict[str, list[tuple[dict[str, str], float]]]


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    """A few invented providers, everywhere."""
    platform.ask("load", "generated", "--count", "10", "--seed", "11")
    eventually(platform, platform.quiet, "nothing to be pending")
    return platform


def eventually(platform: Platform, condition: Callable[[], Any], what: str) -> Any:
    """The first true value, while the exporter lives."""
    try:
        return wait_until(condition, 120, lambda: recalled(platform, "metrics") is not None, what)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{platform.concord('status').text}") from None


def recalled(platform: Platform, name: str) -> process.Process | None:
    return process.recall(Path(platform.environ["CONCORD_STATE"]) / "run" / f"concord-{name}.json")


def served(platform: Platform) -> Series:
    """The newest look, as Prometheus gets it."""
    [answer] = announced.answering(platform.settings, "metrics")
    return by_name(text_string_to_metric_families(httpx.get(f"{answer.party.url}/metrics").text))


def by_name(families: Iterable[Metric]) -> Series:
    found: Series = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def states(found: Series, name: str = "concord_hop_state") -> dict[str, str]:
    """hop -> the one state it is in."""
    told = [labels for labels, value in found[name] if value == 1]
    assert len(told) == len({labels["hop"] for labels in told})
    return {labels["hop"]: labels["state"] for labels in told}


def of(found: Series, name: str, hop: str) -> list[float]:
    return [value for labels, value in found.get(name, []) if labels["hop"] == hop]


def test_a_quiet_platform_has_lags_of_zero(loaded: Platform) -> None:
    def quiet() -> bool:
        found = states(served(loaded))
        return all(found[hop] == "caught_up" for hop in (*HOPS, "guard"))

    eventually(loaded, quiet, "every hop to be told as caught up")
    found = served(loaded)
    for hop in HOPS:
        assert of(found, AGE, hop), hop
        assert (
            len(of(found, AGE, hop))
            == len(of(found, LAG, hop))
            == len(of(found, "concord_input_unknown", hop))
        )
    assert max(of(found, LAG, "directory")) == max(of(found, AGE, "directory")) == 0


def test_every_series_stands_in_the_table_with_its_labels(loaded: Platform) -> None:
    found = served(loaded)
    for name, told in found.items():
        assert series.metric(name) in BY_NAME, name
        assert all(set(labels) == series.labels(name) for labels, _ in told), name


def test_every_metric_of_the_table_is_told(loaded: Platform) -> None:
    told = {series.metric(name) for name in served(loaded)}
    assert BY_NAME.keys() - told <= WITH_A_CAUSE


def test_every_process_is_counted_and_what_was_applied_is_timed(loaded: Platform) -> None:
    found = served(loaded)
    assert all(value == 1 for _, value in found["concord_processes"])
    counted = {labels["system"] for labels, value in found["concord_end_to_end_seconds_count"] if value}
    assert counted >= {"directory", "enrollment", "billing"}
    assert all(labels[PROCESS].startswith("guard/") for labels, _ in found["concord_canary_age_seconds"])


def test_once_prints_the_same_names(loaded: Platform) -> None:
    names = {sample["name"] for sample in loaded.ask("metrics")["samples"]}
    paced = {"concord_hop_lag_velocity", "concord_hop_catch_up_seconds"}
    assert served(loaded).keys() - names <= paced | WITH_A_CAUSE


def test_a_stopped_adapter_is_stopped_and_what_waits_for_it_grows_older(loaded: Platform) -> None:
    loaded.stop("adapter-directory")
    loaded.write(
        "update provider set last_name = 'Stopwell' where provider_id = (select min(provider_id::text)::uuid from provider)"
    )

    def waiting() -> float:
        now = served(loaded)
        stopped = states(now)["directory"] == "stopped"
        return max(of(now, AGE, "directory"), default=0.0) if stopped else 0.0

    first = eventually(loaded, waiting, "the directory to be told as stopped, with something that waits")
    eventually(loaded, lambda: waiting() > first, "what waits to grow older")
    now = served(loaded)
    assert max(of(now, LAG, "directory")) >= 1
    assert set(of(now, "concord_input_stopped", "directory")) == {1}
    assert {v for labels, v in now["concord_processes"] if labels["role"] == "adapter/directory"} == {0}
    assert states(now)["billing"] != "stopped"


def test_a_lag_that_nobody_knows_is_absent(loaded: Platform) -> None:
    """Its adapter is stopped, and who holds its offsets cannot be asked."""
    found = look(loaded.settings.model_copy(update={"adapters": without(loaded.settings, "directory")}))
    assert states(found)["directory"] == "unknown"
    assert of(found, AGE, "directory") == of(found, LAG, "directory") == []
    unknown = {
        labels["reason"] for labels, v in found["concord_hop_unknown"] if v and labels["hop"] == "directory"
    }
    assert unknown == {"unasked"}
    assert of(found, AGE, "billing")


def without(settings: Settings, system: str) -> dict[str, str]:
    return {**settings.adapters, system: "postgresql://nobody@127.0.0.1:1/nothing"}


def look(settings: Settings) -> Series:
    exporter = Exporter(settings)
    try:
        exporter.look()
        return by_name(exporter.found)
    finally:
        exporter.close()


def test_without_kafka_every_hop_is_unknown_and_nothing_is_counted(loaded: Platform) -> None:
    found = look(loaded.settings.model_copy(update={"kafka": "127.0.0.1:1"}))
    assert {states(found)[hop] for hop in HOPS} == {"unknown"}
    assert {LAG, AGE, "concord_findings_open", "concord_outcomes_balanced"} & found.keys() == set()
    failing = {labels["what"] for labels, value in found["concord_exporter_failing"] if value}
    assert failing == {"processes", "findings", "quarantine"}


def test_started_again_it_catches_up(loaded: Platform) -> None:
    loaded.ask("up")
    eventually(
        loaded, lambda: states(served(loaded))["directory"] == "caught_up", "the directory to catch up"
    )
    assert max(of(served(loaded), AGE, "directory")) == 0
