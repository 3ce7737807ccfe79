"""Experiment e: a snapshot of many providers, the worker's memory through it, and restoring its store from the topic.

The rows are in the database before the connector starts, so that all of them come as a snapshot.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections import Counter
from dataclasses import dataclass

from connectors.credentialing.load import load_generated
from tests.bench import arrivals, bed, load, processes
from tests.bench.bed import Bed, Place
from tests.bench.machine import Sample, Sampler
from tests.bench.processes import Running
from tests.bench.report import Folder, Result

NAME = "e"
WITHIN = 1_800.0
RESTORES = 3

METHOD = """\
Databases and topics of its own. The generator's providers (about eleven captured rows each) are in the database
before the connector starts; the worker runs. Decisions a provider: views of the directory's topic by provider, and
the worker's own count over all entities. Memory: resident set of the worker, four times a second, through snapshot,
a rest, and restores. Restore: the worker stops, its folder is deleted, it starts; entity records read from the
compacted topic into all partitions' stores / the slowest partition's time (partitions restore at the same time)."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    providers: int
    rest_s: float


FULL = Size(providers=100_000, rest_s=60.0)
QUICK = Size(providers=10_000, rest_s=15.0)


@dataclass(frozen=True, slots=True)
class Restored:
    """One restore of all partitions."""

    number: int
    records: int
    seconds: float
    records_per_s: float
    entities: int
    peak_rss_mb: float


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    with bed.place(bench, NAME, folder.path, databases=True) as place:
        restore = Restore(place, QUICK if quick else FULL, folder)
        restore.snapshot()
        for number in range(1, RESTORES + 1):
            restore.restore(number)
    folder.csv("e-restores", restore.restores)
    folder.csv("e-processes", restore.samples)
    return restore.result


class Restore:
    """The snapshot, then restores of what it left."""

    def __init__(self, place: Place, size: Size, folder: Folder) -> None:
        self.place = place
        self.size = size
        self.folder = folder
        self.samples: list[Sample] = []
        self.restores: list[Restored] = []
        self.entities = 0
        self.result = Result(NAME, METHOD)

    def snapshot(self) -> None:
        """Load, capture, decide; memory meanwhile and at rest."""
        place, say = self.place, self.place.bed.say
        arrivals.stamp_on_arrival(place.settings, place.admin)
        loaded = load_generated(place.dsn(load.SYSTEM), self.size.providers, load.SEED)
        say(
            f"{NAME}  {loaded.bundles:,} providers, {loaded.rows.total():,} rows in the database, now the snapshot"
        )
        start = arrivals.mark(place.settings)
        with processes.worker(place) as worker, Sampler({"worker": worker.pid}) as sampler:
            begun = time.time()
            bed.capture(place)
            captured = time.time()
            bed.wait(lambda: snapshot_done(worker), "the snapshot is decided", WITHIN, worker.alive)
            processes.drained(worker)
            decisions = _decisions(worker)
            rested = rest(sampler, self.size.rest_s, worker)
        self.samples += sampler.samples
        views = arrivals.since(place.settings, start)
        self.entities = loaded.bundles + sum(loaded.rows[table] for table in load.REFERENCES)
        self._report(begun, captured, views, decisions, sampler, rested)

    def _report(
        self,
        begun: float,
        captured: float,
        views: list[arrivals.Arrival],
        decisions: int,
        sampler: Sampler,
        rested: tuple[float, float],
    ) -> None:
        result, count = self.result, self.size.providers
        shown = Counter(v.entity_id for v in views if v.sink == "sink.directory.provider")
        last = views[-1].at_ms / 1000
        result.add(f"snapshot of {count:,} providers is in Kafka after", captured - begun, "s")
        result.add("its last view is in the sinks after", last - begun, "s")
        result.add("directory views a provider, most", float(max(shown.values())), "", most=1)
        result.add("decisions an entity", decisions / self.entities, "", most=1.01)
        result.add("worker's memory in the snapshot, most", sampler.peak_rss_mb("worker"), "MB", most=600)
        result.add("worker's memory at rest, first quarter", rested[0], "MB")
        result.add("worker's memory at rest, last quarter", rested[1], "MB", most=600)
        result.notes.append(
            f"{len(shown):,} of {count:,} providers are shown; the others are withdrawn or held"
        )

    def restore(self, number: int) -> None:
        """Start with an empty folder."""
        shutil.rmtree(self.place.data)
        with processes.launched(self.place) as worker, Sampler({"worker": worker.pid}) as sampler:
            processes.until_open(self.place, worker, WITHIN)
            status = bed.wait(worker.status, "the worker answers", 60, worker.alive)
            found = [p["restored"] for p in status["partitions"]]
            rest(sampler, 3.0, worker)
        self.samples += sampler.samples
        records, seconds = sum(r["records"] for r in found), max(r["seconds"] for r in found)
        rate = records / seconds if seconds else 0.0
        peak = round(sampler.peak_rss_mb("worker"), 1)
        self.restores.append(
            Restored(number, records, round(seconds, 3), round(rate, 1), self.entities, peak)
        )
        self.place.bed.say(f"{NAME}  restore {number}  {records:,} records in {seconds:.1f} s  {peak:.0f} MB")
        if number == RESTORES:
            self._report_restores()

    def _report_restores(self) -> None:
        result, runs = self.result, self.restores
        result.add("restore, entity records", [r.records_per_s for r in runs], "records/s", least=50_000)
        result.add("restore, distinct entities", [r.entities / r.seconds for r in runs], "entities/s")
        result.add(f"restore of {runs[0].records:,} records", [r.seconds for r in runs], "s")
        result.add("worker's memory in a restore, most", max(r.peak_rss_mb for r in runs), "MB", most=600)


def snapshot_done(worker: Running) -> bool:
    """Whether every partition has decided what the snapshot brought."""
    status = worker.status()
    return status is not None and all(
        p["snapshots"].get(load.SYSTEM, {}).get("done") for p in status["partitions"]
    )


def _decisions(worker: Running) -> int:
    """By the worker's own count, after a snapshot and nothing else."""
    status = bed.wait(worker.status, "the worker answers", 60, worker.alive)
    return sum(p["decided"] for p in status["partitions"])


def rest(sampler: Sampler, seconds: float, worker: Running) -> tuple[float, float]:
    """(memory in the first quarter of a rest, in the last): equal when it is flat."""
    end = time.time() + seconds
    bed.wait(lambda: time.time() >= end, "a rest", seconds + 10, worker.alive)
    samples = [s for s in sampler.of("worker") if s.at >= end - seconds]
    quarter = max(1, len(samples) // 4)
    first, last = samples[:quarter], samples[-quarter:]
    return statistics.fmean(s.rss_mb for s in first), statistics.fmean(s.rss_mb for s in last)
