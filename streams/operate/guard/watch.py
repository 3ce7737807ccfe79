"""`concord guard`: the process that watches capture, until it is told to stop.

    beaters (a thread a source) --+
    Listener, Around -------------+--> every two seconds: look at every source --Book--> findings, remedies, /metrics

Nothing depends on it: it can be killed and started again at any moment. It remembers in Kafka only.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import structlog

from connectors import stop as stop_signals
from connectors.announce import Announced
from connectors.canary import Canary
from streams.errors import ConcordError
from streams.operate import preparing
from streams.operate.guard import telemetry
from streams.operate.guard.around import Around
from streams.operate.guard.book import Book, Event, Finding
from streams.operate.guard.conditions import judge
from streams.operate.guard.facts import Beats, Facts
from streams.operate.guard.listen import Listener
from streams.operate.guard.look import Look
from streams.operate.guard.publish import Publisher, known
from streams.operate.guard.pulse import Pulse
from streams.operate.guard.remedies import Remedies
from streams.operate.guard.verification import Verification
from streams.settings import Settings, need

log = structlog.get_logger("concord.guard")

BEAT_EVERY = 1.0
LOOK_EVERY = 2.0
EXIT_CRASHED = 71
LOOK_PATIENCE = 5.0


class Guard:
    """The watch over all sources of an installation."""

    def __init__(self, settings: Settings) -> None:
        connect = need(settings.connect, "CONCORD_CONNECT")
        self._settings = settings
        self._sources = preparing.chosen_sources(settings)
        systems = [source.names.system for source in self._sources]
        self._pulses = {system: Pulse() for system in systems}
        self._looks = {s.names.system: Look(s, connect) for s in self._sources}
        self._remedies = {
            s.names.system: Remedies(settings, s, connect) for s in self._sources if settings.guard_acts
        }
        self._epochs = dict.fromkeys(systems, 0)
        self._around = Around(settings, self._pulses)
        self._listener = Listener(settings.kafka, settings.topic_prefix, settings.partitions, self._pulses)
        self._publisher = Publisher(settings)
        self._book = Book(known(settings))
        self._facts: dict[str, Facts] = {}
        self._asked: dict[str, Future[Facts]] = {}
        self._acts: dict[str, int] = {}
        self._verification = Verification() if settings.guard_acts and _can_verify() else None

    def run(self, stop: threading.Event) -> int:
        """Watch until told to stop; the exit code. A part that has died ends the whole: half a guard would lie."""
        announced = Announced("guard", self, self._publisher.producer, self._settings.topic("workers"))
        threads = [threading.Thread(target=t, args=a, daemon=True) for t, a in self._threads(stop)]
        for thread in threads:
            thread.start()
        log.info("guard.watches", sources=list(self._pulses), canaries=sorted(self._settings.canaries))
        try:
            with ThreadPoolExecutor(max_workers=len(self._sources)) as pool:
                while not stop.wait(LOOK_EVERY):
                    if not all(thread.is_alive() for thread in threads):
                        log.critical(
                            "guard.crashed", next_step="its supervisor starts it again; report the traceback"
                        )
                        return EXIT_CRASHED
                    self._turn(pool)
            return 0
        finally:
            stop.set()
            if self._verification is not None:
                self._verification.stop()
            for thread in threads:
                thread.join(5.0)
            announced.close()

    def _threads(self, stop: threading.Event) -> Iterable[tuple[Any, tuple[Any, ...]]]:
        yield self._listener.run, (stop,)
        yield self._around.run, (stop, LOOK_EVERY)
        for system, pulse in self._pulses.items():
            if dsn := self._settings.canaries.get(system):
                yield _beat, (Canary(system, dsn), pulse, stop)

    # ---- one turn ----

    def _turn(self, pool: ThreadPoolExecutor) -> None:
        for identity in self._listener.closed():
            self._book.forget(identity)
        found = self._looked(pool)
        events = [event for facts in found for event in self._judged(facts)]
        events += self._verified()
        self._publisher.tell(events)
        for event in events:
            _say(event)
        for facts in found:
            closed = [
                e.finding.code for e in events if e.state == "closed" and e.finding.system == facts.system
            ]
            self._act(facts, closed)

    def _looked(self, pool: ThreadPoolExecutor) -> list[Facts]:
        """A look at every source; one that hangs doesn't hide the others."""
        for system in self._looks:
            if system not in self._asked:
                self._asked[system] = pool.submit(self._look, system)
        wait(self._asked.values(), LOOK_PATIENCE)
        return [self._answer(system, asked) for system, asked in list(self._asked.items())]

    def _answer(self, system: str, asked: Future[Facts]) -> Facts:
        if asked.done():
            del self._asked[system]
            return asked.result()
        return Facts(system, unreachable=f"no answer within {LOOK_PATIENCE:.0f} s")

    def _look(self, system: str) -> Facts:
        now = time.monotonic()
        beats, heard = self._pulses[system].beats(now), self._listener.heard(system, now)
        facts = self._looks[system].facts(
            now, beats, heard, self._overtaken(system), self._around.idle(system)
        )
        self._facts[system] = facts
        return facts

    def _overtaken(self, system: str) -> Any:
        found, topic = self._around.overtaken, self._settings.topic(f"cdc.{system}")
        return None if found is None else tuple(one for one in found if one.topic == topic)

    def _judged(self, facts: Facts) -> list[Event]:
        system, now = facts.system, time.monotonic()
        raised = facts.epoch > self._epochs[system] > 0
        self._epochs[system] = epoch = max(self._epochs[system], facts.epoch)
        if not epoch:
            return []
        events = self._book.look(system, judge(facts), epoch, facts.lsn, now)
        if facts.connector is not None and facts.connector.snapshot_finished:
            # A new initial snapshot has read every row anew: what was missed before it is not missing any more.
            events += self._book.settle(system, epoch - 1)
        if raised:
            log.info("guard.epoch", system=system, epoch=epoch)
        return events

    def _act(self, facts: Facts, closed: Collection[str]) -> None:
        remedies = self._remedies.get(facts.system)
        if remedies is None:
            return
        codes, now = [found.code for found in self.open(facts.system)], time.monotonic()
        if act := remedies.altered(closed, now) or remedies.act(facts, codes, now):
            self._acts[act] = self._acts.get(act, 0) + 1

    def _verified(self) -> list[Event]:
        """What verification has settled is closed; what may be missing is verified next."""
        if self._verification is None:
            return []
        ended = self._verification.ended()
        events = self._book.close(f.identity for f in ended if self._book.open.get(f.identity) == f)
        if self._verification.consider(self.open(), time.monotonic()):
            self._acts["verify"] = self._acts.get("verify", 0) + 1
        return events

    def open(self, system: str = "") -> list[Finding]:
        """What is open, of one source or of all."""
        return [found for found in self._book.open.values() if system in ("", found.system)]

    # ---- what it answers ----

    def status(self) -> dict[str, Any]:
        """Ages of the canaries, transactions counted, what is open."""
        now, counts = time.monotonic(), self._listener.counts()
        return {
            "sources": {
                system: {
                    **_ages(pulse.beats(now)),
                    "transactions": counts[system],
                    "skew": self._skew(system),
                }
                for system, pulse in self._pulses.items()
            },
            "adapters": dict(self._around.adapters),
            "open": [_told(found) for found in self.open()],
            "acts": dict(self._acts),
        }

    def _skew(self, system: str) -> float | None:
        facts = self._facts.get(system)
        return round(facts.server.skew, 3) if facts is not None and facts.server is not None else None

    def metrics(self) -> bytes:
        """As Prometheus text."""
        return telemetry.render(self.status(), self._facts)


def _can_verify() -> bool:
    return importlib.util.find_spec("streams.operate.verify") is not None


def _beat(canary: Canary, pulse: Pulse, stop: threading.Event) -> None:
    while not stop.wait(BEAT_EVERY):
        try:
            pulse.wrote(canary.beat(), time.monotonic())
        except ConcordError as fault:
            pulse.failed(fault.message)
    canary.close()


def _ages(beats: Beats) -> dict[str, Any]:
    def rounded(found: Any) -> dict[str, float]:
        return {hop: round(seconds, 3) for hop, seconds in found.items()}

    return {"age": rounded(beats.age), "late": rounded(beats.late), "fault": beats.fault}


def _told(found: Finding) -> dict[str, Any]:
    return {
        name: getattr(found, name) for name in ("system", "code", "subject", "severity", "message", "action")
    }


def _say(event: Event) -> None:
    found = event.finding
    tell = log.info if event.state == "closed" else log.error if found.severity == "high" else log.warning
    tell(
        f"guard.{event.state}",
        code=found.code,
        subject=found.subject,
        message=found.message,
        next_step=found.action,
    )


def run(settings: Settings) -> int:
    """Watch until SIGTERM or SIGINT; the exit code."""
    return Guard(settings).run(stop_signals.on_signals())
