"""One adapter process: reads a system's views, applies them, until it is told to stop.

    intake -> deliver -> target          every piece is built here and nowhere else

`concord adapter <system>`. While the target is down the process stays in its group and
reads nothing; when it is back, reading starts where the target says. Stops within the batch in work.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from connectors import stop as stop_signals
from connectors.announce import Announced
from connectors.credentialing import adapter as credentialing
from connectors.deliver import Delivery, Report
from connectors.described import DESCRIBED
from connectors.intake import BATCH, Chunk, Intake
from connectors.metered import Meter
from connectors.pause import TOPIC, KafkaPauses, Pause, Pauses
from connectors.receipt import KafkaReceipts, Receipts, producer
from connectors.relational import RelationalTarget
from connectors.rest.adapter import RestTarget
from connectors.rest.asking import AskingTarget
from connectors.rest.offsets import CONFIRMED, KafkaOffsets
from connectors.retrying import Circuit, Retrying
from connectors.sink import KINDS, Partition, Target
from connectors.standstill import Standstill, concerns_somebody
from connectors.stewardship import adapter as stewardship
from connectors.stop import Stopped
from connectors.wire import Decoder, registry_schemas
from schemas import registry as registry_client
from schemas import topic_contract
from schemas.topic_contract import Freshness
from streams.errors import EnvironmentFault, InvalidInput, Unavailable
from streams.settings import Api
from streams.systems import WORK

TARGETS: Mapping[str, Callable[[str], Target]] = {
    **{name: partial(RelationalTarget, system) for name, system in DESCRIBED.items()},
    "stewardship": stewardship.target,
}
REQUESTS: Mapping[str, Callable[[str, Receipts], Target]] = {"credentialing": credentialing.target}
"""Those that are asked for single changes, and answer with receipts."""
READ_WAIT = 0.2  # seconds; bounds how late a stop is noticed
RELEASE_EVERY = 5.0
MOVED_EVERY = 30.0
LAG_EVERY = 0.5

log = structlog.get_logger("concord.adapter")


@dataclass(slots=True)
class Timer:
    """Due at most once per period."""

    period: float
    last: float = field(default_factory=time.monotonic)

    def due(self, now: float) -> bool:
        if now - self.last < self.period:
            return False
        self.last = now
        return True


class Adapter:
    """The loop. `turn` is one step of it; a system fault opens the circuit and is never raised further."""

    def __init__(
        self,
        intake: Intake,
        delivery: Delivery,
        target: Target,
        meter: Meter,
        standstill: Standstill,
        pauses: Pauses,
    ) -> None:
        self._intake = intake
        self._delivery = delivery
        self._target = target
        self._meter = meter
        self._standstill = standstill
        self._pauses = pauses
        self._paused: Pause | None = None
        self._owing: dict[Partition, int] = {}
        """How far a chunk reached that failed: only once it has passed does the target work again."""
        self._circuit = Circuit()
        self._told: set[str] = set()
        self._release = Timer(RELEASE_EVERY)
        self._moved = Timer(MOVED_EVERY)
        self._lag = Timer(LAG_EVERY)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self.turn()

    def turn(self) -> None:
        if not self._circuit.admits(time.monotonic()):
            self._intake.idle(READ_WAIT / 2)
            return
        try:
            self._work()
            if not self._owing.keys() & self._intake.positions().keys():
                self._healthy()
        except Stopped:
            self._intake.unplace()
        except (Unavailable, EnvironmentFault) as fault:
            self._pause(fault)

    def _work(self) -> None:
        if self._left_alone():
            return
        if not self._intake.placed:
            self._intake.place(self._target)
        if not self._intake.placed:
            self._intake.idle(READ_WAIT / 2)  # no partition is ours
            return
        chunk = self._intake.read(READ_WAIT)
        if len(chunk):
            self._deliver(chunk)
        self._seldom(time.monotonic())

    def _left_alone(self) -> bool:
        """An operator's pause is neither a fault nor a finding: the place is kept, and the membership of the group."""
        before, self._paused = self._paused, self._pauses.pause()
        self._meter.pause(self._paused)
        if self._paused != before:
            log.info(
                "adapter.left_alone" if self._paused else "adapter.goes_on", word=str(self._paused or before)
            )
        if self._paused is not None:
            self._intake.idle(READ_WAIT / 2)
        return self._paused is not None

    def _deliver(self, chunk: Chunk) -> None:
        self._owing |= {p: max(offset, self._owing.get(p, 0)) for p, offset in chunk.offsets.items()}
        self._meter.count(self._delivery.deliver(chunk))
        self._owing = {p: offset for p, offset in self._owing.items() if chunk.offsets.get(p, 0) < offset}
        self._intake.commit(chunk.offsets)

    def _seldom(self, now: float) -> None:
        if self._lag.due(now):
            self._meter.lag(self._intake.lag(), self._intake.positions())
        if self._release.due(now):
            self._meter.count(Report(released=self._delivery.release()))
        if self._moved.due(now) and self._intake.moved():
            self._intake.unplace()

    def _healthy(self) -> None:
        self._owing.clear()
        if self._intake.placed:  # who has no partition has not asked the target for anything
            self._standstill.end()
        if self._circuit.state != "closed":
            log.info("target answers again", failures=self._circuit.failures)
            self._circuit.succeeded()
            self._told.clear()
            self._meter.circuit(self._circuit)

    def _pause(self, fault: Unavailable | EnvironmentFault) -> None:
        if fault.code not in self._told:  # once per outage; a fault of the environment needs a person
            self._told.add(fault.code)
            tell = log.error if isinstance(fault, EnvironmentFault) else log.warning
            tell("paused", code=fault.code, fault=fault.message, next_step=fault.next_step)
        self._circuit.failed(fault, time.monotonic(), random.random())  # noqa: S311
        if concerns_somebody(fault, lasts=self._circuit.lasts):
            self._standstill.begin(fault)
        self._intake.unplace()
        self._meter.circuit(self._circuit)


def promised(topics: Iterable[str], prefix: str) -> dict[str, Freshness]:
    """What the contracts of these topics say of freshness."""
    said = {f"{prefix}{contract.topic}": contract.said.freshness for contract in topic_contract.load()}
    return {topic: said[topic] for topic in topics if topic in said}


def run(
    system: str,
    kafka: str,
    registry: str,
    dsn: str = "",
    topic_prefix: str = "",
    group: str | None = None,
    api: Api | None = None,
) -> int:
    """Run the adapter of `system` until SIGTERM or SIGINT; the exit code. `api`: it is behind one."""
    if system not in TARGETS and system not in REQUESTS:
        known = ", ".join((*TARGETS, *REQUESTS))
        raise InvalidInput("adapter.unknown", f"no adapter for system {system!r}", f"use one of: {known}")
    stop = stop_signals.on_signals()
    group = group or f"{topic_prefix}concord-{system}"
    receipts = KafkaReceipts(producer(kafka), f"{topic_prefix}receipt")
    offsets = KafkaOffsets(kafka, f"{group}{CONFIRMED}") if api else None
    if api and offsets:
        behind = AskingTarget if system in REQUESTS else RestTarget
        plain: Target = behind(system, api, receipts, offsets, stop)
    else:
        plain = REQUESTS[system](dsn, receipts) if system in REQUESTS else TARGETS[system](dsn)
    target = Retrying(plain, stop.wait)
    decoder = Decoder(system, registry_schemas(registry_client.connect(registry)))
    topics = [f"{topic_prefix}sink.{system}.{kind}" for kind in {**KINDS, **WORK}[system]]
    meter = Meter(system, promised(topics, topic_prefix))
    intake = Intake(kafka, group, topics, decoder, api.batch if api else BATCH)
    pauses = KafkaPauses(kafka, f"{topic_prefix}{TOPIC}", system)
    announced = Announced(f"adapter/{system}", meter, producer(kafka), f"{topic_prefix}workers")
    try:
        delivery, standstill = Delivery(system, target, receipts), Standstill(system, receipts)
        Adapter(intake, delivery, target, meter, standstill, pauses).run(stop)
    finally:
        intake.close()
        target.close()
        pauses.close()
        if offsets:
            offsets.close()
        announced.close()
    return 0
