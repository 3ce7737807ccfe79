"""Keeping up with who holds an NPI: at the end of a load, and for as long as `concord reference follow` runs.

    claims.npi --hear--> newer holders --tell--> claims.witness, confirmed --> ledger --> committed

A holder is remembered once what the witnesses say of it is confirmed: a kill in between tells it again, which says
nothing new. Reads the sources' files anew for each portion, so a load that ended in between is seen.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, generate_latest

from connectors import stop as stop_signals
from connectors.announce import Announced
from connectors.receipt import producer
from connectors.reference.announcements import Announcements, Heard
from connectors.reference.ledger import Ledger
from connectors.reference.publish import Publisher, Told, tell, tell_all, tell_entities
from connectors.reference.source import Source
from connectors.reference.sources import WITNESSES
from connectors.reference.store import Folder
from connectors.retrying import Circuit
from streams import metrics
from streams.errors import EnvironmentFault, Unavailable

GROUP = "concord-witness"
READ_WAIT = 0.2
"""Seconds; bounds how late a stop is noticed."""
STALL = 30.0

log = structlog.get_logger("concord.reference")


class Meter:
    """What was told, and how far the announcements are read. Written by one thread, read by the status server's."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._told = metrics.counter("concord_witness_told_total", self.registry)
        self._counts = {"holders": 0, "claims": 0}
        self._circuit: dict[str, Any] = {"state": "closed"}
        self._positions: dict[tuple[str, int], int] = {}

    def told(self, told: Told) -> None:
        for what, count in (("holders", told.holders), ("claims", told.claims)):
            self._counts[what] += count
            self._told.labels(what).inc(count)

    def placed(self, topic: str, positions: Mapping[int, int]) -> None:
        """All that is read by this process, and from where on."""
        self._positions = {(topic, partition): offset for partition, offset in positions.items()}

    def read(self, topic: str, positions: Mapping[int, int]) -> None:
        found = {(topic, partition): offset for partition, offset in positions.items()}
        self._positions = {**self._positions, **found}

    def circuit(self, circuit: Circuit) -> None:
        fault = circuit.fault
        told = {"code": fault.code, "message": fault.message, "next_step": fault.next_step} if fault else None
        self._circuit = {"state": circuit.state, "failures": circuit.failures, "fault": told}

    def metrics(self) -> bytes:
        return generate_latest(self.registry)

    def status(self) -> dict[str, Any]:
        places = [
            {"topic": topic, "partition": partition, "next_offset": offset}
            for (topic, partition), offset in sorted(self._positions.items())
        ]
        return {"circuit": self._circuit, "told": dict(self._counts), "partitions": places}


class Hearing:
    """Announcements become claims, then the ledger's. One thread."""

    def __init__(
        self,
        folder: Folder,
        ledger: Ledger,
        announcements: Announcements,
        publisher: Publisher,
        meter: Meter | None = None,
    ) -> None:
        self.meter = meter or Meter()
        self._folder = folder
        self._ledger = ledger
        self._announcements = announcements
        self._publisher = publisher

    def place(self) -> None:
        """Begin where the ledger says."""
        topic_id = self._announcements.identify()
        known = self._ledger.read_until(self._announcements.topic, topic_id)
        self.meter.placed(
            self._announcements.topic, {p: known.get(p, 0) for p in self._announcements.assigned}
        )
        for missed in self._announcements.place(known):
            self._learn(missed)

    def hear(self, wait: float) -> bool:
        """Work what is next; whether there was anything."""
        heard = self._announcements.read(wait)
        if heard.read:
            self._learn(heard)
            self._announcements.commit(heard.read)
        return bool(heard.read)

    def _learn(self, heard: Heard) -> None:
        holders = self._ledger.newer(heard.holders)
        told = tell(self._folder, list(WITNESSES.values()), holders, self._publisher)
        topic, topic_id = self._announcements.topic, self._announcements.topic_id
        # Invariant 2: remembered only after the claims are confirmed.
        self._ledger.remember(holders, topic, topic_id, heard.read)
        self.meter.told(told)
        self.meter.read(topic, heard.read)


def publish(folder: Folder, source: Source, kafka: str, prefix: str = "") -> Told:
    """After a load: learn who holds an NPI by now, then tell all of them what this source says."""
    publisher = Publisher(kafka, prefix)
    if source.kind is not None:
        return tell_entities(folder, source, publisher)
    announcements = Announcements(kafka, prefix)
    try:
        with Ledger(folder) as ledger:
            announcements.all_partitions()
            _to_the_end(Hearing(folder, ledger, announcements, publisher), announcements)
        return tell_all(folder, source, publisher)
    finally:
        announcements.close()


def _to_the_end(hearing: Hearing, announcements: Announcements) -> None:
    hearing.place()
    heard = time.monotonic()
    while not announcements.finished():
        heard = time.monotonic() if hearing.hear(READ_WAIT) else heard
        if time.monotonic() - heard > STALL:
            message = f"topic {announcements.topic} gives no answer"
            raise Unavailable("kafka.unavailable", message, "check that the broker runs")


class Follow:
    """The loop. `turn` is one step of it; a system fault opens the circuit and is never raised further."""

    def __init__(self, hearing: Hearing, announcements: Announcements) -> None:
        self._hearing = hearing
        self._announcements = announcements
        self._circuit = Circuit()

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.turn()

    def turn(self) -> None:
        if not self._circuit.admits(time.monotonic()):
            self._announcements.idle(READ_WAIT / 2)
            return
        try:
            self._work()
            self._healthy()
        except (Unavailable, EnvironmentFault) as fault:
            self._pause(fault)

    def _work(self) -> None:
        if self._announcements.placed:
            self._hearing.hear(READ_WAIT)
        elif self._announcements.assigned:
            self._hearing.place()
        else:
            self._announcements.idle(READ_WAIT / 2)  # no partition is ours

    def _healthy(self) -> None:
        if self._circuit.state != "closed":
            log.info("goes on", failures=self._circuit.failures)
            self._circuit.succeeded()
            self._hearing.meter.circuit(self._circuit)

    def _pause(self, fault: Unavailable | EnvironmentFault) -> None:
        if self._circuit.fault is None:  # once an outage
            tell_person = log.error if isinstance(fault, EnvironmentFault) else log.warning
            tell_person("paused", code=fault.code, fault=fault.message, next_step=fault.next_step)
        self._circuit.failed(fault, time.monotonic(), random.random())  # noqa: S311
        self._announcements.unplace()
        self._hearing.meter.circuit(self._circuit)


def run(folder: Folder, kafka: str, prefix: str = "") -> int:
    """Follow until SIGTERM or SIGINT; the exit code."""
    stop = stop_signals.on_signals()
    announcements = Announcements(kafka, prefix, f"{prefix}{GROUP}")
    meter = Meter()
    announced = Announced("witness", meter, producer(kafka), f"{prefix}workers")
    log.info("following", since=datetime.now(UTC).isoformat())
    try:
        with Ledger(folder) as ledger:
            hearing = Hearing(folder, ledger, announcements, Publisher(kafka, prefix), meter)
            Follow(hearing, announcements).run(stop)
    finally:
        announcements.close()
        announced.close()
    return 0
