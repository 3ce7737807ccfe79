"""Row changes in the form Debezium gives them: a source in memory, for scenarios, tools and tests.

    rows of a system --Source--> records (key, value, headers) as they stand on cdc.<system>

Rows are dicts by column; what is left out is null. Values are plain: ISO dates, lists and documents; the wire forms
(`2027-01-01Z`, JSON text) are made here. tests/contract/test_envelope.py compares with recorded Debezium events.
Never talks to Kafka or to a database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.source import APPLIED
from schemas.catalog import Catalog, Table, load_catalog, load_mapping

Row = Mapping[str, Any]
Op = Literal["c", "u", "d", "r"]
Headers = list[tuple[str, bytes]]
Message = tuple[bytes, bytes, Headers]

MIDNIGHT_US = 86_400_000_000
PLACEHOLDER = "__debezium_unavailable_value"
TEXT_ARRAYS = frozenset({("credentialing", "practice_location", "accessibility")})
"""Columns of type text[] whose canonical field is a document, because other systems hold it as jsonb."""
UNAVAILABLE = object()
"""A value PostgreSQL did not log because it was unchanged and stored out of line."""


@dataclass(slots=True)
class Change:
    """One row change: the table, the row as it is afterwards (its identity suffices for a delete), the operation."""

    table: str
    row: Row
    op: Op = "u"


@dataclass(slots=True)
class Source:
    """One system's log: transactions get rising positions, as PostgreSQL gives them.

    `prior` is the end of the last commit; each row of a transaction takes an LSN of its own after it.
    """

    system: str
    epoch: int = 1
    prior: int = 1_000
    txid: int = 700
    day: int = 20_000
    """the commit date, in days since 1970"""
    at_us: int = 0
    """when it is committed, to the microsecond (epoch us); 0: as the date begins"""
    catalog: Catalog = field(default_factory=load_catalog)

    def transaction(self, changes: Sequence[Change]) -> list[Message]:
        """The records of one committed transaction."""
        self.txid += 1
        messages = [
            self.message(change, self.prior, self.prior + 8 * number)
            for number, change in enumerate(changes, 1)
        ]
        self.prior += 8 * len(changes) + 48
        return messages

    def snapshot(self, rows: Sequence[Change]) -> list[Message]:
        """The records of an initial snapshot, read before anything is streamed."""
        return [self.message(Change(c.table, c.row, "r"), None, self.prior, "true") for c in rows]

    def message(self, change: Change, prior: int | None, lsn: int, snapshot: str = "false") -> Message:
        """One record at a position of the caller's choice."""
        table = APPLIED if change.table == APPLIED.name else load_mapping(self.system).tables[change.table]
        image = {column: self._wire(table, column, change.row.get(column)) for column in table.captured}
        return (
            str(change.row[table.entity]).encode(),
            json.dumps(self._envelope(change, image, prior, lsn, snapshot), ensure_ascii=False).encode(),
            [("concord-epoch", str(self.epoch).encode())],
        )

    def _envelope(
        self, change: Change, image: dict[str, Any], prior: int | None, lsn: int, snapshot: str
    ) -> dict[str, Any]:
        before = image if change.op == "d" else None
        committed_us = self.at_us or self.day * MIDNIGHT_US
        return {
            "before": before,
            "after": None if before is not None else image,
            "source": {
                "version": "3.7.0.Final",
                "connector": "postgresql",
                "name": self.system,
                "ts_ms": committed_us // 1000,
                "snapshot": snapshot,
                "db": self.system,
                "sequence": json.dumps([None if prior is None else str(prior), str(lsn)]),
                "ts_us": committed_us,
                "ts_ns": committed_us * 1000,
                "schema": "public",
                "table": change.table,
                "txId": self.txid,
                "lsn": lsn,
                "xmin": None,
                "origin": None,
                "origin_lsn": None,
            },
            "transaction": None if change.op == "r" else {"id": f"{self.txid}:{lsn}", "total_order": 1},
            "op": change.op,
            "ts_ms": committed_us // 1000 + 1,
            "ts_us": committed_us + 1000,
            "ts_ns": committed_us * 1000 + 1_000_000,
        }

    def _wire(self, table: Table, column: str, value: Any) -> Any:
        if value is None or column not in table.columns:
            return value
        known = self.catalog.field(*table.target(column))
        kind = known.type if known is not None else "text"
        if (self.system, table.name, column) in TEXT_ARRAYS:
            kind = "text_list"
        if value is UNAVAILABLE:
            return [PLACEHOLDER] if kind == "text_list" else PLACEHOLDER
        if kind == "date":
            return f"{value}Z"
        if kind == "timestamp" and "T" not in str(value):  # a scenario may name the day alone
            return f"{value}T00:00:00.000000Z"
        return json.dumps(value, ensure_ascii=False) if kind == "json" else value
