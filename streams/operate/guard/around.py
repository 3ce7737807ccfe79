"""What the workers and adapters say of themselves, asked every look: how far canaries have come behind the topic.

    workers, adapters --Around--> decided and applied canaries, readers that retention overtakes

Whoever does not answer says nothing: its canaries stay where they were, and grow old.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import structlog

from streams.errors import ConcordError
from streams.operate import announced, reading
from streams.operate.announced import Answer, Party
from streams.operate.guard.facts import Overtaken
from streams.operate.guard.pulse import Pulse
from streams.settings import Settings
from streams.systems import ADAPTED

log = structlog.get_logger("concord.guard")

PARTIES_EVERY = 5.0
RETENTION_EVERY = 5.0
NEARLY = 0.05
"""Share of what a topic keeps: a reader within it of the beginning is about to be overtaken."""

Place = tuple[str, int]


class Around:
    """The parties of one installation."""

    def __init__(self, settings: Settings, pulses: Mapping[str, Pulse]) -> None:
        self._settings = settings
        self._pulses = pulses
        self._parties: list[Party] = []
        self._listed = self._compared = float("-inf")
        self._looked = 0.0
        self._positions: dict[Place, int] = {}
        self._moved: dict[str, float] = {}
        self.overtaken: tuple[Overtaken, ...] | None = None
        self.adapters: dict[str, bool] = {}
        """system -> whether an adapter has applied all it was sent"""

    def run(self, stop: threading.Event, every: float) -> None:
        """Look until told to stop."""
        while not stop.wait(every):
            try:
                self.look(time.monotonic())
            except ConcordError as fault:
                log.debug("guard.unasked", fault=fault.message)

    def look(self, now: float) -> None:
        """Ask everybody once."""
        decided = {system: pulse.at("decided") for system, pulse in self._pulses.items()}
        if now - self._listed >= PARTIES_EVERY:
            self._listed = now
            self._parties = announced.announced(self._settings)
        workers = announced.answers([p for p in self._parties if p.role == "worker"], "/reached")
        adapters = announced.answers([p for p in self._parties if p.role.startswith("adapter/")])
        self._decided(workers, now)
        self._note(workers, now)
        # What was decided at the last look was sent before these adapters were asked: a watermark.
        self.adapters = {system: _applied(system, adapters) for system in ADAPTED}
        if all(self.adapters.values()):
            for system, beat in decided.items():
                self._pulses[system].reached("applied", beat)
        if workers and now - self._compared >= RETENTION_EVERY:
            self._compared = now
            self.overtaken = tuple(self._overtaken())

    def idle(self, system: str) -> float | None:
        """For how long, at the last look, no worker had taken anything of the system; None while none answers."""
        return self._looked - self._moved[system] if system in self._moved else None

    def _note(self, workers: Iterable[Answer], now: float) -> None:
        captured = f"{self._settings.topic_prefix}cdc."
        before, self._positions = self._positions, {}
        for number, partition in _partitions(workers):
            for topic, at in partition["inputs"].items():
                if topic.startswith(captured):
                    self._positions[topic, number] = at
        self._looked = now
        moved = {
            topic for (topic, number), at in self._positions.items() if before.get((topic, number)) != at
        }
        known = {topic.removeprefix(captured) for topic, _ in self._positions}
        self._moved = {
            system: now if captured + system in moved else self._moved.get(system, now) for system in known
        }

    def _decided(self, workers: Iterable[Answer], now: float) -> None:
        told: dict[str, int] = {}
        for _, partition in _partitions(workers):
            told |= partition["canaries"]
        for system, pulse in self._pulses.items():
            if system in told:
                pulse.reached("decided", told[system], now)
            else:
                pulse.silent("decided")

    def _overtaken(self) -> Iterator[Overtaken]:
        for place, (first, end) in reading.ends(self._settings.kafka, self._positions).items():
            at = self._positions[place]
            if at < first or (first > 0 and at < end and at - first < NEARLY * (end - first)):
                yield Overtaken(*place, at, first, gone=at < first)


def _partitions(workers: Iterable[Answer]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for answer in workers:
        for number, partition in answer.status["partitions"].items():
            yield int(number), partition


def _applied(system: str, answers: Iterable[Answer]) -> bool:
    """Adapters of the system answer, reach their target, and have nothing left to apply."""
    mine = [a.status for a in answers if a.party.role == f"adapter/{system}"]
    return bool(mine) and all(_drained(status) for status in mine)


def _drained(status: Mapping[str, Any]) -> bool:
    """One that an operator has paused doesn't look at what waits for it."""
    lively = status["circuit"]["state"] == "closed" and not status.get("paused")
    return lively and not status["lag_records"]
