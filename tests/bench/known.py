"""Experiment m: what one worker's memory holds as the providers it knows grow, without any service.

    generator --rows--> Decide + Store + References (as in a worker, one partition) --> resident memory, disk, us a row

Every provider is taken in and decided once; then one in a hundred changes, as on a day. The clients of Kafka are left
out: what they hold doesn't grow with what is known, and experiment e has the whole process.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from connectors.credentialing.bundle import Row
from streams import app as composition
from streams.agents.decide import Decide
from streams.engine.memory import MemoryPartition, MemoryReferences, Record
from streams.engine.producer import Output
from streams.engine.store import Shared, Store
from streams.operate import sandbox
from tests.bench import load, machine
from tests.bench.bed import Bed, Failed
from tests.bench.report import Folder, Result

NAME = "m"
METHOD = """\
One process, one partition, the real store and references; no service. The generator's providers, about eleven
rows each and a clinic for every 25, are taken in as streamed inserts and decided, a thousand at a time; then one
provider in a hundred changes (transactions of three rows, as in b). Resident memory is read from /proc after each step and
includes the bench's own code and records in hand; CPU is the whole process's, generating included."""

FULL, QUICK = 1_000_000, 20_000
STEPS = 20
BATCH = 1_000
CHURN = 100


@dataclass(frozen=True, slots=True)
class Step:
    """What is known after a step."""

    providers: int
    references: int
    rows: int
    resident_mb: float
    store_mb: float
    cpu_s: float


class Nowhere:
    """A producer whose every transaction is written and forgotten."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, outputs: Sequence[Output]) -> int | None:
        """The offset the last one would have."""
        self.written += len(outputs)
        return self.written - 1 if outputs else None


class Known:
    """One partition that is told of more and more providers."""

    def __init__(self, folder: Path, producer: Nowhere | None = None) -> None:
        self.folder = folder
        self.references = MemoryReferences()
        self.handler = Decide(0, sandbox.context(self.references))
        self.store = Store(folder, Shared())
        self.partition = MemoryPartition(self.store, self.handler, producer or Nowhere())
        self.feed = load.Feed()
        self.rows = self.offset = 0
        self._work("clock", [(b"credentialing", json.dumps(_SNAPSHOT_OVER).encode(), [])])

    def take(self, providers: Sequence[load.Provider], references: Sequence[tuple[str, Row]]) -> None:
        """New providers and their clinics, decided."""
        self._work("cdc.credentialing", self.feed.inserts(references))
        rows = [(table, row) for p in providers for table, rows in p.rows.items() for row in rows]
        self._work("cdc.credentialing", self.feed.inserts(rows))

    def churn(self, providers: Sequence[load.Provider]) -> None:
        """A change of each, as a worker's chunks bring them."""
        changes = load.Changes(providers)
        for _ in range(0, len(changes), BATCH):
            told = [r for t in changes.take(BATCH) for r in self.feed.updates(t)]
            self._work("cdc.credentialing", told)

    def _work(self, topic: str, told: Iterable[load.Record]) -> None:
        records = [Record(topic, 0, self._next(), k, v, list(h), _NOW_MS) for k, v, h in told]
        self.rows += len(records)
        outputs = self.partition.work(records, time.monotonic() * 1000)
        while outputs:
            self.references.hear(out for out in outputs if out.topic == "reference")
            outputs = self.partition.work((), time.monotonic() * 1000 + _LINGERED_MS)

    def _next(self) -> int:
        self.offset += 1
        return self.offset - 1

    def step(self, providers: int, began: float) -> Step:
        """What it is like now."""
        disk = sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())
        resident = machine.rss_bytes(os.getpid()) / 1e6
        return Step(
            providers,
            len(self.references),
            self.rows,
            round(resident, 1),
            round(disk / 1e6, 1),
            round(time.process_time() - began, 1),
        )


_SNAPSHOT_OVER = {"type": "snapshot-complete", "system": "credentialing", "epoch": 1, "until": 0}
_NOW_MS = 1_700_000_000_000
_LINGERED_MS = 3_600_000.0


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    count = int(os.environ.get("CONCORD_BENCH_PROVIDERS", QUICK if quick else FULL))
    place = folder.path.resolve() / "m-store"
    try:
        steps, churned, changed = _grow(bench, Known(place), count)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    folder.csv("m-steps", [*steps, churned])
    return report(steps, churned, changed)


def _grow(bench: Bed, known: Known, count: int) -> tuple[list[Step], Step, int]:
    composition.tune_gc()  # as a worker does
    source, began, steps = load.generated(count), time.process_time(), [known.step(0, time.process_time())]
    for done in range(0, count, BATCH):
        batch = list(islice(source, BATCH))
        known.take([p for p, _ in batch], [each for _, references in batch for each in references])
        if (done + BATCH) % max(BATCH, count // STEPS) == 0:
            steps.append(known.step(done + BATCH, began))
            bench.say(f"m: {steps[-1]}")
    if known.handler.state.decided < count:
        raise Failed(f"{known.handler.state.decided:,} decisions of {count:,} providers")
    some = [provider for provider, _ in load.generated(max(1, count // CHURN))]
    known.churn(some)
    return steps, known.step(count, began), len(some)


def report(steps: Sequence[Step], churned: Step, changed: int) -> Result:
    """Memory by what is known."""
    result = Result(NAME, METHOD)
    first, last = steps[0], steps[-1]
    result.add("memory before anything is known", first.resident_mb, "MB")
    for step in steps[1:]:
        if step.providers * 10 in (last.providers, last.providers * 5) or step is last:
            result.add(f"memory with {step.providers:,} providers known", step.resident_mb, "MB", most=600)
    result.add(f"memory after {changed:,} of them changed", churned.resident_mb, "MB", most=600)
    grown = (last.resident_mb - first.resident_mb) / max(last.providers, 1) * 1e3
    result.add("memory a thousand providers", grown, "MB")
    result.add("store on disk", last.store_mb, "MB")
    result.add("CPU a row, generating included", last.cpu_s / last.rows * 1e6, "us")
    result.notes.append(f"{last.references:,} organizations and locations are held in memory by every worker")
    return result
