"""`concord metrics`: looks at everything every few seconds and serves what it saw as Prometheus text.

    status, processes, reference data --look--> exposition --Announced--> GET /metrics on loopback

A scrape costs nothing and waits for nothing: it gets the newest look, whose moment is one of its numbers. What can't
be asked is absent from a look and named in `concord_exporter_failing`; it never ends the process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
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
from streams.operate import announced, footing
from streams.operate.announced import Answer, Party
from streams.operate.capture import captures
from streams.operate.exporter import samples
from streams.operate.exporter.course import Course
from streams.operate.exporter.forward import forwarded
from streams.operate.findings import OpenFindings
from streams.operate.processes import running
from streams.operate.standing import Hop, hop, watch
from streams.operate.status import Counts, Status, status
from streams.settings import Settings, need

EVERY = 15.0
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
        answers = self._processes()
        own = list(samples.of_processes(answers, self._roles()))
        own += self._status(answers)
        own += self._tried("witnesses", self._witnesses, [])
        for what in ("processes", "status", "findings", "quarantine", "retention", "witnesses", "registry"):
            own.append(Sample("concord_exporter_failing", (what,), int(what in self._failing)))
        own.append(Sample("concord_exporter_duration_seconds", (), time.monotonic() - started))
        own.append(Sample("concord_exporter_collected_timestamp_seconds", (), time.time()))
        self.found = [*metrics.families(own), *forwarded(a.party for a in answers)]
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

    def _processes(self) -> list[Answer]:
        """Those that live; who was announced last stays known while Kafka is away."""
        self._parties = self._tried("processes", lambda: announced.announced(self._settings), self._parties)
        return announced.answers(p for p in self._parties if p.role != ROLE)

    def _roles(self) -> list[str]:
        adapters = [f"adapter/{system}" for system in running(self._settings)]
        return ["worker", *adapters, "witness", "verify", "guard"]

    def _status(self, answers: Sequence[Answer]) -> list[Sample]:
        found = self._without_kafka(answers) if "processes" in self._failing else self._asked()
        if found is None:
            return []
        self._failing |= dict.fromkeys(samples.unanswered(found), "not counted")
        if found.footing.registry:
            self._failing["registry"] = found.footing.registry
        hops = samples.hops(found)
        for each in hops:
            self._course.note(each, time.monotonic())
        paces = {each.name: self._course.pace(each) for each in hops}
        return list(samples.of_status(found, paces, self._retention(hops)))

    def _asked(self) -> Status | None:
        return self._tried("status", lambda: status(self._settings, 0.0, self._counts), None)

    def _without_kafka(self, answers: Sequence[Answer]) -> Status:
        """Nobody can say where a topic ends: each hop is unknown, and none is asked until its patience is over."""
        return Status(
            time.time(),
            quiet=False,
            capture=captures(self._settings),
            decide=hop("decide", []),
            adapters=[hop(system, []) for system in running(self._settings)],
            findings=OpenFindings(None),
            quarantined=None,
            balanced=None,
            reference=hop("reference", []),
            guard=watch([answer.status for answer in answers if answer.party.role == "guard"]),
            footing=footing.footing(self._settings, answers),
        )

    def _retention(self, hops: Iterable[Hop]) -> dict[str, float]:
        if "processes" not in self._failing and time.monotonic() - self._kept_at > RETENTION_EVERY:
            names = sorted({each.topic for part in hops for each in part.inputs})
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
