"""Experiment s: how a platform grows. Initial load, restart, restore, failover, verification and a day's churn at each
of several sizes; `make bench-scale`.

    generator --> databases --Debezium--> Kafka --worker--> sinks --adapters--> three systems, timed step by step

Each size has databases and topics of its own on the same services. Never part of `make bench`: the largest size takes
hours of a small machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from connectors import checksum
from connectors.credentialing.load import load_generated
from connectors.source import Names
from stack.layout import PROJECT
from streams.operate import hops, reading
from streams.systems import ADAPTED
from tests.bench import bed, load, processes
from tests.bench.bed import Bed, Failed, Place
from tests.bench.machine import Sampler
from tests.bench.processes import Running
from tests.bench.report import Folder, Result
from tests.bench.restore import snapshot_done
from tests.bench.writing import Bulk

NAME = "s"
WITHIN = 4 * 3_600.0
CHURN = 100
"""One provider in so many changes on a day."""
NEAR = 100
"""Offsets from the end of a topic within which it is worth looking whether a view is left."""
SIZES, QUICK = "10000,100000,1000000", "1000,3000"

METHOD = """\
For each size, databases and topics of its own: the generator's providers (about eleven captured rows each) are in the
credentialing database before its connector starts. Initial load: from the start of capture until every row is in
Kafka, the worker has decided all of it, no view waits for one of the three adapters, and the worker has heard from
all three systems what they hold now. Restart: the worker stops and starts with its store. Restore: it starts with an
empty folder. Failover: two workers, two partitions each, one killed (SIGKILL); until the other has opened all four.
Verification: `concord verify source` of every table of credentialing, from start to exit. Churn: one provider in a
hundred changes (transactions of three rows), from the first statement until no view waits for an adapter. Memory is
the worker's resident set, most in the step; disk is what lies there after it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step at one size."""

    providers: int
    rows: int
    step: str
    seconds: float
    worker_mb: float = 0.0
    store_mb: float = 0.0
    database_mb: float = 0.0
    kafka_mb: float = 0.0


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment at each size."""
    sizes = [
        int(size) for size in os.environ.get("CONCORD_BENCH_SIZES", QUICK if quick else SIZES).split(",")
    ]
    steps: list[Step] = []
    for size in sizes:
        with bed.place(bench, f"{NAME}{size}", folder.path, databases=True) as place:
            scale = Scale(place, size, steps, folder)
            scale.load()
            scale.restart()
            scale.restore()
            scale.failover()
            scale.verify()
            scale.churn()
    return report(steps)


class Scale:
    """The steps at one size."""

    def __init__(self, place: Place, providers: int, steps: list[Step], folder: Folder) -> None:
        self.place = place
        self.providers = providers
        self.steps = steps
        self.folder = folder
        self.rows = 0

    def load(self) -> None:
        """Everything for the first time."""
        place = self.place
        loaded = load_generated(place.dsn(load.SYSTEM), self.providers, load.SEED)
        self.rows = loaded.rows.total()
        place.bed.say(f"{NAME}  {self.providers:,} providers, {self.rows:,} rows in the database")
        with processes.worker(place) as worker, Sampler({"worker": worker.pid}) as sampler:
            begun = time.monotonic()
            bed.capture(place)
            self._note("every row is in Kafka", begun)
            bed.wait(lambda: snapshot_done(worker), "the snapshot is decided", WITHIN, worker.alive)
            processes.drained(worker, WITHIN)
            self._note("every provider is decided", begun, sampler)
            with processes.adapters(place) as adapters:
                self._applied(adapters)
                self._note("every view is applied (adapters started after the decisions)", begun, sampler)
                processes.drained(worker, WITHIN)
            self._note("every system's own rows of it are heard", begun, sampler)

    def restart(self) -> None:
        """With the store it left."""
        with self._worker("restart with its store"):
            pass

    def restore(self) -> None:
        """With nothing but the topic."""
        shutil.rmtree(self.place.data)
        with self._worker("restore from the topic"):
            pass

    def failover(self) -> None:
        """One of two dies; each has followed what the other decides in no store of its own."""
        partitions = self.place.settings.partitions
        with self._started("worker") as one, self._started("worker-2") as two:

            def shared() -> bool:
                return all(
                    len((w.status() or {"partitions": ()})["partitions"]) == partitions // 2
                    for w in (one, two)
                )

            bed.wait(shared, "two workers share the partitions", WITHIN, lambda: one.alive() and two.alive())
            begun = time.monotonic()
            with Sampler({"worker": two.pid}) as sampler:
                os.kill(one.pid, signal.SIGKILL)
                processes.until_open(self.place, two, WITHIN)
            self._note("failover to the second of two workers", begun, sampler)

    def verify(self) -> None:
        """Every table of the master."""
        with processes.worker(self.place) as worker, Sampler({"worker": worker.pid}) as sampler:
            begun = time.monotonic()
            command = [sys.executable, "-m", "streams.cli", "verify", "source", load.SYSTEM, "--json"]
            done = subprocess.run(
                command, env=self.place.variables(), cwd=PROJECT, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise Failed(
                    f"verify ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-500:]}"
                )
            self._note("verification of every table", begun, sampler)

    def churn(self) -> None:
        """A day's changes."""
        count = max(1, self.providers // CHURN)
        some = [p for n, (p, _) in enumerate(load.generated(self.providers)) if n % CHURN == 0]
        transactions = list(load.Changes(some, everywhere=True).take(count))
        with (
            processes.worker(self.place) as worker,
            processes.adapters(self.place) as adapters,
            Sampler({"worker": worker.pid}) as sampler,
        ):
            begun = time.monotonic()
            Bulk(self.place.dsn(load.SYSTEM), transactions).run()
            with psycopg.connect(self.place.dsn(load.SYSTEM), autocommit=True) as connection:
                end = checksum.log_end(connection)
                bed.wait(
                    lambda: self._captured(connection, end), "the changes are captured", WITHIN, worker.alive
                )
            processes.drained(worker, WITHIN)
            self._applied(adapters)
            self._note(f"{count:,} providers change", begun, sampler)

    def _captured(self, connection: psycopg.Connection, end: int) -> bool:
        """Whether the connector has confirmed the log up to there."""
        query = (
            "select confirmed_flush_lsn - '0/0'::pg_lsn >= %s from pg_replication_slots where slot_name = %s"
        )
        slot = Names(load.SYSTEM, self.place.settings.topic_prefix).slot_name
        return connection.execute(query, [end, slot]).fetchone() == (True,)

    @contextmanager
    def _worker(self, step: str) -> Iterator[Running]:
        begun = time.monotonic()
        with processes.launched(self.place) as worker, Sampler({"worker": worker.pid}) as sampler:
            processes.until_open(self.place, worker, WITHIN)
            self._note(step, begun, sampler)
            yield worker

    @contextmanager
    def _started(self, name: str) -> Iterator[Running]:
        arguments = ["-m", "tests.bench.worker", "--data-dir", str(self.place.folder / name)]
        with processes.run(self.place, name, arguments, port=processes.free_port()) as running:
            yield running

    def _applied(self, adapters: Sequence[Running]) -> None:
        """By the offsets that the adapters stored themselves, no view waits any more."""
        settings = self.place.settings
        for system in ADAPTED:
            ends = {
                place: end
                for place, (_, end) in reading.ends(
                    settings.kafka, hops.sink_places(settings, system)
                ).items()
            }

            def done(system: str = system, ends: dict[reading.Place, int] = ends) -> bool:
                stored = hops.stored_offsets(settings, system)
                left = {
                    place: stored.get(place, 0) for place, end in ends.items() if stored.get(place, 0) < end
                }
                if any(ends[place] - at > NEAR for place, at in left.items()):
                    return False
                # The markers of transactions take offsets, and nobody stores them.
                return not any(reading.first_after(settings.kafka, left).values())

            bed.wait(
                done, f"{system} has applied its views", WITHIN, lambda: all(a.alive() for a in adapters)
            )

    def _note(self, step: str, begun: float, sampler: Sampler | None = None) -> None:
        seconds = time.monotonic() - begun
        found = Step(
            self.providers,
            self.rows,
            step,
            round(seconds, 2),
            round(sampler.peak_rss_mb("worker"), 1) if sampler else 0.0,
            _size_mb(self.place.data),
            self._database_mb(),
            _size_mb(self.place.bed.layout.data("kafka")),
        )
        self.steps.append(found)
        self.folder.csv("s-steps", self.steps)  # hours may be lost with the next step
        self.place.bed.say(f"{NAME}  {self.providers:>9,}  {seconds:8.1f} s  {step}")

    def _database_mb(self) -> float:
        with psycopg.connect(self.place.dsn(load.SYSTEM), autocommit=True) as connection:
            row = connection.execute("select pg_database_size(current_database())").fetchone()
        return round(row[0] / 1e6, 1) if row else 0.0


def _size_mb(folder: Path) -> float:
    """What lies in a folder; files may go while it is counted."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:
            continue
    return round(total / 1e6, 1)


def report(steps: Sequence[Step]) -> Result:
    """Seconds and memory by size, and how each grew from the size before."""
    result = Result(NAME, METHOD)
    for step in steps:
        result.add(f"{step.providers:,}: {step.step}", step.seconds, "s")
    for size in dict.fromkeys(step.providers for step in steps):
        own = [step for step in steps if step.providers == size]
        result.add(f"{size:,}: worker's memory, most", max(s.worker_mb for s in own), "MB", most=600)
        result.add(f"{size:,}: worker's store", max(s.store_mb for s in own), "MB")
        result.add(f"{size:,}: credentialing database", max(s.database_mb for s in own), "MB")
    result.notes.append("disk of Kafka holds what earlier sizes left until their topics are deleted")
    return result
