"""Which alerts of ops/alerts.yml ring over given series: Prometheus' part in the tests, as far as the rules need it.

    exposition, again and again --looked--> History --lasting--> as if it went on --ringing--> {alert: [labels]}
                                --scraped--> Watch --evaluated, again and again--> who rings at that moment

An alert rings when its expression has been true at every evaluation for as long as its `for` says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.core import Metric

from tests import promql
from tests.promql import Labels, Points, Series
from tests.promql_syntax import Node, parsed, seconds

OPS = Path(__file__).resolve().parents[1] / "ops"
STEP = 15.0
"""Between two evaluations, as in ops/prometheus.yml."""
LASTS = 25 * 60.0
"""A fault is judged as it would be after so long: longer than any alert waits but WitnessStale's hour."""
COLLECTED = "concord_exporter_collected_timestamp_seconds"
VALUES = re.compile(
    r"^(?P<start>_|-?[\d.]+(?:e[+-]?\d+)?)(?:(?P<step>[+-][\d.]+(?:e[+-]?\d+)?))?(?:x(?P<times>\d+))?$"
)
SERIES = re.compile(r"^(\w+)(?:\{(.*)\})?$")


@dataclass(frozen=True, slots=True)
class Rule:
    """One alert."""

    name: str
    expression: Node
    waits: float
    runbook: Path
    labels: Mapping[str, str]

    @property
    def names(self) -> frozenset[str]:
        """The series it speaks of."""
        return frozenset(_names(self.expression))


def _names(node: Node) -> Iterator[str]:
    yield from (wanted for label, _, wanted in node.matchers if label == "__name__")
    for part in node.parts:
        yield from _names(part)


def rules(path: Path = OPS / "alerts.yml") -> dict[str, Rule]:
    """Every alert, by name."""
    groups = yaml.safe_load(path.read_text())["groups"]
    return {rule["alert"]: _rule(rule) for group in groups for rule in group["rules"]}


def _rule(rule: Mapping[str, Any]) -> Rule:
    waits = seconds(rule["for"]) if "for" in rule else 0.0
    page = OPS.parent / rule["annotations"]["runbook"]
    return Rule(rule["alert"], parsed(rule["expr"]), waits, page, rule["labels"])


def ringing(
    rule: Rule, series: Series, now: float, step: float = STEP, most: float = math.inf
) -> list[dict[str, str]]:
    """The labels it rings with at a moment; `most`: no longer `for` than this can be looked back on."""
    known = {labels: points for labels, points in series.items() if dict(labels)["__name__"] in rule.names}
    always = true_at(rule, known, now)
    for number in range(1, int(min(rule.waits, most) / step) + 1):
        if always:
            always &= true_at(rule, known, now - number * step)
    return sorted(({**dict(labels), **rule.labels} for labels in always), key=str)


def true_at(rule: Rule, series: Series, now: float) -> frozenset[Labels]:
    """The labels with which its expression holds at one moment."""
    found = promql.evaluated(rule.expression, series, now)
    assert isinstance(found, dict), rule.name
    return frozenset(frozenset(p for p in labels if p[0] != "__name__") for labels in found)


# ---- series as ops/alerts_test.yml writes them ----


def written(series: Iterable[Mapping[str, str]], interval: float) -> Series:
    """`input_series` of a case, from second 0."""
    return {labelled(one["series"]): list(_points(one["values"], interval)) for one in series}


def labelled(text: str) -> Labels:
    """`name{label="value"}`."""
    found = SERIES.match(text)
    assert found is not None, text
    pairs = re.findall(r'(\w+)="([^"]*)"', found[2] or "")
    return frozenset([("__name__", found[1]), *pairs])


def _points(values: str, interval: float) -> Iterator[tuple[float, float]]:
    number = 0
    for word in values.split():
        for value in _expanded(word):
            if value is not None:
                yield number * interval, value
            number += 1


def _expanded(word: str) -> list[float | None]:
    if word == "stale":
        return [math.nan]
    found = VALUES.match(word)
    assert found is not None, word
    times = int(found["times"] or 0)
    if found["start"] == "_":
        return [None] * max(times, 1)
    start, step = float(found["start"]), float(found["step"] or 0)
    return [start + step * number for number in range(times + 1)]


# ---- series as a platform tells them ----


@dataclass(slots=True)
class History:
    """What was told at each look."""

    looks: list[tuple[float, dict[Labels, float]]] = field(default_factory=list)

    def looked(self, told: Iterable[Metric]) -> None:
        """One more exposition, at the moment that it tells itself."""
        samples = [sample for family in told for sample in family.samples]
        at = next(sample.value for sample in samples if sample.name == COLLECTED)
        self.looks.append(
            (at, {frozenset([("__name__", s.name), *s.labels.items()]): s.value for s in samples})
        )

    def lasting(self, lasts: float = LASTS) -> tuple[Series, float]:
        """What Prometheus would have after so long, if everything went on as it was seen to: what rose or fell from
        look to look goes on at that pace, what stood or went to and fro stays. Also the moment of the last sample."""
        end = self.looks[-1][0]
        steps = [number * STEP for number in range(1, int(lasts / STEP) + 1)]
        found: dict[Labels, Points] = {}
        for labels, value in self.looks[-1][1].items():
            seen = [(at, told[labels]) for at, told in self.looks if labels in told]
            pace = _pace(seen)
            found[labels] = [*seen, *((end + step, value + pace * step) for step in steps)]
        for at, told in self.looks[:-1]:  # who has ended since was there all the same
            for labels, value in told.items():
                if labels not in self.looks[-1][1]:
                    found[labels] = [*found.get(labels, ()), (at, value)]
        return found, end + (steps[-1] if steps else 0.0)


def _pace(seen: Points) -> float:
    steps = [after[1] - before[1] for before, after in pairwise(seen)]
    steady = bool(steps) and (all(s > 0 for s in steps) or all(s < 0 for s in steps))
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0]) if steady else 0.0


# ---- as it goes along ----

KEPT = 30 * 60.0 + promql.LOOKBACK
"""Seconds of samples that some expression still looks at: the longest range is 30 minutes."""


@dataclass(slots=True)
class Watch:
    """Prometheus beside a running platform: nothing is thought up, a `for` takes as long as it takes."""

    rules: Mapping[str, Rule] = field(default_factory=rules)
    series: dict[Labels, list[tuple[float, float]]] = field(default_factory=dict)
    held: dict[tuple[str, Labels], float] = field(default_factory=dict)
    """alert, labels -> the longest that its expression was true without a break, whether it rang or not"""
    _since: dict[tuple[str, Labels], float] = field(default_factory=dict)
    _there: frozenset[Labels] = frozenset()

    def scraped(self, told: Iterable[Metric], now: float) -> None:
        """One more exposition; a series that is no longer in it has ended."""
        found = {
            frozenset([("__name__", s.name), *s.labels.items()]): s.value
            for each in told
            for s in each.samples
        }
        ended = dict.fromkeys(self._there - found.keys(), math.nan)
        self._there = frozenset(found)
        for labels, value in (found | ended).items():
            self.series.setdefault(labels, []).append((now, value))
        for labels, points in list(self.series.items()):
            self.series[labels] = kept = [point for point in points if point[0] > now - KEPT]
            if not kept:
                del self.series[labels]

    def evaluated(self, now: float) -> dict[str, list[dict[str, str]]]:
        """Who rings at this moment: alert -> the labels it rings with."""
        true = [(name, labels) for name, rule in self.rules.items() for labels in self._true(rule, now)]
        self._since = {each: self._since.get(each, now) for each in true}
        rings: dict[str, list[dict[str, str]]] = {}
        for (name, labels), since in self._since.items():
            self.held[name, labels] = max(self.held.get((name, labels), 0.0), now - since)
            if now - since >= self.rules[name].waits:
                rings.setdefault(name, []).append({**dict(labels), **self.rules[name].labels})
        return {name: sorted(found, key=str) for name, found in rings.items()}

    def _true(self, rule: Rule, now: float) -> frozenset[Labels]:
        known = {labels: p for labels, p in self.series.items() if dict(labels)["__name__"] in rule.names}
        return true_at(rule, known, now)
