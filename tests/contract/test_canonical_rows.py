"""The core's typed rows are the catalogue's records, field by field."""

from __future__ import annotations

from schemas import canonical
from schemas.catalog import load_catalog
from streams.core.canonical import RECORDS


def test_the_typed_rows_are_up_to_date() -> None:
    assert canonical.MODULE.read_text() == canonical.module(load_catalog()), (
        "run `python -m schemas.canonical`"
    )


def test_every_row_knows_its_record() -> None:
    assert {row.RECORD: row for row in RECORDS.values()} == RECORDS
