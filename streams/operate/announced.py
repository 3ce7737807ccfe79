"""Who runs: the worker and adapter processes that announced themselves on topic `workers`, and what they answer.

    workers (compacted) --announced--> Party --ask--> GET /status, GET /entity/<kind>/<id>

An announcement outlives its process, so only an answer proves that one lives; a dead one is skipped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from streams.operate import reading
from streams.settings import Settings, need
from streams.trust import trusted

PATIENCE = httpx.Timeout(3.0, connect=0.5)


@dataclass(frozen=True, slots=True)
class Party:
    """One announced process: `worker/<id>` or `adapter/<system>/<id>`, and where it listens."""

    key: str
    url: str
    pid: int

    @property
    def role(self) -> str:
        """`worker`, or `adapter/<system>`."""
        head, _, tail = self.key.partition("/")
        return f"{head}/{tail.partition('/')[0]}" if head == "adapter" else head


@dataclass(frozen=True, slots=True)
class Answer:
    """A party that lives and its /status."""

    party: Party
    status: Mapping[str, Any]


def announced(settings: Settings, role: str = "") -> list[Party]:
    """The parties of a role, the latest announcement first; some may be dead."""
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    found = reading.newest(kafka, reading.beginnings(settings.topic("workers"), [0]))
    parties = [p for key, m in found.items() if (p := party(key.decode(), m.value() or b"")) is not None]
    return [p for p in reversed(parties) if p.role.startswith(role)]


def party(key: str, value: bytes) -> Party | None:
    """An announcement decoded; None when it is no announcement."""
    try:
        said = msgspec.json.decode(value)
        return Party(key, f"http://{said['host']}:{int(said['port'])}", int(said["pid"]))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None


def answering(settings: Settings, role: str = "") -> list[Answer]:
    """Those that live, with their status."""
    return answers(announced(settings, role))


def answers(parties: Iterable[Party], path: str = "/status") -> list[Answer]:
    """Those of the parties that live, with their status, or what else they answer."""
    asked = ((p, ask(p, path)) for p in parties)
    return [Answer(p, s) for p, s in asked if isinstance(s, dict) and s.get("pid") == p.pid]


def ask(party: Party, path: str) -> Any:
    """The JSON a party answers; None when it is dead, knows nothing of it, or another program has its port."""
    try:
        answer = httpx.get(party.url + path, timeout=PATIENCE, verify=trusted())
    except httpx.HTTPError:
        return None
    if answer.status_code != httpx.codes.OK:
        return None
    try:
        return answer.json()
    except ValueError:
        return None
