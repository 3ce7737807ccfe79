"""Experiment v: a verification of a million rows, and what it costs the source while it runs."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from connectors import checksum
from connectors.checksum import Checksums
from schemas.tables import mapped_tables
from stack.layout import PROJECT
from tests.bench import bed, load, processes
from tests.bench.bed import Bed, Failed, Place
from tests.bench.report import Folder, Result
from tests.bench.restore import snapshot_done

NAME = "v"
WITHIN = 1_800.0
TABLES = ("credentialing.provider", "credentialing.license")

METHOD = """\
Databases and topics of its own. Providers with nine licences each, captured by a snapshot and decided; then `concord
verify source` of both tables, as a process of its own, its time from start to exit. What it costs the source: one
client commits single-row updates of a table nobody captures as fast as it can, before (A/A: twice), during and after a
verification; commits a second, the median of whole seconds. What the verification does elsewhere (topic `entity` is read
and hashed) costs the source only where both share a machine, as here; what the reading of the source costs alone is
measured beside it."""

PEOPLE = """
insert into provider (provider_id, first_name, last_name, status)
select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'First ' || n, 'Last ' || n, 'applicant'
from generate_series(1, %s) n
"""
LICENCES = """
insert into license (provider_id, state, license_type, number, status, issued, expires)
select ('00000000-0000-4000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'IL', 'MD', '036-' || n || '-' || m, 'active',
       date '2020-01-01' + m, date '2030-01-01' + n %% 365
from generate_series(1, %s) n, generate_series(1, 9) m
"""
SCRATCH = "create table bench_scratch as select n as id, 0 as value from generate_series(1, 10000) n"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    providers: int
    seconds: float


FULL = Size(providers=100_000, seconds=15.0)
QUICK = Size(providers=5_000, seconds=5.0)


def measure(bench: Bed, folder: Folder, *, quick: bool, profile: bool) -> Result:
    """Run the experiment."""
    size, result = QUICK if quick else FULL, Result(NAME, METHOD)
    with bed.place(bench, NAME, folder.path, databases=True) as place:
        fill(place, size.providers)
        with processes.worker(place) as worker:
            bed.capture(place)
            bed.wait(lambda: snapshot_done(worker), "the snapshot is decided", WITHIN, worker.alive)
            processes.drained(worker)
            alone = [verified(place) for _ in range(3)]
            before = [commits(place, size.seconds) for _ in range(2)]
            beside, during = verified_under_load(place)
            after = commits(place, size.seconds)
            read = commits_beside_reading(place)
    rows = beside[1]
    result.add(f"verification of {rows:,} rows", [seconds for seconds, _ in alone], "s", most=60)
    result.add(f"verification of {rows:,} rows, the source under load", beside[0], "s", most=60)
    usual = statistics.median([*before, after])
    result.add("commits a second without a verification", [*before, after], "/s")
    result.add("commits a second beside a verification", during, "/s")
    result.add("share of the source's throughput it costs", 1 - during / usual, "", most=0.10)
    result.add("share that the reading alone costs", 1 - read / usual, "")
    return result


def fill(place: Place, providers: int) -> None:
    """Rows in the database before the connector starts."""
    with psycopg.connect(place.dsn(load.SYSTEM), autocommit=True) as connection:
        connection.execute(PEOPLE, [providers])
        connection.execute(LICENCES, [providers])
        connection.execute(SCRATCH)
        connection.execute("create unique index on bench_scratch (id)")
        connection.execute("vacuum analyze")


def verified(place: Place) -> tuple[float, int]:
    """(seconds, rows) of one run of the command."""
    command = [sys.executable, "-m", "streams.cli", "verify", "source", *TABLES, "--json"]
    started = time.monotonic()
    done = subprocess.run(
        command, env=place.variables(), cwd=PROJECT, capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - started
    if done.returncode != 0:
        raise Failed(f"verify ended with {done.returncode}: {done.stdout[-500:]} {done.stderr[-1000:]}")
    tables: list[dict[str, Any]] = json.loads(done.stdout)["result"]
    rows = sum(table["rows"] for table in tables)
    reading = sum(table["seconds"] for table in tables)
    place.bed.say(
        f"{NAME}  {rows:,} rows verified in {seconds:.1f} s, {reading:.1f} s of it reading the source"
    )
    return seconds, rows


def verified_under_load(place: Place) -> tuple[tuple[float, int], float]:
    """A run beside a client that commits, and its commits a second meanwhile."""
    with committing(place) as counted:
        done = verified(place)
    return done, statistics.median(counted[:-1])


def commits(place: Place, seconds: float) -> float:
    """Commits a second of a client that has the source for itself."""
    with committing(place) as counted:
        bed.wait(lambda: len(counted) > seconds, "the client commits", seconds + 60)
    return statistics.median(counted[:-1])


def commits_beside_reading(place: Place) -> float:
    """Commits a second while the source's tables are read as a verification reads them, and nothing else is done."""
    tables = [table for table in mapped_tables(load.SYSTEM) if f"{load.SYSTEM}.{table.name}" in TABLES]
    with committing(place) as counted, checksum.reading(place.dsn(load.SYSTEM)) as connection:
        for table in tables:
            for _ in Checksums(connection, table).ranges():
                pass
    return statistics.median(counted[:-1])


@contextmanager
def committing(place: Place) -> Iterator[list[int]]:
    """One client; commits in each second so far."""
    counted, stop = [0], threading.Event()

    def work() -> None:
        until = time.monotonic() + 1
        with psycopg.connect(place.dsn(load.SYSTEM), autocommit=True) as connection:
            while not stop.is_set():
                which = [counted[-1] % 10_000 + 1]
                connection.execute("update bench_scratch set value = value + 1 where id = %s", which)
                counted[-1] += 1
                if time.monotonic() >= until:
                    counted.append(0)
                    until += 1

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield counted
    finally:
        stop.set()
        thread.join()
