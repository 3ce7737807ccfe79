"""The part of PromQL that ops/alerts.yml is written in: so that alerts are tried without Prometheus being there.

    expression --parsed--> Node --evaluated over Series at a moment--> {labels: value}

As Prometheus 3: a sample counts for five minutes, ranges are open to the left, rates are extrapolated to the window's
ends, a comparison filters. What ops/alerts.yml does not use is refused, never guessed. It is itself held to
ops/alerts_test.yml, which promtool runs where it is installed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

from tests.promql_syntax import Node

Labels: TypeAlias = frozenset[tuple[str, str]]
Vector: TypeAlias = dict[Labels, float]
Value: TypeAlias = Vector | float
Points: TypeAlias = Sequence[tuple[float, float]]
Series: TypeAlias = Mapping[Labels, Points]
"""Labels (`__name__` is one) -> (seconds, value), the oldest first; NaN marks where a series ended."""

LOOKBACK = 300.0
COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
MATH: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": lambda a, b: a / b if b else math.nan,
}  # fmt: skip
AGGREGATES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "max": max,
    "min": min,
    "sum": sum,
    "count": len,
}
MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda has, wanted: has == wanted,
    "!=": lambda has, wanted: has != wanted,
    "=~": lambda has, wanted: re.fullmatch(wanted, has) is not None,
    "!~": lambda has, wanted: re.fullmatch(wanted, has) is None,
}


def evaluated(node: Node, series: Series, now: float) -> Value:
    """The value at a moment."""
    match node.kind:
        case "number":
            return node.number
        case "instant":
            return {labels: points[-1][1] for labels, points in _within(node, series, now, LOOKBACK)}
        case "binary":
            left, right = (evaluated(part, series, now) for part in node.parts)
            return _binary(node, left, right)
        case "aggregate":
            return _aggregate(node, _vector(evaluated(node.parts[0], series, now)))
        case _:
            return _call(node, series, now)


def _within(node: Node, series: Series, now: float, length: float) -> list[tuple[Labels, Points]]:
    found = []
    for labels, points in series.items():
        if all(MATCHES[sign](dict(labels).get(label, ""), wanted) for label, sign, wanted in node.matchers):
            kept = [point for point in points if now - length < point[0] <= now]
            if kept and not (node.kind == "instant" and math.isnan(kept[-1][1])):
                found.append((labels, [p for p in kept if not math.isnan(p[1])]))
    return [(labels, points) for labels, points in found if points]


def _vector(value: Value) -> Vector:
    if isinstance(value, dict):
        return value
    raise ValueError("a number where a vector should stand")


def _nameless(labels: Labels) -> Labels:
    return frozenset(pair for pair in labels if pair[0] != "__name__")


def _key(labels: Labels, on: tuple[str, ...] | None) -> Labels:
    return frozenset(p for p in labels if p[0] in on) if on is not None else _nameless(labels)


def _binary(node: Node, left: Value, right: Value) -> Value:
    if node.name in ("and", "or", "unless"):
        return _set(node, _vector(left), _vector(right))
    if isinstance(left, dict) and isinstance(right, dict):
        others = {_key(labels, node.on): value for labels, value in right.items()}
        pairs = [(labels, value, others.get(_key(labels, node.on))) for labels, value in left.items()]
        return _combined(node, [(labels, a, b) for labels, a, b in pairs if b is not None])
    if isinstance(left, dict):
        return _combined(node, [(labels, a, float(right)) for labels, a in left.items()])  # type: ignore[arg-type]
    if isinstance(right, dict):
        return _combined(node, [(labels, left, b) for labels, b in right.items()])
    return MATH[node.name](left, right)


def _combined(node: Node, found: Iterable[tuple[Labels, float, float]]) -> Vector:
    if node.name in COMPARE:
        return {labels: a for labels, a, b in found if COMPARE[node.name](a, b)}
    return {_key(labels, node.on): MATH[node.name](a, b) for labels, a, b in found}


def _set(node: Node, left: Vector, right: Vector) -> Vector:
    there = {_key(labels, node.on) for labels in right}
    if node.name == "or":
        mine = {_key(labels, node.on) for labels in left}
        return {**left, **{labels: v for labels, v in right.items() if _key(labels, node.on) not in mine}}
    return {
        labels: v for labels, v in left.items() if (_key(labels, node.on) in there) == (node.name == "and")
    }


def _aggregate(node: Node, found: Vector) -> Vector:
    groups: dict[Labels, list[float]] = {}
    for labels, value in found.items():
        groups.setdefault(_key(labels, node.by), []).append(value)
    return {labels: float(AGGREGATES[node.name](values)) for labels, values in groups.items()}


# ---- functions ----


def _call(node: Node, series: Series, now: float) -> Value:
    if node.name == "time":
        return now
    if node.name in RANGED:
        if node.parts[0].kind != "range":
            raise ValueError(f"{node.name} is of a range")
        ranged, more = node.parts[0], [evaluated(part, series, now) for part in node.parts[1:]]
        found = _within(ranged, series, now, ranged.number)
        told = {
            _nameless(labels): RANGED[node.name](points, now, ranged.number, *more)
            for labels, points in found
        }
        return {labels: value for labels, value in told.items() if value is not None}
    values = [evaluated(part, series, now) for part in node.parts]
    if node.name == "abs":
        return {_nameless(labels): abs(value) for labels, value in _vector(values[0]).items()}
    if node.name == "absent":
        return {} if values[0] else {frozenset(): 1.0}
    if node.name == "histogram_quantile":
        return _quantiles(float(values[0]), _vector(values[1]))  # type: ignore[arg-type]
    if node.name == "label_replace":
        return {_replaced(labels, *node.texts): v for labels, v in _vector(values[0]).items()}
    raise ValueError(f"no function {node.name!r} here")


def _increase(points: Points, now: float, length: float) -> float | None:
    """Extrapolated to the window's ends, where its samples come near them; never below zero."""
    if len(points) < 2:
        return None
    values = [value for _, value in points]
    risen = values[-1] - values[0] + sum(a for a, b in pairwise(values) if b < a)
    covered = points[-1][0] - points[0][0]
    apart = covered / (len(points) - 1)
    before, after = points[0][0] - (now - length), now - points[-1][0]
    before = before if before < 1.1 * apart else apart / 2
    after = after if after < 1.1 * apart else apart / 2
    if risen > 0 and values[0] >= 0:
        before = min(before, covered * values[0] / risen)
    return risen * (covered + before + after) / covered


def _rate(points: Points, now: float, length: float) -> float | None:
    risen = _increase(points, now, length)
    return None if risen is None else risen / length


def _predicted(points: Points, now: float, length: float, ahead: float) -> float | None:
    """Least squares."""
    if len(points) < 2:
        return None
    times, values = [t - now for t, _ in points], [v for _, v in points]
    mean_t, mean_v = sum(times) / len(times), sum(values) / len(values)
    spread = sum((t - mean_t) ** 2 for t in times)
    slope = sum((t - mean_t) * (v - mean_v) for t, v in zip(times, values, strict=True)) / spread
    return mean_v - slope * mean_t + slope * ahead


RANGED: Mapping[str, Callable[..., float | None]] = {
    "increase": _increase,
    "rate": _rate,
    "predict_linear": _predicted,
    "count_over_time": lambda points, now, length: float(len(points)),
}


def _quantiles(share: float, found: Vector) -> Vector:
    groups: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in found.items():
        le = dict(labels).get("le", "")
        if le:
            key = frozenset(pair for pair in labels if pair[0] not in ("le", "__name__"))
            groups.setdefault(key, []).append((float(le.replace("+Inf", "inf")), value))
    return {labels: _quantile(share, sorted(buckets)) for labels, buckets in groups.items()}


def _quantile(share: float, buckets: Sequence[tuple[float, float]]) -> float:
    if len(buckets) < 2 or not math.isinf(buckets[-1][0]) or not buckets[-1][1]:
        return math.nan
    rank = share * buckets[-1][1]
    number = next(i for i, (_, count) in enumerate(buckets) if count >= rank)
    if number == len(buckets) - 1:
        return buckets[-2][0]
    lower, below = buckets[number - 1] if number else (0.0, 0.0)
    upper, count = buckets[number]
    return lower + (upper - lower) * (rank - below) / (count - below) if count > below else upper


def _replaced(labels: Labels, into: str, pattern: str, source: str, wanted: str) -> Labels:
    found = re.fullmatch(wanted, dict(labels).get(source, ""))
    if found is None:
        return labels
    return frozenset({**dict(labels), into: found.expand(pattern.replace("$1", r"\1"))}.items())
