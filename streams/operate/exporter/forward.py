"""What the processes tell of themselves (GET /metrics of each), put together, each number with its process.

A process that does not answer is left out: its series end. So does what the table of metrics does not name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import httpx
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from streams.metrics import BY_NAME, PROCESS
from streams.operate.announced import PATIENCE, Party
from streams.trust import trusted


def forwarded(parties: Iterable[Party]) -> list[Metric]:
    """The metrics of these processes."""
    return merged((party.key, text) for party in parties if (text := _text(party)))


def _text(party: Party) -> str:
    try:
        answer = httpx.get(f"{party.url}/metrics", timeout=PATIENCE, verify=trusted())
    except httpx.HTTPError:
        return ""
    return answer.text if answer.status_code == httpx.codes.OK else ""


def merged(told: Iterable[tuple[str, str]]) -> list[Metric]:
    """(process, its exposition) ... as one: a family of each name, its samples with the label `process`."""
    found: dict[str, Metric] = {}
    for process, text in told:
        for family in _known(text):
            into = found.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                into.samples.append(sample._replace(labels={**sample.labels, PROCESS: process}))
    return list(found.values())


def _known(text: str) -> Iterator[Metric]:
    for family in text_string_to_metric_families(text):
        if family.name in BY_NAME or f"{family.name}_total" in BY_NAME:
            yield family
