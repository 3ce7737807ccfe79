"""Bulk loading of the credentialing database: invented providers or an NPPES file.

    generator | nppes --Bundle--> batches of 200 --COPY--> stage --insert--> tables

A bundle's rows stand in one transaction; memory is bounded by the batch. A row that is there already is left as it
is: NPPES is evidence and never an owner, so loading again changes nothing. Only this module writes in bulk.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
from psycopg import sql

from connectors.credentialing import generator, nppes
from connectors.credentialing.bundle import Bundle, Row, by_table
from streams.errors import EnvironmentFault, InvalidInput

Progress: TypeAlias = Callable[[str], None]
Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

BATCH = 200
"""Bundles a transaction: large enough for COPY, small enough for capture's 20 ms slices."""
REPORT_EVERY = 5_000


@dataclass(slots=True)
class Loaded:
    """What a load did: bundles read, rows inserted per table (existing ones not counted), rows skipped and why."""

    bundles: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)


def load_generated(
    dsn: str, count: int, seed: int, progress: Progress | None = None, as_of: date = generator.AS_OF
) -> Loaded:
    """Load `count` invented providers; the same seed again inserts nothing."""
    return _load(dsn, generator.generate(count, seed, as_of), Loaded(), progress)


def load_nppes(dsn: str, path: Path, limit: int | None = None, progress: Progress | None = None) -> Loaded:
    """Load the first `limit` usable rows of an NPPES V2 file; InvalidInput where it is no such file."""
    loaded = Loaded()
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            bundles = _mapped(nppes.read(lines, path.name), loaded.skipped)
            return _load(dsn, islice(bundles, limit), loaded, progress)
    except OSError as failure:
        message = f"{path.name}: {failure.strerror or failure}"
        raise InvalidInput("nppes.unreadable", message, "check the path and its permissions") from failure


def _mapped(outcomes: Iterable[nppes.Outcome], skipped: Counter[str]) -> Iterator[Bundle]:
    for outcome in outcomes:
        if isinstance(outcome, nppes.Skipped):
            skipped[outcome.reason] += 1
        else:
            yield outcome.bundle


def _load(dsn: str, bundles: Iterable[Bundle], loaded: Loaded, progress: Progress | None) -> Loaded:
    source = iter(bundles)
    with _connect(dsn) as connection:
        while batch := list(islice(source, BATCH)):
            loaded.rows += write(connection, batch)
            loaded.bundles += len(batch)
            if progress and loaded.bundles % REPORT_EVERY < len(batch):
                progress(f"credentialing: {loaded.bundles:,} loaded")
    if progress:
        progress(f"credentialing: {loaded.bundles:,} loaded, {loaded.rows.total():,} new rows")
    return loaded


def write(connection: Connection, bundles: Iterable[Bundle]) -> Counter[str]:
    """Insert the bundles' rows in one transaction; returns how many were new, per table."""
    inserted: Counter[str] = Counter()
    table = ""
    try:
        with connection.transaction():
            for table, rows in by_table(bundles).items():
                for columns, alike in _by_columns(rows).items():
                    inserted[table] += _insert(connection, table, columns, alike)
    except psycopg.Error as failure:
        # The primary message names table and constraint; the detail would quote values (Invariant 11).
        message = f"table {table}: {failure.diag.message_primary or type(failure).__name__}"
        raise EnvironmentFault(
            "load.refused", message, "apply the schema first: concord systems apply"
        ) from failure
    return inserted


def _by_columns(rows: Iterable[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Rows with the same columns together: a column nobody gave takes its default."""
    alike: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        alike.setdefault(tuple(row), []).append(row)
    return alike


def _insert(connection: Connection, table: str, columns: tuple[str, ...], rows: Iterable[Row]) -> int:
    name, stage = sql.Identifier(table), sql.Identifier(f"stage_{table}")
    listed = sql.SQL(", ").join(map(sql.Identifier, columns))
    connection.execute(
        sql.SQL(
            "create temp table if not exists {} (like {} including defaults) on commit delete rows"
        ).format(stage, name)
    )
    connection.execute(sql.SQL("delete from {}").format(stage))
    with connection.cursor() as cursor:
        with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(stage, listed)) as copy:
            for row in rows:
                copy.write_row(tuple(row.values()))
        insert = "insert into {} ({}) select {} from {} on conflict do nothing"
        cursor.execute(sql.SQL(insert).format(name, listed, listed, stage))
        return cursor.rowcount


def _connect(dsn: str) -> Connection:
    try:
        return psycopg.connect(dsn, autocommit=True, options="-c client_min_messages=warning")
    except psycopg.OperationalError as failure:
        raise EnvironmentFault(
            "load.unreachable",
            f"cannot connect to the credentialing database: {failure}",
            "is the stack up? (make up)",
        ) from failure
