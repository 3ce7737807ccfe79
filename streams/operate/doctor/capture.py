"""A source's connector and slot, judged by the guard's own conditions, with fixes to paste.

    Connect, slot --guard.once--> Watched --judge--> connector, slot

The guard watches all the time and acts; this looks twice, a moment apart, and only tells.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from streams.operate.doctor.result import Result, error, finding, judged, skipped
from streams.operate.guard.book import Finding
from streams.operate.guard.once import Watched

CHECKS = ("connector", "slot")
MIB = 1024 * 1024
_OF = {"connector": ("connector.", "source.replaced"), "slot": ("slot.",)}
_FIX: Mapping[str, str] = {
    "connector.missing": "concord sources apply {system}",
    "connector.failed": "concord sources status {system}   # says why; once that is corrected:\n"
    "curl -fsS -X POST '{connect}/connectors/{connector}/restart?includeTasks=true&onlyFailed=true'",
    "connector.stopped": "curl -fsS -X PUT '{connect}/connectors/{connector}/resume'",
    "slot.unread": "curl -fsS -X POST '{connect}/connectors/{connector}/restart?includeTasks=true'",
    "slot.grown": "concord sources status {system}   # why capture is behind; past max_slot_wal_keep_size it is lost",
}
"""Where the condition's own cure is words."""
_WHY = {
    "connector": "nothing of this source is captured",
    "slot": "changes are, or will be, missing; docs/capture-guard.md says more",
}


def judge(system: str, connect: str, connector: str, watched: Watched) -> list[Result]:
    """Both checks, pure."""
    return [*_connector(system, connect, connector, watched), *_slot(system, connect, connector, watched)]


def _connector(system: str, connect: str, connector: str, watched: Watched) -> list[Result]:
    if watched.facts.connector is None:
        return [skipped("connector", system, "Connect could not be asked")]
    found = watched.facts.connector
    seen = (
        f"{found.state}, epoch {found.epoch}, snapshot {'finished' if found.snapshot_finished else 'running'}"
    )
    return judged("connector", system, _told("connector", system, connect, connector, watched), seen)


def _slot(system: str, connect: str, connector: str, watched: Watched) -> list[Result]:
    server = watched.facts.server
    if server is None:
        fix = f"concord doctor --system {system} --only database   # what keeps the capture role away"
        return [error("slot", system, watched.facts.unreachable, fix)]
    seen = "none yet: the connector makes it"
    if slot := server.slot:
        kept = (slot.retained or 0) / MIB
        seen = f"{'read' if slot.active else 'not read'}, {slot.wal_status}, keeps {kept:,.1f} MiB of WAL"
    return judged("slot", system, _told("slot", system, connect, connector, watched), seen)


def _told(check: str, system: str, connect: str, connector: str, watched: Watched) -> Iterator[Result]:
    for found in watched.findings:
        if found.code.startswith(_OF[check]):
            fix = _FIX.get(found.code, found.action)
            named = fix.format(system=system, connect=connect.rstrip("/"), connector=connector)
            yield finding(check, system, _seen(found), _WHY[check], named)


def _seen(found: Finding) -> str:
    return f"{found.message} ({found.code})"
