"""`concord metrics`: looks at everything every few seconds and serves what it saw as Prometheus text.

    status, processes, reference data --look--> exposition --Announced--> GET /metrics on loopback

A scrape costs nothing and waits for nothing: it gets the newest look, whose moment is one of its numbers. What can't
be asked is absent from a look and named in `concord_exporter_failing`; it never ends the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import structlog
from prometheus_client.core import Metric

from connectors import stop as stop_signals
from connectors.announce import Announced
from connectors.receipt import producer
from connectors.reference import standing
from connectors.reference.store import Folder
from streams import metrics, topics
from streams.errors import ConcordError, EnvironmentFault
from streams.metrics import Sample
from streams.operate import announced
from streams.operate.announced import Party
from streams.operate.exporter import samples
from streams.operate.exporter.course import Course
from streams.operate.exporter.forward import forwarded
from streams.operate.processes import running
from streams.operate.status import Counts, Status, status
from streams.settings import Settings, need

EVERY = 10.0
RETENTION_EVERY = 300.0
ROLE = "metrics"

log = structlog.get_logger("concord.metrics")
T = TypeVar("T")


class Exporter:
    """Everything at the moment of the newest look."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._counts = Counts(settings)
        self._course = Course()
        self._parties: list[Party] = []
        self._keeps: dict[str, float] = {}
        self._kept_at = float("-inf")
        self._failing: dict[str, str] = {}
        self.found: list[Metric] = []
        self._text = b""

    def look(self) -> None:
        """Ask everybody; what can't be asked is absent."""
        started, self._failing = time.monotonic(), {}
        own, told = self._processes()
        own += self._status()
        own += self._tried("witnesses", self._witnesses, [])
        for what in ("processes", "status", "findings", "quarantine", "retention", "witnesses"):
            own.append(Sample("concord_exporter_failing", (what,), int(what in self._failing)))
        own.append(Sample("concord_exporter_duration_seconds", (), time.monotonic() - started))
        own.append(Sample("concord_exporter_collected_timestamp_seconds", (), time.time()))
        self.found = [*metrics.families(own), *told]
        self._text = metrics.exposition(self.found)

    def metrics(self) -> bytes:
        """As Prometheus text."""
        return self._text

    def status(self) -> dict[str, Any]:
        """What could not be asked, and why."""
        return {"failing": dict(self._failing)}

    def close(self) -> None:
        """Let go of what is kept."""
        self._counts.close()

    # ---- the parts of a look ----

    def _processes(self) -> tuple[list[Sample], list[Metric]]:
        """Those that were announced last stay known while Kafka is away."""
        self._parties = self._tried("processes", lambda: announced.announced(self._settings), self._parties)
        answers = announced.answers(p for p in self._parties if p.role != ROLE)
        expected = [
            "worker",
            *(f"adapter/{s}" for s in running(self._settings)),
            "witness",
            "verify",
            "guard",
        ]
        return list(samples.of_processes(answers, expected)), forwarded(a.party for a in answers)

    def _status(self) -> list[Sample]:
        found = self._tried("status", lambda: status(self._settings, 0.0, self._counts), None)
        if found is None:
            return []
        self._failing |= dict.fromkeys(samples.unanswered(found), "not counted")
        for hop in samples.hops(found):
            self._course.note(hop, time.monotonic())
        paces = {hop.name: self._course.pace(hop) for hop in samples.hops(found)}
        return list(samples.of_status(found, paces, self._retention(found)))

    def _retention(self, found: Status) -> dict[str, float]:
        if time.monotonic() - self._kept_at > RETENTION_EVERY:
            names = sorted({each.topic for hop in samples.hops(found) for each in hop.inputs})
            self._keeps = self._tried("retention", lambda: _keeps(self._settings, names), self._keeps)
            self._kept_at = time.monotonic() if "retention" not in self._failing else self._kept_at
        return self._keeps

    def _witnesses(self) -> list[Sample]:
        folder = self._settings.reference_dir
        if not folder.is_dir():
            return []
        return list(samples.of_witnesses(standing.standings(Folder(folder), datetime.now(UTC).date())))

    def _tried(self, what: str, ask: Callable[[], T], else_: T) -> T:
        try:
            return ask()
        except ConcordError as fault:
            self._failing[what] = fault.message
            return else_


def _keeps(settings: Settings, names: Iterable[str]) -> dict[str, float]:
    return topics.kept_seconds(need(settings.kafka, "CONCORD_KAFKA"), list(names))


def once(settings: Settings) -> Exporter:
    """One look; without a look before it nothing has a velocity."""
    exporter = Exporter(settings)
    exporter.look()
    exporter.close()
    return exporter


def run(settings: Settings, port: int) -> int:
    """Look and serve until SIGTERM or SIGINT; the exit code."""
    stop = stop_signals.on_signals()
    exporter, kafka = Exporter(settings), need(settings.kafka, "CONCORD_KAFKA")
    exporter.look()
    try:
        served = Announced(ROLE, exporter, producer(kafka), settings.topic("workers"), port)
    except OSError as fault:
        message = f"port {port} of 127.0.0.1 can't be had: {fault.strerror}"
        step = "stop who has it, or choose another: --port, CONCORD_METRICS_PORT"
        raise EnvironmentFault("metrics.port_taken", message, step) from None
    log.info("metrics.serves", url=f"{served.url}/metrics")
    try:
        _look_until(stop, exporter)
    finally:
        served.close()
        exporter.close()
    return 0


def _look_until(stop: threading.Event, exporter: Exporter) -> None:
    while not stop.wait(EVERY):
        exporter.look()
