"""One look at every source on demand: `concord guard --once`.

    sources, Connect --two looks--> what is wrong now     finding --> what is open     guard --> its canaries

Publishes nothing, does nothing, and needs no guard that runs.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from connectors.sources import Source
from streams.operate import announced, preparing
from streams.operate.guard.book import Book, Finding
from streams.operate.guard.conditions import judge
from streams.operate.guard.facts import Beats, Facts, Heard
from streams.operate.guard.look import Look
from streams.operate.guard.publish import known
from streams.operate.guard.watch import LOOK_EVERY
from streams.settings import Settings, need


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look found. `canaries`: as the running guard tells them; `why`: why nobody does."""

    healthy: bool
    findings: list[Finding]
    unknown: list[str] = field(default_factory=list)
    canaries: Any = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """Two looks at one source: what holds, what nobody can say, and what was seen last."""

    facts: Facts
    findings: list[Finding]
    unknown: list[str]


def once(settings: Settings) -> Looked:
    """Two looks a little apart, so that what passes by itself is not told; nothing is published and nothing done."""
    running = next((a.status for a in announced.answering(settings, "guard")), None)
    sources = preparing.chosen_sources(settings)
    connect = need(settings.connect, "CONCORD_CONNECT")
    with ThreadPoolExecutor(max_workers=len(sources)) as pool:
        looked = list(pool.map(lambda source: watched(source, connect), sources))
    found = {f.identity: f for one in looked for f in one.findings}
    found |= {f.identity: f for f in known(settings)}
    return Looked(
        all(f.severity == "low" for f in found.values()) and not any(one.unknown for one in looked),
        sorted(found.values(), key=lambda f: (f.severity, f.identity)),
        [code for one in looked for code in one.unknown],
        running and running["sources"],
        "" if running else "no guard answers: concord up, or concord guard",
    )


def watched(source: Source, connect: str) -> Watched:
    """Look at one source twice."""
    look, book, system = Look(source, connect), Book(), source.names.system
    try:
        for at in (0.0, 60.0):
            facts = look.facts(at, Beats(), Heard())
            judged = judge(facts)
            book.look(system, judged, facts.epoch, facts.lsn, at)
            if at == 0.0:
                time.sleep(LOOK_EVERY)
    finally:
        look.close()
    unseen = {"capture.stalled", "capture.behind", "decide.stalled", "reader.overtaken", "reader.late"}
    unknown = [f"{system} {code}" for code, found in judged.items() if found is None and code not in unseen]
    return Watched(facts, list(book.open.values()), unknown)
