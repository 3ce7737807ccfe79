"""Which metric of the table a series belongs to, and the labels it has in what `concord metrics` serves."""

from __future__ import annotations

from streams.metrics import BY_NAME, HISTOGRAM, PROCESS

SUFFIXES = ("_bucket", "_count", "_sum")


def metric(series: str) -> str:
    """The metric a series belongs to: a histogram has several."""
    base = next((series.removesuffix(s) for s in SUFFIXES if series.endswith(s)), series)
    return base if base in BY_NAME and BY_NAME[base].kind == HISTOGRAM else series


def labels(series: str) -> set[str]:
    """Those of the table, the process that told it, and of a histogram its bound."""
    found = BY_NAME[metric(series)]
    more = {PROCESS} if found.told_by != "metrics" else set()
    return {*found.labels, *more, *({"le"} if series.endswith("_bucket") else ())}
