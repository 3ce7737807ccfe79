"""Experiment a: what the pure core costs, on one core, without any service.

`advance` is measured as it runs in the worker: decoded changes of the generator's providers, each applied once to
its own entity. Each stage around it is measured alone on the same records, so that their sum can be compared with
what a row costs in experiment b.
"""

from __future__ import annotations

import cProfile
import gc
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from typing import TypeVar

from schemas import tables
from schemas.authority import load_authority
from streams import app as composition
from streams.core import advance as stage
from streams.core import entity as state
from streams.core import view
from streams.core.change import Change
from streams.core.entity import Entity, Golden
from streams.operate import sandbox
from tests.bench import load, machine, worker
from tests.bench.bed import Bed, Failed
from tests.bench.report import Folder, Result

T = TypeVar("T")
NAME = "a"
METHOD = """\
One process on one core, no service, the collector tuned as in a worker. The generator's providers are loaded as inserts and decided; then transactions
of three rows, as in b. `advance` alone: decoded changes applied each to its entity, changes / CPU time (others on the
machine don't count), median of the rounds; every round has new changes. Stages: each alone on the same records or entities. A/A is the spread between
rounds. The profile (a-profile.txt) is a further round and slower."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    providers: int
    transactions: int
    rounds: int


FULL = Size(providers=5_000, transactions=20_000, rounds=7)
QUICK = Size(providers=500, transactions=2_000, rounds=3)


@dataclass(frozen=True, slots=True)
class Timing:
    """One stage in one round."""

    stage: str
    round: int
    calls: int
    us: float


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    everywhere, collector = machine.cores(), gc.get_threshold()
    os.sched_setaffinity(0, everywhere[:1])
    try:
        core = Core(QUICK if quick else FULL, folder)
        composition.tune_gc()  # as a worker does
        for number in range(1, core.size.rounds + 1):
            core.round(number)
        core.profile()
    finally:
        os.sched_setaffinity(0, everywhere)
        gc.unfreeze()
        gc.set_threshold(*collector)
    folder.csv("a-stages", core.timings)
    return report(core.timings)


class Core:
    """Entities, and rounds of new changes to them."""

    def __init__(self, size: Size, folder: Folder) -> None:
        self.size = size
        self.folder = folder
        self.timings: list[Timing] = []
        self.feed = load.Feed()
        self.decoder = tables.decoders((load.SYSTEM,))[load.SYSTEM]
        self.authority = load_authority()
        self.encoders = sandbox.encoders()
        self.references: dict[tuple[str, str], Golden] = {}
        self.entities: dict[str, Entity] = {}
        self.world = stage.World(self.authority, self.look, datetime.now(UTC).date().isoformat())
        self._fill(load.population(size.providers))

    def look(self, kind: str, entity_id: str) -> Golden | None:
        """The reference an entity names."""
        return self.references.get((kind, entity_id))

    def _fill(self, population: load.Population) -> None:
        self.apply(self.decode(self.feed.inserts(population.references)))
        for entity in self.entities.values():
            self.references[entity.kind, entity.id] = state.golden(entity, self.authority)
        for provider in population.providers:
            rows = [(table, row) for table, rows in provider.rows.items() for row in rows]
            self.apply(self.decode(self.feed.inserts(rows)))
        self.decide(self.entities.values())
        self.changes = load.Changes(population.providers)

    def decode(self, records: Iterable[load.Record]) -> list[Change]:
        """Records to changes."""
        changes = [self.decoder.decode(*record) for record in records]
        if not all(isinstance(change, Change) for change in changes):
            raise Failed(f"the feed is not what the mapping says: {changes[0]}")
        return changes  # type: ignore[return-value]

    def apply(self, changes: Iterable[Change]) -> None:
        """Changes into their entities."""
        entities = self.entities
        for change in changes:
            entity = entities.get(change.entity_id)
            if entity is None:
                entity = entities[change.entity_id] = Entity(change.kind, change.entity_id)
            stage.advance(entity, change, 0)

    def decide(self, entities: Iterable[Entity]) -> list[stage.Emission]:
        """The views that follow."""
        return list(chain.from_iterable(stage.decide(e, self.world, 0).emissions for e in entities))

    def round(self, number: int) -> None:
        """Every stage once, on new changes."""
        records = self._records()
        changes = self._timed("decode", number, len(records), lambda: self.decode(records))
        touched = [self.entities[c.entity_id] for c in changes[:: load.ROWS]]
        stored = self._timed(
            "entity encode", number, len(touched), lambda: [state.encode(e) for e in touched]
        )
        self._timed("entity decode", number, len(stored), lambda: [state.decode(s) for s in stored])
        self._timed("advance", number, len(changes), lambda: self.apply(changes))
        goldens = self._timed(
            "golden", number, len(touched), lambda: [state.golden(e, self.authority) for e in touched]
        )
        emissions = self._timed("decide, whole", number, len(touched), lambda: self.decide(touched))
        self._timed("views, three", number, len(goldens), lambda: self._build(goldens))
        for sink in view.VIEWS["provider"]:
            chosen = [e for e in emissions if e.sink == sink]
            self._timed(f"avro {sink}", number, len(chosen), partial(self._encode, chosen))

    def _build(self, goldens: Sequence[Golden]) -> list[dict[str, view.View]]:
        return [view.build(golden, self.look, self.world.as_of) for golden in goldens]

    def _encode(self, emissions: Sequence[stage.Emission]) -> list[bytes]:
        return [self.encoders.view(emission) for emission in emissions]

    def _records(self) -> list[load.Record]:
        transactions = self.changes.take(self.size.transactions)
        return [record for transaction in transactions for record in self.feed.updates(transaction)]

    def _timed(self, name: str, number: int, calls: int, work: Callable[[], T]) -> T:
        start = time.process_time()
        found = work()
        us = (time.process_time() - start) / max(calls, 1) * 1e6
        self.timings.append(Timing(name, number, calls, round(us, 3)))
        return found

    def profile(self) -> None:
        """Where `advance` spends its time."""
        changes = self.decode(self._records())
        profiler = cProfile.Profile()
        profiler.runcall(self.apply, changes)
        worker.write(profiler, self.folder.path / "a-profile.txt", top=20)


def report(timings: Sequence[Timing]) -> Result:
    """Microseconds by stage."""
    result = Result(NAME, METHOD)
    advance = [t.us for t in timings if t.stage == "advance"]
    result.add("advance alone", [1e6 / us for us in advance], "changes/s")
    for name in dict.fromkeys(t.stage for t in timings):
        result.add(name, [t.us for t in timings if t.stage == name], "us")
    return result
