"""Experiment c: how long until the last of many changed rows is in Kafka, in the views, and in three systems.

Three phases on the same volume: capture alone, then the worker too, then the adapters too. What a phase adds to
capture alone is what the platform costs; CPU seconds by process say where it goes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from connectors.credentialing.load import load_generated
from streams.operate import reading
from streams.systems import ADAPTED
from tests.bench import arrivals, bed, load, processes
from tests.bench.bed import Bed, Failed, Place
from tests.bench.machine import Sample, Sampler
from tests.bench.processes import Running
from tests.bench.report import Folder, Result
from tests.bench.writing import Bulk

NAME = "c"
WITHIN = 600.0
CAPTURE, WORKER, ADAPTERS = "capture alone", "with worker", "with adapters"

METHOD = """\
Databases and topics of its own, the generator's providers, everything on the same cores, nothing pinned. A phase
writes transactions of three rows (as in b, the provider's first name each time, so that three views change) through
four connections, 25 transactions a message, each committed by itself without waiting for the disk. Time runs from
the first statement. `capture alone`: until cdc.credentialing holds every row; `with worker`: until the last view is
in the sinks (broker's clock); `with adapters`: until the last view is applied in three databases
(concord_applied.applied_at). What a phase leaves is worked off before the next one. CPU is read from /proc."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    providers: int
    rows: int
    rounds: int


FULL = Size(providers=10_000, rows=99_999, rounds=2)  # whole transactions of three
QUICK = Size(providers=2_000, rows=12_000, rounds=1)


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: seconds from the first statement; 0 where it was not waited for."""

    phase: str
    round: int
    rows: int
    written_s: float
    captured_s: float
    viewed_s: float
    applied_s: float
    views: int
    not_applied: int


@dataclass(frozen=True, slots=True)
class Cpu:
    """What one process used in one phase."""

    phase: str
    round: int
    process: str
    cpu_s_per_1000_rows: float
    peak_rss_mb: float


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    size = QUICK if quick else FULL
    with bed.place(bench, NAME, folder.path, databases=True) as place:
        path = Path(place, size, folder)
        path.prepare()
        for number in range(1, size.rounds + 1):
            path.capture_alone(number)
            path.with_worker(number)
            path.with_adapters(number)
    folder.csv("c-phases", path.phases)
    folder.csv("c-cpu", path.cpu)
    folder.csv("c-processes", path.samples)
    return report(path.phases, path.cpu)


class Path:
    """The three phases."""

    def __init__(self, place: Place, size: Size, folder: Folder) -> None:
        self.place = place
        self.size = size
        self.folder = folder
        self.phases: list[Phase] = []
        self.cpu: list[Cpu] = []
        self.samples: list[Sample] = []
        self.changes = load.Changes(load.population(size.providers).providers, everywhere=True)

    def prepare(self) -> None:
        """The providers are in the database, the snapshot is decided and applied."""
        place = self.place
        arrivals.stamp_on_arrival(place.settings, place.admin)
        load_generated(place.dsn(load.SYSTEM), self.size.providers, load.SEED)
        place.bed.say(f"{NAME}  {self.size.providers:,} providers in the database, now the snapshot")
        start = arrivals.mark(place.settings)
        with processes.worker(place) as worker, processes.adapters(place) as adapters:
            bed.capture(place)
            processes.drained(worker)
            all_applied(place, arrivals.since(place.settings, start), adapters)

    def capture_alone(self, number: int) -> None:
        """Debezium only: what nothing downstream of it can beat."""
        with self._measured(CAPTURE, number, []) as phase:
            phase.write()
            phase.until_captured()
        with processes.worker(self.place) as worker:
            processes.drained(worker)

    def with_worker(self, number: int) -> None:
        """Until the last view."""
        with (
            processes.worker(self.place) as worker,
            self._measured(WORKER, number, [worker]) as phase,
        ):
            phase.write()
            phase.until_captured()
            phase.until_viewed(worker)

    def with_adapters(self, number: int) -> None:
        """Until the last view is applied."""
        start = dict.fromkeys(arrivals.mark(self.place.settings), 0)
        with processes.worker(self.place) as worker, processes.adapters(self.place) as adapters:
            all_applied(self.place, arrivals.since(self.place.settings, start), adapters)
            with self._measured(ADAPTERS, number, [worker, *adapters]) as phase:
                phase.write()
                phase.until_captured()
                phase.until_viewed(worker)
                phase.until_applied(adapters)

    @contextmanager
    def _measured(self, name: str, number: int, running: Sequence[Running]) -> Iterator[Measured]:
        place = self.place
        known = processes.pids(place, running)
        bulk = Bulk(place.dsn(load.SYSTEM), list(self.changes.take(self.size.rows // load.ROWS)))
        with Sampler(known) as sampler:
            phase = Measured(place, name, number, self.size.rows, bulk)
            yield phase
        self.samples += sampler.samples
        self.phases.append(phase.result())
        for process in known:
            used = sampler.cpu(process, phase.begun, phase.ended) / self.size.rows * 1000
            self.cpu.append(
                Cpu(name, number, process, round(used, 4), round(sampler.peak_rss_mb(process), 1))
            )
        place.bed.say(f"{NAME}  {name:14} {number}  {phase.ended - phase.begun:6.1f} s")


class Measured:
    """One phase while it runs; times are seconds since the epoch."""

    def __init__(self, place: Place, name: str, number: int, rows: int, bulk: Bulk) -> None:
        self.place = place
        self.name = name
        self.number = number
        self.rows = rows
        self._bulk = bulk
        self._before = rows_captured(place)
        self._mark = arrivals.mark(place.settings)
        self._views: list[arrivals.Arrival] = []
        self.begun = self.written = self.captured = self.viewed = self.applied = 0.0
        self._not_applied = 0

    @property
    def ended(self) -> float:
        """When the last thing waited for came to be."""
        return max(self.written, self.captured, self.viewed, self.applied)

    def write(self) -> None:
        """All transactions; returns when they are committed."""
        self.begun, self.written = self._bulk.run()

    def until_captured(self) -> None:
        """Every row is in Kafka: Debezium writes without transactions, so each offset is a row."""
        wanted = self._before + self.rows
        bed.wait(lambda: rows_captured(self.place) >= wanted, "Debezium has captured every row", WITHIN)
        self.captured = time.time()

    def until_viewed(self, worker: Running) -> None:
        """The last view of these rows is readable."""
        processes.drained(worker)
        self._views = arrivals.since(self.place.settings, self._mark)
        self.viewed = self._views[-1].at_ms / 1000

    def until_applied(self, adapters: Sequence[Running]) -> None:
        """Every view is applied."""
        self.applied, self._not_applied = all_applied(self.place, self._views, adapters)

    def result(self) -> Phase:
        """What was found, in seconds from the first statement."""

        def since(moment: float) -> float:
            return round(moment - self.begun, 3) if moment else 0.0

        return Phase(
            self.name,
            self.number,
            self.rows,
            since(self.written),
            since(self.captured),
            since(self.viewed),
            since(self.applied),
            len(self._views),
            self._not_applied,
        )


def rows_captured(place: Place) -> int:
    """Records in cdc.credentialing."""
    topic = place.settings.topic(f"cdc.{load.SYSTEM}")
    places = [(topic, number) for number in range(place.settings.partitions)]
    return sum(end for _, end in reading.ends(place.settings.kafka, places).values())


def all_applied(
    place: Place, views: Sequence[arrivals.Arrival], adapters: Sequence[Running]
) -> tuple[float, int]:
    """(when the last view was applied, how many never were): asked of the three databases."""
    last, missing = 0.0, 0
    with ExitStack() as connections:
        for system in ADAPTED:
            asked = arrivals.Applied(place.dsn(system), system, views)
            connections.callback(asked.close)

            def settled(asked: arrivals.Applied = asked) -> bool:
                return asked.missing() == 0 or asked.stalled()

            bed.wait(
                settled, f"{system} has applied its views", WITHIN, lambda: all(a.alive() for a in adapters)
            )
            last, missing = max(last, asked.last()), missing + asked.missing()
    return last, missing


def report(phases: Sequence[Phase], cpu: Sequence[Cpu]) -> Result:
    """Times, ratios, CPU."""
    result = Result(NAME, METHOD)
    chosen = {name: [p for p in phases if p.phase == name] for name in (CAPTURE, WORKER, ADAPTERS)}
    rows = phases[0].rows
    alone = result.add(f"capture alone, {rows:,} rows", [p.captured_s for p in chosen[CAPTURE]], "s")
    viewed = result.add("last view in the sinks", [p.viewed_s for p in chosen[WORKER]], "s")
    applied = result.add("last view applied in three systems", [p.applied_s for p in chosen[ADAPTERS]], "s")
    result.add("views over capture alone", viewed / alone, "x", most=1.8, goal=1.2)
    result.add("applied over capture alone", applied / alone, "x", most=4, goal=2)
    result.add("writers were done after", [p.written_s for p in chosen[CAPTURE]], "s")
    result.add(
        "views a transaction (3 is none too many)",
        [p.views / (p.rows / load.ROWS) for p in chosen[WORKER]],
        "",
    )
    for process in dict.fromkeys(c.process for c in cpu if c.phase == ADAPTERS):
        used = [c.cpu_s_per_1000_rows for c in cpu if c.phase == ADAPTERS and c.process == process]
        result.add(f"CPU of {process} per 1,000 rows", used, "s")
    if lost := sum(p.not_applied for p in phases):
        result.notes.append(f"{lost} views were not applied: see the adapters' logs and receipts")
    if not all(p.views for p in chosen[WORKER]):
        raise Failed("no view arrived")
    return result
