"""Experiment d: how long a committed change takes to its sink topic and into three systems, and at which rate it fails.

Everything runs: capture, worker, three adapters. A paced writer commits transactions of three rows at fixed moments
whatever happens (open loop: a stall delays what it delays and is seen). Rates rise until p99 passes a second.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime

import psycopg
from confluent_kafka import Message, TopicPartition

from connectors.connect import Connect
from connectors.credentialing.load import load_generated
from streams.operate import preparing, reading
from streams.systems import ADAPTED
from tests.bench import arrivals, bed, load, path, processes, stages
from tests.bench.bed import Bed, Place
from tests.bench.machine import Sampler
from tests.bench.processes import Running
from tests.bench.report import Folder, Result, quantiles
from tests.bench.writing import WRITERS, Written, paced, paced_statements

NAME = "d"
ONE_WAY, TWO_WAY, EDIT = "change, one way", "change, two ways", "edit"
EDITED = "directory"
KNEE_S = 1.0
KEEPS_UP = 0.9
"""A writer below this share of its rate is the limit itself: the step shows nothing of the platform."""

METHOD = """\
Databases and topics of its own, everything on the same cores, nothing pinned. A writer in a process of its own
commits transactions of three rows of one provider (first name, a licence's expiry, a start date: three views change)
at fixed moments, with synchronous commits, through four connections. Commit is Debezium's source.ts_us (header
concord-committed-us); `sink` is the wall clock when a read-committed consumer has the view in hand; `applied` is
concord_applied.applied_at of that revision, counted when all three systems have it; one clock for all. The first
seconds of a step are not counted, nor are two minutes of load before the first (broker and Connect compile). What a
step leaves is worked off before the next. The hops of each step stand in d-steps.csv: until Connect sends the change,
the worker has decided, its view is in the topic (the broker's clock), the reader has it. `one way`: the other systems' connectors are paused, so that what they write
is not captured; then they run, and what the master says reaches the others while every system speaks (`two ways`).
Rates rise until p99 of commit to sink passes 1 s: the knee is the last rate below. `edit overruled`: the directory's users change a degree, which they don't own, of one provider a transaction;
commit there -> the directory's view sent again -> the value restored there (its concord_applied), in the same run."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    providers: int
    rates: tuple[int, ...]
    """one way, and then two ways"""
    edit_rates: tuple[int, ...]
    warm_up_s: int
    seconds: int
    compile_s: int
    """load before the first step: a JVM that has just started costs a multiple until its hot code is compiled"""


FULL = Size(
    providers=10_000,
    rates=(100, 300, 100, 300, 600, 1_000, 1_500, 2_000, 3_000),
    edit_rates=(100, 300),
    warm_up_s=5,
    seconds=30,
    compile_s=120,
)
QUICK = Size(
    providers=1_500, rates=(100, 300, 600, 1_000), edit_rates=(100,), warm_up_s=2, seconds=10, compile_s=40
)


@dataclass(frozen=True, slots=True)
class Seen:
    """One view in the consumer's hand."""

    step: int
    sink: str
    entity_id: str
    revision: int
    committed_us: int
    decided_ms: float
    appended_ms: float
    received_us: int

    @property
    def seconds(self) -> float:
        """From commit to receipt."""
        return (self.received_us - self.committed_us) / 1e6


@dataclass(frozen=True, slots=True)
class Cpu:
    """What one process used of a core in one step; `bench` listens and counts, its writer is a process beside it."""

    step: int
    what: str
    rate: int
    process: str
    cores: float


@dataclass(frozen=True, slots=True)
class Step:
    """One rate; milliseconds."""

    step: int
    what: str
    rate: int
    achieved: float
    transactions: int
    views: int
    sink_p50: float
    sink_p95: float
    sink_p99: float
    sink_max: float
    applied: int
    applied_p50: float
    applied_p95: float
    applied_p99: float
    applied_max: float
    sent: float
    decided: float
    appended: float
    received: float
    """p50 of each hop on the way (stages.py)"""


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    with bed.place(bench, NAME, folder.path, databases=True) as place:
        latency = Latency(place, QUICK if quick else FULL, folder)
        latency.run()
    folder.csv("d-steps", latency.steps)
    folder.csv("d-views", latency.seen)
    folder.csv("d-writer", latency.written)
    folder.csv("d-cpu", latency.cpu)
    return report(latency.steps, latency.cpu)


class Latency:
    """The steps of rising rates."""

    def __init__(self, place: Place, size: Size, folder: Folder) -> None:
        self.place = place
        self.size = size
        self.folder = folder
        self.steps: list[Step] = []
        self.seen: list[Seen] = []
        self.written: list[Written] = []
        self.cpu: list[Cpu] = []
        self.changes = load.Changes(load.population(size.providers).providers, everywhere=True)

    def run(self) -> None:
        """Load, start everything, step by step to the knee."""
        place = self.place
        arrivals.stamp_on_arrival(place.settings, place.admin)
        load_generated(place.dsn(load.SYSTEM), self.size.providers, load.SEED)
        start = arrivals.mark(place.settings)
        with processes.worker(place) as worker, processes.adapters(place) as adapters:
            bed.capture(place)
            processes.drained(worker)
            path.all_applied(place, arrivals.since(place.settings, start), adapters)
            self._compile(worker)
            with self._others_paused():
                self._rise(ONE_WAY, self.size.rates, worker, adapters)
            self._compile(worker)
            self._rise(EDIT, self.size.edit_rates, worker, adapters)
            self._rise(TWO_WAY, self.size.rates, worker, adapters)

    @contextmanager
    def _others_paused(self) -> Iterator[None]:
        """Nobody but the master is captured."""
        connect = Connect(self.place.settings.connect)
        chosen = [source.names for source in preparing.chosen_sources(self.place.settings)]
        others = [names.connector for names in chosen if names.system != load.SYSTEM]
        for name in others:
            connect.pause(name)
        yield
        for name in others:
            connect.resume(name)

    def _rise(self, what: str, rates: Sequence[int], worker: Running, adapters: Sequence[Running]) -> None:
        for rate in rates:
            if not self._step(what, rate, worker, adapters):
                return

    def _compile(self, worker: Running) -> None:
        """Load that nobody counts, so that broker and Connect run as they do after minutes, not seconds."""
        paced(self.place.dsn(load.SYSTEM), list(self.changes.take(200 * self.size.compile_s)), 200)
        processes.drained(worker)

    def _step(self, what: str, rate: int, worker: Running, adapters: Sequence[Running]) -> bool:
        """False when there is no point in a higher rate."""
        count, number = rate * (self.size.warm_up_s + self.size.seconds), len(self.steps) + 1
        transactions = [] if what == EDIT else list(self.changes.take(count))
        edits = degrees(self.place, count) if what == EDIT else []
        start = arrivals.mark(self.place.settings)
        system = EDITED if what == EDIT else load.SYSTEM
        captured = arrivals.mark(self.place.settings, (f"cdc.{system}",))
        known = processes.pids(self.place, (worker, *adapters)) | {"bench": os.getpid()}
        with Sampler(known) as sampler, listening(self.place, number) as seen:
            if what == EDIT:
                written = paced_statements(self.place.dsn(EDITED), edits, rate)
            else:
                written = paced(self.place.dsn(load.SYSTEM), transactions, rate)
            processes.drained(worker)
            bed.wait(lambda: len(seen) >= views_since(self.place, start), "the listener has every view", 30)
        path.all_applied(self.place, arrivals.since(self.place.settings, start), adapters)
        sent = stages.sent(self.place.settings, captured)
        step = self._summary(what, rate, written, seen, sent)
        self.steps.append(step)
        self.seen += seen
        self.written += written
        begin, end = written[0].due + self.size.warm_up_s, written[-1].due
        self.cpu += [
            Cpu(number, what, rate, name, round(sampler.cpu(name, begin, end) / (end - begin), 3))
            for name in known
        ]
        self.place.bed.say(
            f"{NAME}  {rate:5} {what}s/s  sink p50 {step.sink_p50:6.1f} p99 {step.sink_p99:7.1f} ms  "
            f"applied p50 {step.applied_p50:6.1f} p99 {step.applied_p99:7.1f} ms"
        )
        return step.sink_p99 <= KNEE_S * 1000 and step.achieved >= KEEPS_UP * rate

    def _summary(
        self,
        what: str,
        rate: int,
        written: Sequence[Written],
        seen: Sequence[Seen],
        sent: dict[int, int],
    ) -> Step:
        begin = written[0].due + self.size.warm_up_s
        counted = [s for s in seen if s.committed_us / 1e6 >= begin]
        sink = quantiles(s.seconds * 1000 for s in counted)
        applied = applied_ms(self.place, counted, (EDITED,) if what == EDIT else ADAPTED)
        late = quantiles(applied or [0.0])
        done = [w for w in written if w.due >= begin]
        achieved = len(done) / max(1e-9, max(w.done for w in done) - begin)
        return Step(
            step=len(self.steps) + 1,
            what=what,
            rate=rate,
            achieved=round(achieved, 1),
            transactions=len(written),
            views=len(counted),
            sink_p50=sink["p50"],
            sink_p95=sink["p95"],
            sink_p99=sink["p99"],
            sink_max=sink["max"],
            applied=len(applied),
            applied_p50=late["p50"],
            applied_p95=late["p95"],
            applied_p99=late["p99"],
            applied_max=late["max"],
            **stages.hops(counted, sent),
        )


@contextmanager
def listening(place: Place, step: int) -> Iterator[list[Seen]]:
    """Every view that arrives meanwhile, stamped the moment it is in hand."""
    seen: list[Seen] = []
    stop, ready = threading.Event(), threading.Event()
    start = arrivals.mark(place.settings)

    def listen() -> None:
        with reading.consumer(place.settings.kafka) as source:
            source.assign([TopicPartition(*where, offset) for where, offset in start.items()])
            ready.set()
            while not stop.is_set():
                message = source.poll(0.1)  # not consume(n), which waits until there are n
                if message is not None and message.error() is None:
                    seen.append(_seen(place, step, message, time.time_ns() // 1000))

    listener = threading.Thread(target=listen, name="listener", daemon=True)
    listener.start()
    ready.wait()
    try:
        yield seen
    finally:
        stop.set()
        listener.join()


def _seen(place: Place, step: int, message: Message, now_us: int) -> Seen:
    headers = dict(message.headers() or [])
    return Seen(
        step,
        str(message.topic()).removeprefix(place.settings.topic_prefix),
        (message.key() or b"").decode(),
        int(headers["concord-revision"]),
        int(headers["concord-committed-us"]),
        datetime.fromisoformat(headers["ce_time"].decode()).timestamp() * 1e3,
        message.timestamp()[1],
        now_us,
    )


def views_since(place: Place, start: dict[tuple[str, int], int]) -> int:
    """How many views a reader finds after a mark."""
    return sum(1 for _ in reading.read(place.settings.kafka, start))


def degrees(place: Place, count: int) -> list[tuple[int, str]]:
    """So many edits of the directory's own users, spread over its providers: (connection, statement)."""
    with psycopg.connect(place.dsn(EDITED)) as connection:
        asked = "select dir_provider_id from dir_provider where cred_provider_ref is not null order by 1"
        known = [int(row[0]) for row in connection.execute(asked)]
    edit = "update dir_provider set credential_text = 'Wrong {}' where dir_provider_id = {}"
    chosen = [(number, known[number % len(known)]) for number in range(count)]
    return [(name % WRITERS, edit.format(number, name)) for number, name in chosen]


def applied_ms(place: Place, seen: Sequence[Seen], systems: Sequence[str]) -> list[float]:
    """Milliseconds from commit until the last of these systems had it, for views that are still the newest there."""
    committed = {(s.entity_id, s.revision): s.committed_us for s in seen}
    with ExitStack() as connections:
        moments = []
        for system in systems:
            asked = arrivals.Applied(place.dsn(system), system, ())
            connections.callback(asked.close)
            moments.append(asked.moments())
    return [
        max(m[view] for m in moments) * 1000 - us / 1000
        for view, us in committed.items()
        if all(view in m for m in moments)
    ]


TARGETS = {100: (35, 20, 80, 50, 200), 300: (None, None, 150, None, None)}
"""rate -> p50 (must, goal), p99 (must, goal) of commit to sink, p99 (must) of commit to applied; ms"""


def report(steps: Sequence[Step], cpu: Sequence[Cpu]) -> Result:
    """Quantiles by way and rate, the knees, one way against two, and who used the cores."""
    result = Result(NAME, METHOD)
    for what in (ONE_WAY, TWO_WAY):
        _report_changes(result, what, [s for s in steps if s.what == what])
    _report_ways(result, steps)
    _report_edits(result, steps)
    result.notes += [
        f"{s.what}, {s.rate}/s: {s.achieved:.0f}/s achieved; hops, p50: sent {s.sent:.0f}, decided {s.decided:.0f}, "
        f"appended {s.appended:.0f}, received {s.received:.0f} ms; share of a core: "
        + ", ".join(f"{c.process} {c.cores:.0%}" for c in cpu if c.step == s.step)
        for s in steps
    ]
    return result


def _report_changes(result: Result, what: str, steps: Sequence[Step]) -> None:
    """What must be reached is said of one way; of two it is said by the ratio."""
    targets = TARGETS if what == ONE_WAY else {}
    for rate, chosen in _by_rate(steps).items():
        p50, p50_goal, p99, p99_goal, applied = targets.get(rate, (None,) * 5)
        name = f"{what}, {rate}/s, commit to"
        result.add(f"{name} sink, p50", [s.sink_p50 for s in chosen], "ms", most=p50, goal=p50_goal)
        result.add(f"{name} sink, p95", [s.sink_p95 for s in chosen], "ms")
        result.add(f"{name} sink, p99", [s.sink_p99 for s in chosen], "ms", most=p99, goal=p99_goal)
        result.add(f"{name} sink, max", [s.sink_max for s in chosen], "ms")
        if rate in TARGETS:
            result.add(f"{name} applied, p50", [s.applied_p50 for s in chosen], "ms")
            result.add(f"{name} applied, p99", [s.applied_p99 for s in chosen], "ms", most=applied)
            result.add(f"{name} applied, max", [s.applied_max for s in chosen], "ms")
    result.add(f"{what}, knee: highest rate with p99 under 1 s", float(_knee(steps)), "transactions/s")


def _by_rate(steps: Sequence[Step]) -> dict[int, list[Step]]:
    return {rate: [s for s in steps if s.rate == rate] for rate in dict.fromkeys(s.rate for s in steps)}


def _knee(steps: Sequence[Step]) -> int:
    return max(
        (s.rate for s in steps if s.sink_p99 <= KNEE_S * 1000 and s.achieved >= KEEPS_UP * s.rate), default=0
    )


def _report_ways(result: Result, steps: Sequence[Step]) -> None:
    """What it costs the master's changes that every system speaks."""
    one, two = ([s for s in steps if s.what == what] for what in (ONE_WAY, TWO_WAY))
    alone, both = _by_rate(one), _by_rate(two)
    for rate in (rate for rate in TARGETS if rate in alone and rate in both):
        ratio = statistics.median(s.applied_p50 for s in both[rate]) / statistics.median(
            s.applied_p50 for s in alone[rate]
        )
        result.add(f"two ways over one at {rate}/s, commit to applied, p50", ratio, "x", most=2)
    if knee := _knee(one):
        result.add("two ways over one, knee", _knee(two) / knee, "x", least=0.5)


def _report_edits(result: Result, steps: Sequence[Step]) -> None:
    """The way there and back against the one way, at the rates that both were measured at."""
    for edit in (s for s in steps if s.what == EDIT):
        result.add(f"edit overruled at {edit.rate}/s, commit to restored, p50", edit.applied_p50, "ms")
        result.add(f"edit overruled at {edit.rate}/s, commit to restored, p99", edit.applied_p99, "ms")
        one_way = [s.applied_p50 for s in steps if (s.what, s.rate) == (ONE_WAY, edit.rate)]
        if one_way:
            ratio = edit.applied_p50 / statistics.median(one_way)
            result.add(f"edit overruled over one way at {edit.rate}/s, p50", ratio, "x", most=2)
