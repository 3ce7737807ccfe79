"""The platform's processes as an experiment runs them: started on cores, asked over /status, always stopped.

Place (bed.py) --run, worker, adapters--> Running --status--> idle
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from stack import layout, lifecycle
from stack.service import HOST
from streams.systems import ADAPTED
from streams.trust import trusted
from tests.bench.bed import Failed, Place, wait

START_WITHIN = 60.0
STOP_WITHIN = 30.0
DRAIN_WITHIN = 900.0


class Running:
    """One process of the platform, started by the bench."""

    def __init__(self, name: str, child: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.name = name
        self.child = child
        self.url = url
        self.log = log

    @property
    def pid(self) -> int:
        return self.child.pid

    def alive(self) -> bool:
        """Whether it still runs."""
        return self.child.poll() is None

    def status(self) -> Any:
        """Its /status; None while it does not answer."""
        try:
            answer = httpx.get(f"{self.url}/status", timeout=5, verify=trusted())
        except httpx.HTTPError:
            if not self.alive():
                raise Failed(f"{self.name} has ended:\n{lifecycle.tail(self.log)}") from None
            return None
        return answer.json() if answer.status_code == 200 else None

    @contextmanager
    def scraped(self, every_s: float) -> Iterator[None]:
        """Its metrics are asked for meanwhile, as a Prometheus does."""
        done = threading.Event()

        def scrape() -> None:
            with httpx.Client(timeout=5, verify=trusted()) as client:
                while not done.wait(every_s):
                    client.get(f"{self.url}/metrics").raise_for_status()

        with ThreadPoolExecutor(1) as pool:
            scraping = pool.submit(scrape)
            try:
                yield
            finally:
                done.set()
            scraping.result()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL when it does not end in time."""
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def pids(place: Place, running: Sequence[Running]) -> dict[str, int]:
    """Everything the path runs through: the services, and these processes of the platform."""
    known = {service: place.bed.pid(service) for service in ("postgres", "kafka", "connect")}
    return known | {process.name: process.pid for process in running}


@contextmanager
def run(
    place: Place, name: str, arguments: Sequence[str], *, core: int | None = None, port: int = 0
) -> Iterator[Running]:
    """`python <arguments>` until the block ends; on one core if asked for."""
    pinned = ["taskset", "-c", str(core)] if core is not None else []
    log = place.folder / f"{name}.log"
    with log.open("ab") as output:
        child = subprocess.Popen(
            [*pinned, sys.executable, *arguments],
            env=place.variables(CONCORD_WEB_PORT=str(port)),
            cwd=layout.PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    running = Running(name, child, f"http://{HOST}:{port}", log)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def launched(
    place: Place, variant: str = "transactional", *, core: int | None = None, profile: str = ""
) -> Iterator[Running]:
    """A worker process that has just been started."""
    port = free_port()
    arguments = ["-m", "tests.bench.worker", "--data-dir", str(place.data), "--variant", variant]
    arguments += ["--profile", profile] if profile else []
    with run(place, "worker", arguments, core=core, port=port) as running:
        yield running


@contextmanager
def worker(
    place: Place, variant: str = "transactional", *, core: int | None = None, profile: str = ""
) -> Iterator[Running]:
    """A worker process with every partition open."""
    with launched(place, variant, core=core, profile=profile) as running:
        until_open(place, running)
        yield running


def until_open(place: Place, worker: Running, within: float = START_WITHIN) -> None:
    """Wait until the worker has every partition."""
    wait(lambda: opened(worker, place.settings.partitions), "the worker has its partitions", within)


def opened(worker: Running, partitions: int) -> bool:
    """Whether the worker has opened them all."""
    status = worker.status()
    return status is not None and len(status["partitions"]) == partitions


def idle(worker: Running) -> bool:
    """Whether all input is worked and committed, and nothing waits for a decision."""
    status = worker.status()
    return (
        status is not None
        and bool(status["inputs"])
        and all(i["lag"] == 0 and i["end"] is not None for i in status["inputs"])
        and all(p["dirty"] == 0 for p in status["partitions"])
    )


def drained(worker: Running, within: float = DRAIN_WITHIN) -> None:
    """Wait until the worker has nothing left to do."""
    wait(lambda: idle(worker), "the worker has worked everything", within, worker.alive)


@contextmanager
def adapters(place: Place) -> Iterator[list[Running]]:
    """The three adapters."""
    with ExitStack() as running:
        yield [
            running.enter_context(
                run(place, f"adapter-{s}", ["-m", "streams.cli", "adapter", s, "--no-supervised"])
            )
            for s in ADAPTED
        ]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as asked:
        asked.bind((HOST, 0))
        return int(asked.getsockname()[1])
