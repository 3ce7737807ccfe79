"""`concord verify follow`: every table verified again and again, what diverges repaired within bounds.

    each system in turn --verify, repair--> topic `verification`, /metrics      ... pause, and again

One process an installation, like the one that follows the witnesses (docs/decisions/20261122-verification-runs-beside-
the-workers.md). What it may not repair is an ERROR once: a person must act. Never ends by itself, and never stops at
one system's fault.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from connectors import stop as stop_signals
from connectors.announce import Announced
from connectors.receipt import producer
from streams import metrics
from streams.core.verify import DIFFERENT, EXTRA, MISSING
from streams.errors import ConcordError
from streams.operate.verify.found import Verified
from streams.operate.verify.repair import Bounds, TooMany
from streams.operate.verify.run import verify_source
from streams.operate.verify.source import kept
from streams.operate.verify.target import verify_target, written
from streams.settings import Settings, need
from streams.systems import ADAPTED

WHO, WHY = "concord verify follow", "continuous verification"
GENTLE = 0.1
"""The part of the time that a source may work for this."""

log = structlog.get_logger("concord.verify")


class Meter:
    """How each table stood when it was looked at last. Written by one thread, read by the status server's."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._at = metrics.gauge("concord_verify_timestamp_seconds", self.registry)
        self._rows = metrics.gauge("concord_verify_rows", self.registry)
        self._apart = metrics.gauge("concord_verify_diverging_rows", self.registry)
        self._repaired = metrics.counter("concord_verify_repaired_rows_total", self.registry)
        self._failed = metrics.gauge("concord_verify_failing", self.registry)
        self._tables: dict[str, dict[str, Any]] = {}
        self._faults: dict[str, str] = {}

    def verified(self, found: Sequence[Verified]) -> None:
        """These tables were looked at."""
        for each in found:
            self._at.labels(each.name).set(each.at)
            self._rows.labels(each.name).set(each.rows)
            for state in (MISSING, EXTRA, DIFFERENT):
                self._apart.labels(each.name, state).set(each.count(state))
            self._repaired.labels(each.name).inc(each.repaired)
            self._tables[each.name] = {"lsn": each.lsn, "at": each.at, "rows": each.rows, **each.counts}

    def failing(self, system: str, code: str) -> None:
        """Why a system could not be verified; empty when it could."""
        self._failed.labels(system).set(int(bool(code)))
        self._faults[system] = code

    def metrics(self) -> bytes:
        return generate_latest(self.registry)

    def status(self) -> dict[str, Any]:
        return {"tables": dict(self._tables), "faults": {s: c for s, c in self._faults.items() if c}}


class Follow:
    """The loop. `turn` verifies one system; no fault is ever raised further."""

    def __init__(
        self, settings: Settings, meter: Meter, verify: Callable[..., list[Verified]] = verify_source
    ) -> None:
        self._settings, self._meter, self._verify = settings, meter, verify
        self._bounds = Bounds(settings.verify_repair_rows, settings.verify_repair_share)
        self._told: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            started = time.monotonic()
            for system in self._settings.sources:
                if not stop.is_set():
                    self.turn(system)
            stop.wait(max(self._settings.verify_every_s - (time.monotonic() - started), 1.0))

    def turn(self, system: str) -> None:
        """One system: its tables, then what it holds of the views it confirmed."""
        try:
            self._look(system)
        except ConcordError as fault:
            self._tell(system, fault)
        else:
            self._told.pop(system, None)
            self._meter.failing(system, "")

    def _look(self, system: str) -> None:
        bounds = self._bounds if self._settings.verify_repair else None
        options = {"bounds": bounds, "by": WHO, "cause": WHY, "share": GENTLE}
        if system in ADAPTED and system not in self._settings.apis:
            self._meter.verified(self._target(system, options))
            names = [f"{system}.{table}" for table in kept(system) if table not in written(system)]
        else:
            names = [system]
        if names:
            self._meter.verified(self._verify(self._settings, names, **options))

    def _target(self, system: str, options: Mapping[str, Any]) -> list[Verified]:
        [target] = verify_target(self._settings, [system], **options)
        left = [each.entity for each in target.unheld if not each.repaired]
        if left:
            log.error("verify.unheld", system=system, entities=left[:20], count=len(left))
        return target.tables

    def _tell(self, system: str, fault: ConcordError) -> None:
        """Once an outage; what a person must look at is an error."""
        self._meter.failing(system, fault.code)
        if self._told.get(system) != fault.code:
            person = isinstance(fault, TooMany)  # that capture doesn't run, others say
            tell = log.error if person else log.warning
            tell(fault.code, system=system, message=fault.message, next_step=fault.next_step)
        self._told[system] = fault.code


def follow(settings: Settings) -> int:
    """Verify until SIGTERM or SIGINT; the exit code."""
    stop = stop_signals.on_signals()
    kafka, meter = need(settings.kafka, "CONCORD_KAFKA"), Meter()
    announced = Announced("verify", meter, producer(kafka), settings.topic("workers"))
    try:
        Follow(settings, meter).run(stop)
    finally:
        announced.close()
    return 0
