"""Brings services up and down: in parallel, in the order their needs give, watching that each process lives.

What one call started, it stops again when it fails or is interrupted; what ran before is left alone.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from stack import ports, process
from stack.connect import Connect
from stack.kafka import Kafka
from stack.layout import Layout
from stack.postgres import Postgres
from stack.process import Process
from stack.progress import Progress
from stack.registry import Registry
from stack.service import HOST, Service, Site
from stack.state import State
from streams.errors import ConcordError, EnvironmentFault, InvalidInput, Unavailable

SERVICES: tuple[Service, ...] = (Postgres(), Kafka(), Registry(), Connect())
READY_WITHIN = 300.0  # seconds; a busy two-core machine needs most of a minute
STOP_WITHIN = 30.0
STARTS = 5


class Interrupted(Exception):
    """Another service failed, or somebody pressed Ctrl-C: this start is given up."""


def select(names: Iterable[str]) -> tuple[Service, ...]:
    known = {service.name: service for service in SERVICES}
    for name in names:
        if name not in known:
            raise InvalidInput(
                "stack.service_unknown", f"no service is called {name}", f"one of: {', '.join(known)}"
            )
    return tuple(known[name] for name in names)


def up(site: Site, services: Sequence[Service], progress: Progress) -> None:
    """Idempotent: returns when every one of `services` is ready."""
    _Start(site, services, progress).run()


def down(layout: Layout, services: Sequence[Service], progress: Progress) -> None:
    """The reverse order of needs: Connect before Kafka, the registry before PostgreSQL."""
    dependants = [service for service in services if service.needs]
    for wave in (dependants, [service for service in services if not service.needs]):
        with ThreadPoolExecutor(max_workers=len(SERVICES)) as pool:
            list(pool.map(lambda service: _stop(layout, service, progress), wave))


def ensure_unmoved(layout: Layout, before: State | None, after: Mapping[str, int]) -> None:
    """A service that runs keeps its port: CONCORD_PORT_* cannot move it under its clients."""
    for service in SERVICES if before else ():
        moved = before is not None and before.ports[service.name] != after[service.name]
        if moved and running(layout, service):
            raise EnvironmentFault(
                "stack.port_moved",
                f"{service.name} runs on another port than CONCORD_PORT_{service.name.upper()} asks for",
                "python -m stack down, then up again",
            )


def delete(layout: Layout) -> None:
    """All that a stack remembers; only what it made itself, CONCORD_STATE may point anywhere."""
    for folder in ("data", "log", "run"):
        shutil.rmtree(layout.state / folder, ignore_errors=True)
    for file in ("state.json", "secrets.json", ".lock"):
        (layout.state / file).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        layout.state.rmdir()


def running(layout: Layout, service: Service) -> Process | None:
    return process.recall(layout.run(service.name))


class _Start:
    """One call of `up`: a thread a service, each waiting for what it needs."""

    def __init__(self, site: Site, services: Sequence[Service], progress: Progress) -> None:
        self.site, self.services, self.progress = site, services, progress
        self.given_up = threading.Event()
        self.done = {service.name: threading.Event() for service in services}
        self.started: list[Service] = []
        self.began = time.monotonic()

    def run(self) -> None:
        self._check_ports()
        try:
            with ThreadPoolExecutor(max_workers=len(self.services)) as pool, self._giving_up_on_error():
                futures = [pool.submit(self._bring_up, service) for service in self.services]
                self._await(futures)
        except BaseException:
            with _deaf_to_signals():
                down(self.site.layout, self.started, self.progress)
            raise

    def _check_ports(self) -> None:
        """Before anything starts: a taken port is told at once."""
        for service in self.services:
            if running(self.site.layout, service) is None:
                for name in service.needs_ports:
                    ports.ensure_free(name, self.site.state.ports[name])

    def _await(self, futures: list[Future[None]]) -> None:
        finished, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for error in filter(None, (future.exception() for future in finished)):
            if not isinstance(error, Interrupted):
                raise error

    @contextmanager
    def _giving_up_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.given_up.set()
            raise

    def _bring_up(self, service: Service) -> None:
        try:
            self._wait_for_needs(service)
            self._start_until_ready(service)
            service.settle(self.site)
        except BaseException:
            self.given_up.set()
            raise
        self.done[service.name].set()

    def _wait_for_needs(self, service: Service) -> None:
        for need in service.needs:
            if need in self.done:
                self._watch(self.done[need].is_set)
            elif running(self.site.layout, *select([need])) is None:
                raise Unavailable(
                    "stack.need_down",
                    f"{service.name} needs {need}, which does not run",
                    f"python -m stack start {need} {service.name}",
                )

    def _start_until_ready(self, service: Service) -> None:
        alive = running(self.site.layout, service)
        if alive and service.ready(self.site.state):
            self.progress.say(f"{service.name:9} runs already on {_address(self.site.state, service)}")
            return
        for attempt in range(1, STARTS + 1):
            if self._becomes_ready(service, alive or self._start(service), last=attempt == STARTS):
                break
            alive = None
        seconds = time.monotonic() - self.began
        self.progress.say(
            f"{service.name:9} ready on {_address(self.site.state, service)} after {seconds:.1f} s"
        )

    def _start(self, service: Service) -> Process:
        layout = self.site.layout
        service.prepare(self.site)
        layout.data(service.name).mkdir(exist_ok=True)
        self.started.append(service)
        started = process.start(
            service.command(self.site), layout.log(service.name), layout.data(service.name)
        )
        process.remember(started, layout.run(service.name))
        return started

    def _becomes_ready(self, service: Service, started: Process, last: bool) -> bool:
        """False when it died of something that passes; raises when it died of anything else."""
        deadline = time.monotonic() + READY_WITHIN
        while not service.ready(self.site.state):
            self._check_wanted()
            if not started.alive():
                return self._died(service, last)
            if time.monotonic() > deadline:
                raise self._late(service, started)
            time.sleep(process.POLL)
        return True

    def _died(self, service: Service, last: bool) -> bool:
        log = self.site.layout.log(service.name)
        ending = tail(log)
        if service.passing_complaint and service.passing_complaint in ending and not last:
            self.given_up.wait(1)
            return False
        raise Unavailable(
            "stack.service_died", f"{service.name} ended while starting:\n{ending}", f"read {log}"
        )

    def _late(self, service: Service, started: Process) -> ConcordError:
        log = self.site.layout.log(service.name)
        message = f"{service.name} (pid {started.pid}) lives but does not answer after {READY_WITHIN:.0f} s"
        return Unavailable("stack.service_late", f"{message}:\n{tail(log)}", f"read {log}, then try again")

    def _watch(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._check_wanted()
            time.sleep(process.POLL)

    def _check_wanted(self) -> None:
        if self.given_up.is_set():
            raise Interrupted


def tail(log: Path, lines: int = 20) -> str:
    try:
        text = log.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:])


def _stop(layout: Layout, service: Service, progress: Progress) -> None:
    record = layout.run(service.name)
    found = process.recall(record)
    if found:
        gently = process.stop(found, service.stop_signal, STOP_WITHIN)
        progress.say(
            f"{service.name:9} {'stopped' if gently else f'killed: did not end within {STOP_WITHIN:.0f} s'}"
        )
    record.unlink(missing_ok=True)


def _address(state: State, service: Service) -> str:
    return f"{HOST}:{state.ports[service.name]}"


@contextmanager
def _deaf_to_signals() -> Iterator[None]:
    """A second Ctrl-C must not leave half of the services running."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
