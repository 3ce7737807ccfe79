"""Experiment b: how many row changes a second the decide stage does on one core, against stock Faust.

A topic is filled before a process starts. The process runs alone on one core, the broker on the other. The rate is
taken from what arrived in the sink topics: rows of the last nine tenths of the transactions over the time between
their arrivals, so that start-up and the first chunks count for nothing. Variants alternate; each runs several times
on the same number of new changes of the same providers, and what a variant differs from itself is the noise.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import httpx
from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, Producer, TopicPartition
from confluent_kafka.admin import NewTopic

from streams.agents.control import SnapshotComplete, encode
from streams.trust import trusted
from tests.bench import arrivals, bed, load, machine, processes
from tests.bench.bed import Bed, Failed, Place
from tests.bench.load import Record
from tests.bench.machine import Sample, Sampler
from tests.bench.processes import Running
from tests.bench.report import Folder, Result

NAME = "b"
INPUT = "cdc.credentialing"
WORKER_CORE, BROKER_CORE = 0, 1
WARM_UP = 0.1
"""The share of a run's transactions that is not counted."""
WITHIN = 900.0
SCRAPED, SCRAPED_EVERY_S = "scraped", 1.0
SCRAPE_S, EXPOSITIONS, IDLE_S = 15.0, 200, 3.0
"""ops/prometheus.yml's interval; how often an idle worker is asked, and how long it is watched before."""

METHOD = """\
cdc.credentialing (4 partitions, lz4, Connect's partitioner) is filled with Debezium-shaped JSON of about 0.85 kB
built from the generator's rows: reference records, then every provider's rows as streamed inserts (not measured),
then, a run, transactions of three rows of one provider: the provider's own row (first name, middle name or degree in
turn: 3, 2 or 1 views change), a licence's expiry, and a start date of an affiliation, location or network; prior
commits rise. A process of `concord worker` runs on core 0, broker and bench on core 1. Rate: rows of the last 90 % of
the transactions / time between the arrivals (broker's clock) of their last views. Stock Faust does the same core
calls and encodings one event at a time with `await topic.send`, decides after every row, and keeps its state in a
dict without changelog; `stock, once` decides once a transaction as the worker does. `confirmed` is the worker without
transactions (acks=all, flushed a chunk). `ruleless` is the worker with an empty rule book; before it and before the
run after it every provider changes once, not measured, so that findings have closed and opened and views that rules
hold have gone out: what is compared is a decision with and without rules, not their difference in output. `scraped`
is the worker whose metrics are asked for every second (a Prometheus asks every 15); what one answer costs is measured
on it when it idles: CPU of 200 answers, less what it takes without any. Variants alternate; A/A is the spread of
equal runs."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    providers: int
    rows: int
    stock_rows: int
    rounds: int


FULL = Size(providers=20_000, rows=120_000, stock_rows=12_000, rounds=3)
QUICK = Size(providers=3_000, rows=30_000, stock_rows=4_500, rounds=2)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one variant; rates count the measured part only."""

    variant: str
    round: int
    rows: int
    seconds: float
    rows_per_s: float
    cpu_us_per_row: float
    broker_us_per_row: float
    views: int
    transactions_missing: int
    rss_mb: float


@dataclass(frozen=True, slots=True)
class Thread:
    """What the threads of one name used in one run, waiting for the end included."""

    variant: str
    round: int
    thread: str
    cpu_us_per_row: float


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    size = QUICK if quick else FULL
    with (
        bed.place(bench, NAME, folder.path, databases=False) as place,
        bench.on_core(BROKER_CORE, "kafka", "postgres", "registry"),
    ):
        return Decide(place, size, folder).run(profile=profile)


class Decide:
    """The steps of the experiment."""

    def __init__(self, place: Place, size: Size, folder: Folder) -> None:
        self.place = place
        self.size = size
        self.folder = folder
        self.feed = load.Feed()
        self.samples: list[Sample] = []
        self.runs: list[Run] = []
        self.threads: list[Thread] = []
        self.expositions: list[float] = []

    def run(self, *, profile: bool) -> Result:
        """Warm up, measure in turns, report."""
        arrivals.stamp_on_arrival(self.place.settings, self.place.admin)
        self._warm_up()
        for number in range(1, self.size.rounds + 1):
            self._worker("transactional", number)
            self._stock("stock", number)
            self._worker("confirmed", number)
            self._stock("stock, once", number)
            self._worker("transactional", number)  # A/A: beside its equal, with the others between
            self._worker(SCRAPED, number)
            self._settle("ruleless")
            self._worker("ruleless", number)
            self._settle("transactional")
            self._worker("transactional", number)
        if profile:
            self._profile()
        self.folder.csv("b-runs", self.runs)
        self.folder.csv("b-threads", self.threads)
        self.folder.csv("b-processes", self.samples)
        return report(self.runs, self.expositions)

    def _warm_up(self) -> None:
        place, say = self.place, self.place.bed.say
        population = load.population(self.size.providers)
        self.changes = load.Changes(population.providers)
        say(f"b  {len(population.providers):,} providers, {population.rows:,} rows, go in as inserts")
        announce_empty_snapshot(place)
        produce(place, INPUT, self.feed.inserts(population.references))
        with self._running("transactional") as worker:
            processes.drained(worker)
            inserts = ([(t, row) for t, rows in p.rows.items() for row in rows] for p in population.providers)
            produce(place, INPUT, (record for rows in inserts for record in self.feed.inserts(rows)))
            processes.drained(worker)

    def _settle(self, variant: str) -> None:
        """Every provider changes once, so that what a variant says otherwise is said before it is measured."""
        self._fill(INPUT, len(self.changes) * load.ROWS)
        with self._running(variant) as worker:
            processes.drained(worker)

    def _worker(self, variant: str, number: int) -> None:
        self._fill(INPUT, self.size.rows)
        start = arrivals.mark(self.place.settings)
        with self._running(variant) as worker, self._sampled(worker) as sampler:
            before = machine.threads(worker.pid)
            with worker.scraped(SCRAPED_EVERY_S) if variant == SCRAPED else nullcontext():
                processes.drained(worker)
            after = machine.threads(worker.pid)
            if variant == SCRAPED:
                self.expositions.append(exposition_ms(worker))
        self.threads += [
            Thread(variant, number, name, round((used - before.get(name, 0.0)) / self.size.rows * 1e6, 2))
            for name, used in sorted(after.items())
        ]
        self._record(variant, number, self.size.rows, start, sampler)

    def _stock(self, variant: str, number: int) -> None:
        place, name = self.place, f"{variant.replace(', ', '-')}-{number}"
        topic = place.settings.topic(f"{name}.{INPUT}")
        place.admin.create_topics([NewTopic(topic, place.settings.partitions)])[topic].result()
        self._fill(f"{name}.{INPUT}", self.size.stock_rows)
        start = arrivals.mark(place.settings)
        arguments = ["-m", "tests.bench.stock", "--topic", topic, "--group", topic]
        arguments += ["--once"] if variant == "stock, once" else []
        with (
            processes.run(place, name, arguments, core=WORKER_CORE) as stock,
            self._sampled(stock) as sampler,
        ):
            bed.wait(
                lambda: committed(place, topic, topic), "stock Faust has committed all", WITHIN, stock.alive
            )
        self._record(variant, number, self.size.stock_rows, start, sampler)

    def _profile(self) -> None:
        self._fill(INPUT, self.size.rows)
        file = self.folder.path / "b-profile.txt"
        with processes.worker(self.place, core=WORKER_CORE, profile=str(file)) as worker:
            processes.drained(worker)

    def _fill(self, name: str, rows: int) -> None:
        transactions = self.changes.take(rows // load.ROWS)
        produce(self.place, name, (record for t in transactions for record in self.feed.updates(t)))

    @contextmanager
    def _running(self, variant: str) -> Iterator[Running]:
        changed = "transactional" if variant == SCRAPED else variant
        with processes.worker(self.place, changed, core=WORKER_CORE) as worker:
            yield worker

    @contextmanager
    def _sampled(self, process: Running) -> Iterator[Sampler]:
        with Sampler({"process": process.pid, "kafka": self.place.bed.pid("kafka")}) as sampler:
            yield sampler
        self.samples += sampler.samples

    def _record(
        self, variant: str, number: int, rows: int, start: dict[tuple[str, int], int], sampler: Sampler
    ) -> None:
        found = arrivals.since(self.place.settings, start)
        ends = arrivals.last_by_transaction(found)
        counted = ends[int(len(ends) * WARM_UP) :]
        if len(counted) < 2:
            raise Failed(
                f"{variant}: only {len(ends)} transactions arrived, see the logs in {self.place.folder}"
            )
        begin, end = counted[0] / 1000, counted[-1] / 1000
        measured = (len(counted) - 1) * load.ROWS
        run = Run(
            variant,
            number,
            measured,
            round(end - begin, 3),
            round(measured / (end - begin), 1),
            round(sampler.cpu("process", begin, end) / measured * 1e6, 2),
            round(sampler.cpu("kafka", begin, end) / measured * 1e6, 2),
            len(found),
            rows // load.ROWS - len(ends),
            round(sampler.peak_rss_mb("process"), 1),
        )
        self.runs.append(run)
        self.place.bed.say(
            f"b  {variant:14} {number}  {run.rows_per_s:9,.0f} rows/s  {run.cpu_us_per_row:6.1f} us CPU a row"
        )


def exposition_ms(worker: Running) -> float:
    """CPU that an idle worker spends on telling its metrics once: what it spends anyway is taken off."""

    def spent() -> tuple[float, float]:
        return sum(machine.threads(worker.pid).values()), time.monotonic()

    with httpx.Client(timeout=5, verify=trusted()) as client:
        began, at = spent()
        bed.wait(lambda: time.monotonic() > at + IDLE_S, "the worker idles", 2 * IDLE_S, worker.alive)
        rested, until = spent()
        for _ in range(EXPOSITIONS):
            client.get(f"{worker.url}/metrics").raise_for_status()
        ended, over = spent()
    idle = (rested - began) / (until - at) * (over - until)
    return (ended - rested - idle) / EXPOSITIONS * 1e3


def report(runs: list[Run], expositions: list[float]) -> Result:
    """The figures and what they must reach."""
    result = Result(NAME, METHOD)

    def rates(variant: str) -> list[float]:
        return [run.rows_per_s for run in runs if run.variant == variant]

    ours = result.add("decide stage, one core", rates("transactional"), "rows/s", least=20_000, goal=40_000)
    plain = result.add("same without transactions", rates("confirmed"), "rows/s")
    result.add("with over without transactions", ours / plain, "x", least=0.9)
    ruleless = result.add("same without rules", rates("ruleless"), "rows/s")
    result.add("with every rule over without rules", ours / ruleless, "x", least=0.7)
    scraped = result.add("same, metrics asked for every second", rates(SCRAPED), "rows/s")
    result.add("with metrics over without", scraped / ours, "x", least=0.98)
    told = result.add("CPU of one exposition", expositions, "ms")
    result.add("exposition every 15 s, share of a core", told / SCRAPE_S / 1e3, "", most=0.02)
    stock = result.add("stock Faust", rates("stock"), "rows/s")
    result.add("over stock Faust", ours / stock, "x", least=15)
    once = result.add("stock Faust, deciding once a transaction", rates("stock, once"), "rows/s")
    result.add("over stock Faust deciding once", ours / once, "x")
    chosen = [run for run in runs if run.variant == "transactional"]
    result.add("CPU a row", [run.cpu_us_per_row for run in chosen], "us")
    result.add("broker's CPU a row", [run.broker_us_per_row for run in chosen], "us")
    result.add(
        "views a transaction", [run.views / (run.rows / (1 - WARM_UP) / load.ROWS) for run in chosen], ""
    )
    result.add("worker's memory, most", max(run.rss_mb for run in chosen), "MB")
    missing = {run.variant: run.transactions_missing for run in runs if run.transactions_missing}
    if missing:
        result.notes.append(f"transactions without a view of their own, by variant: {missing}")
    return result


def announce_empty_snapshot(place: Place) -> None:
    """Nothing was read by a snapshot: what follows is streamed and decided as it comes."""
    producer = _producer(place)
    value = encode(SnapshotComplete("credentialing", load.EPOCH, 0))
    for partition in range(place.settings.partitions):
        producer.produce(place.settings.topic("clock"), value, b"credentialing", partition)
    producer.flush(30)


def produce(place: Place, topic: str, records: Iterable[Record]) -> None:
    """Write records as Connect would."""
    producer, name = _producer(place), place.settings.topic(topic)
    for key, value, headers in records:
        while True:
            try:
                producer.produce(name, value, key, headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
    if producer.flush(60):
        raise Failed(f"could not fill {name}")


def _producer(place: Place) -> Producer:
    return Producer(
        {
            "bootstrap.servers": place.settings.kafka,
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 20,
            "log_level": 3,
        }
    )


def committed(place: Place, group: str, topic: str) -> bool:
    """Whether a group has committed a topic to its end."""
    places = [TopicPartition(topic, number) for number in range(place.settings.partitions)]
    asked = place.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
    found = asked[group].result().topic_partitions
    reader = Consumer({"bootstrap.servers": place.settings.kafka, "group.id": "bench"})
    try:
        return all(p.offset >= reader.get_watermark_offsets(p, timeout=10)[1] for p in found)
    finally:
        reader.close()
