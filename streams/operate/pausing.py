"""An operator leaves a system alone for a while, and lets it go on: `concord pause`, `concord resume`.

    word --topic control--> adapters hold --/status--> effective
                            marks --> status and parity say since when, by whom and why

Writes one record; the adapters' own work is untouched. The same again changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from connectors.pause import TOPIC, Pause, decode, key
from schemas.problem import nearest
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import announced, reading
from streams.operate.quarantine.send import Outgoing, Sender
from streams.settings import Settings, need
from streams.systems import ADAPTERS

PATIENCE = 10.0
SILENCE = 3.0
"""Seconds until an adapter that doesn't answer is taken for one that doesn't run."""
POLL = 0.1
LONGEST = 500


@dataclass(frozen=True, slots=True)
class Told:
    """What became of it. `adapters`: of the system's, that answer; `effective`: each of them does as it was told."""

    system: str
    paused: Pause | None
    changed: bool
    adapters: int
    effective: bool


def pause(settings: Settings, system: str, reason: str, by: str) -> Told:
    """Have nothing delivered to the system until it is resumed."""
    _known(settings, system)
    if not reason.strip() or len(reason) > LONGEST:
        raise InvalidInput(
            "pause.reason", f"a reason of 1 to {LONGEST} characters is needed", "say why: --reason"
        )
    now = marks(settings).get(system)
    if now is None:
        since = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        _tell(settings, system, Pause(since=since, by=by, reason=reason.strip()))
    return _effect(settings, system, now is None)


def resume(settings: Settings, system: str) -> Told:
    """Let the adapters go on where they stopped."""
    _known(settings, system)
    now = marks(settings).get(system)
    if now is not None:
        _tell(settings, system, None)
    return _effect(settings, system, now is not None)


def marks(settings: Settings) -> dict[str, Pause]:
    """What is paused now."""
    topic, kafka = settings.topic(TOPIC), need(settings.kafka, "CONCORD_KAFKA")
    if not _exists(kafka, topic):
        return {}
    found = reading.newest(kafka, reading.beginnings(topic, [0]))
    words = {system: decode(m.value()) for system in ADAPTERS if (m := found.get(key(system)))}
    return {system: word for system, word in words.items() if word is not None}


def _exists(kafka: str, topic: str) -> bool:
    try:
        return bool(reading.ends(kafka, [(topic, 0)]))
    except EnvironmentFault:
        return False


def _known(settings: Settings, system: str) -> None:
    if system not in ADAPTERS:
        raise InvalidInput("system.unknown", f"no system is called {system!r}", nearest(system, ADAPTERS))
    if system in settings.files:
        step = f"leave `concord export {system}` out meanwhile"
        raise InvalidInput("pause.files", f"{system} takes files: no adapter delivers to it", step)


def _tell(settings: Settings, system: str, word: Pause | None) -> None:
    topic = settings.topic(TOPIC)
    if not _exists(settings.kafka, topic):
        raise EnvironmentFault("pause.no_topic", f"topic {topic} is missing", "concord topics apply")
    value = msgspec.json.encode(word) if word else None
    with closing(Sender(settings.kafka)) as sender:
        sender.send([Outgoing(topic, 0, key(system), value, [])])


def _effect(settings: Settings, system: str, changed: bool) -> Told:
    """Wait until every adapter that answers has taken it to heart."""
    word = marks(settings).get(system)
    began = time.monotonic()
    while True:
        said = list(_said(settings, system))
        effective = bool(said) and all(one == word for one in said)
        if effective or time.monotonic() - began > (PATIENCE if said else SILENCE):
            return Told(system, word, changed, len(said), effective)
        time.sleep(POLL)


def _said(settings: Settings, system: str) -> Iterator[Pause | None]:
    for answer in announced.answering(settings, f"adapter/{system}"):
        yield _word(answer.status)


def _word(status: Mapping[str, object]) -> Pause | None:
    found = status.get("paused")
    return msgspec.convert(found, Pause) if found else None
