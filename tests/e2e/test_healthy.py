"""A platform in order, quiet and busy by turns: no alert rings, each judged by what was really told for as long as it waits.

    edits in every system, by turns --> platform --/metrics, each 15 s--> Watch --ops/alerts.yml--> nobody rings

Runs when asked for: CONCORD_HEALTHY_MINUTES=5, or 30: most alerts wait for minutes, and look back 15 or 30.
"""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streams.core.edit import PER_DAY
from streams.operate import announced, presence
from tests import edits
from tests.alerting import STEP, Watch
from tests.edits import OWN, Editor
from tests.faults.ledger import Ledger
from tests.fixtures.platform import Platform
from tests.fixtures.waiting import wait_until

SECONDS = float(os.environ.get("CONCORD_HEALTHY_MINUTES", "5")) * 60
PHASES = 6
"""Quiet, busy, quiet, ...: the last one is busy."""
PHASE = SECONDS / PHASES
EDITS = int(PHASE / edits.PACE)
"""Of each system, in each busy phase."""
PROVIDERS = max(40, math.ceil(3 * EDITS * PHASES / 2 * edits.AT_MOST / PER_DAY))
"""Enough that most edits are answered, as in test_soak.py."""
PATIENCE = 240.0
SCRAPE = 10.0
"""Prometheus' own patience."""
DELIVERED = "concord_end_to_end_seconds_count"
pytestmark = [
    pytest.mark.timeout(1200 + 1.5 * SECONDS),
    pytest.mark.skipif(
        "CONCORD_HEALTHY_MINUTES" not in os.environ,
        reason="minutes of quiet and busy phases under alerts: CONCORD_HEALTHY_MINUTES=5 make test, or 30",
    ),
]


@dataclass(slots=True)
class Healthy:
    """The platform, and Prometheus beside it."""

    platform: Platform
    watch: Watch = field(default_factory=Watch)
    rang: dict[str, str] = field(default_factory=dict)
    """alert -> in which phase it rang first, and with what"""
    delivered: list[Counter[str]] = field(default_factory=list)
    """at each look: system -> how many views were applied there"""

    def look(self, phase: str) -> None:
        """One scrape, one evaluation of every alert."""
        [answer] = announced.answering(self.platform.settings, "metrics")
        text = httpx.get(f"{answer.party.url}/metrics", timeout=SCRAPE).raise_for_status().text
        told, now = list(text_string_to_metric_families(text)), time.time()
        self.watch.scraped(told, now)
        for name, labels in self.watch.evaluated(now).items():
            self.rang.setdefault(name, f"{phase}: {labels}")
        samples = [s for each in told for s in each.samples if s.name == DELIVERED]
        self.delivered.append(sum((Counter({s.labels["system"]: int(s.value)}) for s in samples), Counter()))

    def last(self, phase: str, seconds: float) -> None:
        """A phase: a look each STEP, the first at once."""
        began = time.monotonic()
        for number in range(math.ceil(seconds / STEP)):
            at = began + number * STEP
            wait_until(lambda at=at: time.monotonic() >= at, STEP + SCRAPE)  # type: ignore[misc]
            self.look(phase)
        wait_until(lambda: time.monotonic() >= began + seconds, STEP + SCRAPE)


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    """Invented providers everywhere, each with an enrollment of the payer's own; nothing is left to be done."""
    platform.ask("load", "generated", "--count", str(PROVIDERS), "--seed", "29")
    databases = platform.databases

    def equal() -> bool:
        return presence.presence(platform.settings).equal and bool(platform.ask("status")["quiet"])

    wait_until(equal, PATIENCE, what="every system to hold every provider")
    with databases["credentialing"].connect() as master, databases["enrollment"].connect() as enrollment:
        edits.enroll(master.execute(edits.WORKS).fetchall(), enrollment)
    wait_until(lambda: platform.ask("status")["quiet"], PATIENCE, what="the enrollments to get their group")
    return platform


@contextmanager
def busy(platform: Platform, ledger: Ledger, phase: int) -> Iterator[list[Editor]]:
    """All systems' users at once."""
    editors = [
        Editor(system, platform.databases[system].dsn, ledger, Random(f"{phase}/{system}"), EDITS)
        for system in OWN
    ]
    with ExitStack() as stack:
        for editor in editors:
            stack.enter_context(editor.running())
        yield editors
        wait_until(lambda: all(e.is_done or e.failure for e in editors), PATIENCE, what="the last edit")
    assert [editor.failure for editor in editors if editor.failure] == []


def test_nothing_rings_while_the_platform_is_in_order_quiet_or_busy(loaded: Platform) -> None:
    healthy, ledger, done = Healthy(loaded), Ledger(), Counter[str]()
    for phase in range(PHASES):
        if phase % 2 == 0:
            healthy.last(f"quiet phase {phase + 1}", PHASE)
            continue
        with busy(loaded, ledger, phase) as editors:
            healthy.last(f"busy phase {phase + 1}", PHASE)
        done += sum((editor.counts for editor in editors), Counter[str]())
    told = [
        f"{name} {dict(labels)} {seconds:.0f} s" for (name, labels), seconds in healthy.watch.held.items()
    ]
    print(
        f"{len(healthy.delivered)} looks, {done.total()} edits, views applied {dict(healthy.delivered[-1])};"
        f" true for a while: {told}"
    )
    assert healthy.rang == {}
    first, last = healthy.delivered[0], healthy.delivered[-1]
    assert all(last[system] > first[system] for system in edits.LEFT), "phases without anything to do"
