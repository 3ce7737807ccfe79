"""A bundle: the rows of one provider (or of one organization), in an order that satisfies the foreign keys.

What the generator and the NPPES mapper yield and the loader writes. Values only; never does I/O.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

Row: TypeAlias = dict[str, object]

# Load order: a row's references stand in an earlier table or in this one.
TABLES = (
    "organization",
    "delegation_agreement",
    "practice_location",
    "provider",
    "provider_name_history",
    "license",
    "dea_registration",
    "cds_registration",
    "board_certification",
    "taxonomy",
    "education",
    "work_history",
    "affiliation",
    "provider_location",
    "hospital_privilege",
    "malpractice_coverage",
    "malpractice_claim",
    "exclusion_hit",
    "psv_record",
    "credentialing_cycle",
    "committee_decision",
    "network_participation",
)
"""The tables a loader may fill, in load order."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Rows that are written together or not at all."""

    rows: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, table: str, **row: object) -> Row:
        """Add a row; a JSON document is passed through `document`."""
        self.rows.setdefault(table, []).append(row)
        return row

    def __len__(self) -> int:
        return sum(map(len, self.rows.values()))


def document(value: object) -> str:
    """A jsonb column's value: compact and stable, so that equal rows are equal text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def by_table(bundles: Iterable[Bundle]) -> dict[str, list[Row]]:
    """The rows of many bundles per table, in load order."""
    merged: dict[str, list[Row]] = {}
    for bundle in bundles:
        for table, rows in bundle.rows.items():
            merged.setdefault(table, []).extend(rows)
    return {table: merged[table] for table in TABLES if table in merged}
