"""The alerts' own cases, without promtool: what tests/promql.py makes of them is what Prometheus would.

ops/alerts_test.yml --input_series--> tests/alerting.py --ops/alerts.yml--> who rings, and with which labels
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.core import Metric

from tests import promql
from tests.alerting import OPS, History, Rule, Watch, labelled, ringing, rules, written
from tests.promql_syntax import parsed, seconds

CASES = yaml.safe_load((OPS / "alerts_test.yml").read_text())
RULES = rules()
MINUTE = 60.0


def asked() -> Iterator[Any]:
    for case in CASES["tests"]:
        for number, wanted in enumerate(case["alert_rule_test"]):
            yield pytest.param(case, wanted, id=f"{case['name']} {wanted['alertname']} {number}")


@pytest.mark.parametrize(("case", "wanted"), list(asked()))
def test_an_alert_rings_as_its_case_says(case: dict[str, Any], wanted: dict[str, Any]) -> None:
    series = written(case["input_series"], seconds(case["interval"]))
    step, at = seconds(CASES["evaluation_interval"]), seconds(wanted["eval_time"])
    found = ringing(RULES[wanted["alertname"]], series, at, step)
    assert found == sorted((one["exp_labels"] for one in wanted["exp_alerts"]), key=str)


def test_an_expression_that_is_not_understood_is_refused() -> None:
    for expression in ("avg(x)", "x{a='b'}", "rate(x)", "max by (hop) (x) group_left y", "topk(1, x)"):
        with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
            promql.evaluated(parsed(expression), {labelled("x"): [(0.0, 1.0)]}, 0.0)


def value(expression: str, now: float, *series: dict[str, str]) -> promql.Value:
    return promql.evaluated(parsed(expression), written(series, MINUTE), now)


def test_a_counter_that_starts_anew_has_risen_all_the_same() -> None:
    told = {"series": "x_total", "values": "0+10x5 0+10x5"}
    found = value("increase(x_total[10m])", 660, told)
    assert isinstance(found, dict)
    assert list(found.values()) == [pytest.approx(100, rel=0.12)]


def test_a_quantile_lies_within_its_bucket() -> None:
    buckets = [
        {"series": f'x_bucket{{le="{le}"}}', "values": f"{n}x5"}
        for le, n in (("1", 50), ("2", 100), ("+Inf", 100))
    ]
    assert value("histogram_quantile(0.75, x_bucket)", 60, *buckets) == {frozenset(): 1.5}


def test_what_rises_goes_on_rising_and_what_wavers_stays() -> None:
    history = History()
    for at, (rising, wavering) in enumerate(((1.0, 5.0), (2.0, 9.0), (3.0, 4.0))):
        history.looks.append((at * 10.0, {labelled("rising"): rising, labelled("wavering"): wavering}))
    series, end = history.lasting(60.0)
    assert end == 80.0
    assert series[labelled("rising")][-1][1] == pytest.approx(9.0)
    assert series[labelled("wavering")][-1] == (80.0, 4.0)


def test_a_rule_of_an_hour_is_looked_back_on_no_longer_than_is_known() -> None:
    rule = Rule("x", parsed("x > 0"), 3_600.0, OPS, {})
    series = written([{"series": "x", "values": "_x10 1x10"}], MINUTE)
    assert ringing(rule, series, 20 * MINUTE, MINUTE) == []
    assert ringing(rule, series, 20 * MINUTE, MINUTE, most=600.0) == [{}]
    assert not math.isnan(rule.waits)


@pytest.mark.parametrize(("case", "wanted"), list(asked()))
def test_watched_as_it_goes_along_an_alert_rings_as_its_case_says(
    case: dict[str, Any], wanted: dict[str, Any]
) -> None:
    name = wanted["alertname"]
    watch = Watch({name: RULES[name]})
    watch.series = {
        labels: list(p) for labels, p in written(case["input_series"], seconds(case["interval"])).items()
    }
    step, at = seconds(CASES["evaluation_interval"]), seconds(wanted["eval_time"])
    found: dict[str, list[dict[str, str]]] = {}
    for number in range(int(at / step) + 1):
        found = watch.evaluated(number * step)
    assert found.get(name, []) == sorted((one["exp_labels"] for one in wanted["exp_alerts"]), key=str)


def test_a_series_that_is_no_longer_told_has_ended() -> None:
    watch, alert = Watch({"HopStopped": RULES["HopStopped"]}), "HopStopped"
    stopped = Metric("concord_hop_state", "", "gauge")
    stopped.add_sample("concord_hop_state", {"hop": "decide", "state": "stopped"}, 1.0)
    rang = []
    for number in range(20):
        watch.scraped([stopped] if number < 15 else [], number * 15.0)
        rang.append(alert in watch.evaluated(number * 15.0))
    assert [number for number, does in enumerate(rang) if does] == [12, 13, 14]
    assert watch.held == {(alert, frozenset([("hop", "decide")])): 14 * 15.0}
