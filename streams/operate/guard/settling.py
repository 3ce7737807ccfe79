"""A person's word that what may have been missed was looked into: `concord guard --settle SYSTEM --by NAME`.

    open findings that tell of something that happened --> closed on topic finding --> a running guard forgets them

What still holds can't be settled: it closes by itself.
"""

from __future__ import annotations

import structlog

from streams.errors import InvalidInput
from streams.operate.guard.book import Event, Finding, stays
from streams.operate.guard.publish import Publisher, known
from streams.settings import Settings
from streams.systems import SYSTEMS

log = structlog.get_logger("concord.guard")


def settle(settings: Settings, target: str, by: str) -> list[Finding]:
    """Close what happened to a system, or to one of its tables."""
    system, _, table = target.partition(".")
    if system not in SYSTEMS:
        raise InvalidInput(
            "systems.unknown", f"no system is called {system!r}", f"one of: {', '.join(SYSTEMS)}"
        )
    if not by:
        raise InvalidInput("guard.by", "nobody said who settles this", "add --by NAME")
    found = [
        f
        for f in known(settings)
        if f.system == system and stays(f.code) and (not table or table in f.message)
    ]
    Publisher(settings).tell([Event(one, "closed") for one in found])
    for one in found:
        log.info("guard.settled", code=one.code, subject=one.subject, first=one.first, last=one.last, by=by)
    return found
