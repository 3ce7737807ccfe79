"""What the benchmarks feed in: the generator's providers, their changes, and Debezium's records of both.

    population --> Provider rows --> Changes (transactions of three rows) --Feed--> records of cdc.credentialing
                                                                          --sql---> statements for the database

The same changes serve a prefilled topic and a real database. Seeded: every run of an experiment does the same work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

import msgspec

from connectors.credentialing import generator
from connectors.credentialing.bundle import Row
from connectors.credentialing.fiction import FIRST_NAMES
from schemas.catalog import load_catalog, load_mapping
from streams.core import formats

SYSTEM = "credentialing"
SEED = 7
EPOCH = 1
ROWS = 3
"""Rows of a transaction."""
REFERENCES = ("organization", "practice_location")

Key = bytes
Record = tuple[Key, bytes, list[tuple[str, bytes]]]
"""(key, value, headers)"""


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider's rows as the database holds them now; `Changes` alters them in place."""

    id: str
    rows: dict[str, list[Row]]

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))


@dataclass(frozen=True, slots=True)
class Update:
    """One row's change: what is set, and the whole row afterwards."""

    table: str
    key: str
    set: dict[str, object]
    row: Row


Transaction = list[Update]


@dataclass(frozen=True, slots=True)
class Population:
    """Reference rows as (table, row), and providers with their rows."""

    references: list[tuple[str, Row]]
    providers: list[Provider]

    @property
    def rows(self) -> int:
        """Rows of all providers."""
        return sum(map(len, self.providers))


def population(count: int, seed: int = SEED) -> Population:
    """The generator's first `count` providers and the clinics they work at."""
    found = Population([], [])
    for provider, references in generated(count, seed):
        found.references.extend(references)
        found.providers.append(provider)
    return found


def generated(count: int, seed: int = SEED) -> Iterator[tuple[Provider, list[tuple[str, Row]]]]:
    """The same one by one, each with the rows of the clinic that comes with it."""
    mapped = load_mapping(SYSTEM).tables
    for bundle in generator.generate(count, seed):
        rows = {table: rows for table, rows in bundle.rows.items() if table in mapped}
        own = {table: r for table, r in rows.items() if mapped[table].kind == "provider"}
        references = [(table, row) for table in REFERENCES for row in rows.get(table, ())]
        yield Provider(str(own["provider"][0]["provider_id"]), own), references


class Changes:
    """Endless transactions of three rows of one provider, who takes a turn after every other one.

    The provider's own row changes first: first name (seen in three views), middle name (two) or degree (one) in
    turn, or always the first name where `everywhere`. A licence's expiry follows (enrollment's view shows the
    supporting one), then a start date of an affiliation, a location or a network. Only active providers with
    an NPI take part: the others' views are withdrawn or held, so that nothing would be seen of a change.
    """

    def __init__(self, providers: Iterable[Provider], *, everywhere: bool = False, seed: int = SEED) -> None:
        self._providers = [p for p in providers if _is_shown(p)]
        self._rng = Random(f"{seed}/changes")
        self._turns = ("first_name",) if everywhere else ("first_name", "middle_name", "degree")
        self._next = 0
        self._keys = {table.name: table.row for table in load_mapping(SYSTEM).tables.values()}

    def __len__(self) -> int:
        return len(self._providers)

    def take(self, transactions: int) -> Iterator[Transaction]:
        """The next transactions."""
        return (self._transaction() for _ in range(transactions))

    def _transaction(self) -> Transaction:
        turn, self._next = self._next, self._next + 1
        provider = self._providers[turn % len(self._providers)]
        field = self._turns[turn // len(self._providers) % len(self._turns)]
        return [self._identity(provider, field), self._license(provider), self._start(provider)]

    def _identity(self, provider: Provider, field: str) -> Update:
        row = provider.rows["provider"][0]
        names = ("MD", "DO", "NP", "PA") if field == "degree" else FIRST_NAMES
        value = self._rng.choice([name for name in names if name != row.get(field)])
        return self._update("provider", row, {field: value})

    def _license(self, provider: Provider) -> Update:
        row = self._rng.choice(provider.rows["license"])
        return self._update("license", row, {"expires": _moved(row.get("expires"), days=1)})

    def _start(self, provider: Provider) -> Update:
        choices = [
            (table, row, column)
            for table, column in _STARTS.items()
            for row in provider.rows.get(table, ())
            if row.get(column)
        ]
        table, row, column = self._rng.choice(choices)
        return self._update(table, row, {column: _moved(row[column], days=-1)})

    def _update(self, table: str, row: Row, changed: dict[str, object]) -> Update:
        row.update(changed)
        return Update(table, self._keys[table], changed, dict(row))


_STARTS = {
    "affiliation": "effective_from",
    "provider_location": "effective_from",
    "network_participation": "effective",
}


def _is_shown(provider: Provider) -> bool:
    root = provider.rows["provider"][0]
    return root["status"] == "active" and formats.npi(str(root.get("npi") or "")) is None


def _moved(day: Any, days: int) -> date:
    start = day if isinstance(day, date) else date(2028, 1, 1)
    return start + timedelta(days=days)


def statement(transaction: Transaction) -> str:
    """The transaction as one simple query: a round trip, a commit, and no work for the client."""
    updates = ";".join(_update_sql(update) for update in transaction)
    return f"begin;{updates};commit;"


def _update_sql(update: Update) -> str:
    changes = ",".join(f"{column}='{value}'" for column, value in update.set.items())
    return f"update {update.table} set {changes} where {update.key}='{update.row[update.key]}'"


class Feed:
    """Writes rows as Debezium does: about 1 kB of JSON, positions that rise with each commit, the epoch header."""

    def __init__(self) -> None:
        self._lsn = 100_000_000
        self._prior = self._lsn
        self._txid = 1_000
        self._images = {name: _image(name) for name in load_mapping(SYSTEM).tables}
        self._entities = {table.name: table.entity for table in load_mapping(SYSTEM).tables.values()}
        self._encode = msgspec.json.Encoder().encode

    def inserts(self, rows: Sequence[tuple[str, Row]]) -> list[Record]:
        """One transaction that inserts rows."""
        return self._commit([(table, row, "c") for table, row in rows])

    def updates(self, transaction: Transaction) -> list[Record]:
        """One transaction of updates."""
        return self._commit([(update.table, update.row, "u") for update in transaction])

    def _commit(self, rows: Sequence[tuple[str, Row, str]]) -> list[Record]:
        committed = time.time_ns() // 1_000
        self._txid += 1
        records = [
            self._record(table, row, op, number, committed) for number, (table, row, op) in enumerate(rows, 1)
        ]
        self._lsn += 64
        self._prior = self._lsn
        return records

    def _record(self, table: str, row: Row, op: str, number: int, committed: int) -> Record:
        self._lsn += 240
        value = {
            "before": None,
            "after": self._images[table](row),
            "source": {
                "version": "3.7.0.Final",
                "connector": "postgresql",
                "name": SYSTEM,
                "ts_ms": committed // 1_000,
                "snapshot": "false",
                "db": SYSTEM,
                "sequence": f'["{self._prior}","{self._lsn}"]',
                "ts_us": committed,
                "ts_ns": committed * 1_000,
                "schema": "public",
                "table": table,
                "txId": self._txid,
                "lsn": self._lsn,
                "xmin": None,
                "origin": None,
                "origin_lsn": None,
            },
            "transaction": {
                "id": f"{self._txid}:{self._lsn}",
                "total_order": number,
                "data_collection_order": 1,
            },
            "op": op,
            "ts_ms": committed // 1_000 + 1,
            "ts_us": committed + 900,
            "ts_ns": (committed + 900) * 1_000,
        }
        return str(row[self._entities[table]]).encode(), self._encode(value), _HEADERS


_HEADERS = [
    ("__debezium.context.connectorLogicalName", SYSTEM.encode()),
    ("__debezium.context.taskId", b"0"),
    ("__debezium.context.connectorName", b"postgresql"),
    ("__debezium.context.runId", b"00000000-0000-4000-8000-000000000000"),
    ("concord-epoch", str(EPOCH).encode()),
]


def _image(table: str) -> Callable[[Row], dict[str, Any]]:
    """How Debezium shows a row of this table: the captured columns, each in the form its type has in JSON."""
    mapped, catalog = load_mapping(SYSTEM).tables[table], load_catalog()
    forms: list[tuple[str, Callable[[Any], Any]]] = []
    for column in mapped.captured:
        field = catalog.field(*mapped.target(column)) if column in mapped.columns else None
        forms.append((column, _FORMS.get(field.type if field else "uuid", _text)))

    def image(row: Row) -> dict[str, Any]:
        return {column: form(row.get(column)) for column, form in forms}

    return image


def _text(value: Any) -> Any:
    return None if value is None else str(value)


def _date(value: Any) -> Any:
    return None if value is None else f"{value}Z"


def _document(value: Any) -> Any:
    """A text array arrives as a list, jsonb as its text."""
    return value if isinstance(value, list) else _text(value)


def _same(value: Any) -> Any:
    return value


def _integer(value: Any) -> Any:
    return 1 if value is None else value


_FORMS: dict[str, Callable[[Any], Any]] = {
    "date": _date,
    "integer": _integer,  # row_version, whose default is 1
    "boolean": bool,
    "text_list": _same,
    "json": _document,
}
