"""Writers on the credentialing database: in bulk as fast as it takes them, or at a pace that never waits for it.

A provider's transactions all go through one connection, so that they commit in the order they were made.
"""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg

from tests.bench.load import Transaction, statement

WRITERS = 4
AT_ONCE = 25
"""Transactions sent in one message by a bulk writer; each still commits by itself."""


@dataclass(frozen=True, slots=True)
class Written:
    """One paced transaction: when it was due, begun and committed (seconds since the epoch)."""

    due: float
    begun: float
    done: float


class Bulk:
    """Prepared statements for a bulk write; `run` sends them."""

    def __init__(self, dsn: str, transactions: Sequence[Transaction]) -> None:
        self._dsn = dsn
        self._shares: list[list[str]] = [[] for _ in range(WRITERS)]
        for transaction in transactions:
            self._shares[_share(transaction)].append(statement(transaction))

    def run(self) -> tuple[float, float]:
        """(start, end) in seconds since the epoch. Commits don't wait for the disk: the writers are no bottleneck."""
        ready = threading.Barrier(WRITERS + 1)
        with ThreadPoolExecutor(WRITERS) as pool:
            writing = [pool.submit(self._write, share, ready) for share in self._shares]
            ready.wait()
            start = time.time()
            for writer in writing:
                writer.result()
        return start, time.time()

    def _write(self, statements: Sequence[str], ready: threading.Barrier) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            connection.execute("set synchronous_commit = off")
            ready.wait()
            for start in range(0, len(statements), AT_ONCE):
                connection.execute("".join(statements[start : start + AT_ONCE]))


def paced(dsn: str, transactions: Sequence[Transaction], rate: float) -> list[Written]:
    """Write at `rate` transactions a second in a process of its own. Open loop: a late one moves no later one."""
    return paced_statements(dsn, [(_share(t), statement(t)) for t in transactions], rate)


def paced_statements(dsn: str, tagged: Sequence[tuple[int, str]], rate: float) -> list[Written]:
    """The same of (connection, statement), each a transaction."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_paced, (dsn, tagged, rate))


def _paced(dsn: str, tagged: Sequence[tuple[int, str]], rate: float) -> list[Written]:
    start = time.time() + 1.0
    plans: list[list[tuple[float, str]]] = [[] for _ in range(WRITERS)]
    for number, (share, text) in enumerate(tagged):
        plans[share].append((start + number / rate, text))
    with ThreadPoolExecutor(WRITERS) as pool:
        shares = list(pool.map(lambda plan: _follow(dsn, plan), plans))
    return sorted((w for share in shares for w in share), key=lambda w: w.due)


def _follow(dsn: str, plan: Sequence[tuple[float, str]]) -> list[Written]:
    written = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for due, text in plan:
            time.sleep(max(0.0, due - time.time()))
            begun = time.time()
            connection.execute(text)
            written.append(Written(due, begun, time.time()))
    return written


def _share(transaction: Transaction) -> int:
    return hash(str(transaction[0].row["provider_id"])) % WRITERS
