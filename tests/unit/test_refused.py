"""Refuse, for every checked field: the last value that passed stays, and the finding is open while the newest fails.

Enumerates streams/core/formats.CHECKS: a new check needs samples here, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import load_catalog
from streams.core import formats
from streams.core.advance import decide
from streams.core.canonical import RECORDS
from streams.core.change import Change
from streams.core.entity import Entity, aggregate, golden
from streams.core.formats import CHECKS, FIXED, KEPT
from tests.world import AUTHORITY, WORLD

GONE = "(the row is deleted)"
SAMPLES: dict[formats.Check, tuple[list[str], list[str]]] = {
    formats.npi: (["1234567893", "1245319599"], ["123", "1234567890"]),
    formats.dea: (["AP5836727", "BB1388568"], ["AP5836728", "x"]),
    formats.nucc: (["207Q00000X", "363L00000X"], ["101Y00000N", "207Q"]),
    formats.postal_code: (["62701", "62701-1234"], ["6270", "x"]),
    formats.state: (["IL", "WI"], ["ZZ", "il"]),
    formats.phone: (["+12175550142", "(217) 555-0143"], ["555", "1"]),
}
"""check -> (values that pass, values that don't)"""
FIELDS = [(record, field) for record, checks in CHECKS.items() for field in checks]


def history(record: str, field: str, values: list[str | None]) -> Iterator[Change]:
    kind = load_catalog().records[record].kind
    for number, value in enumerate(values):
        row = None if value == GONE else RECORDS[record](**{field: value})
        position = (1, number, 0)
        yield Change(
            "credentialing", kind, f"{kind}-0", record, "row", position, row, False, False, number, 0, 0, False
        )  # fmt: skip


def good(record: str, field: str, before: str | None, value: str | None) -> str | None:
    """What stays: the newest value that passed, was not blanked where it identifies, nor changed where it is fixed."""
    check = CHECKS[record][field]
    if value is None and field in KEPT.get(record, ()):
        return before
    if value is not None and check(value) is not None:
        return before
    fixed = FIXED.get(record) == field
    return before if fixed and before is not None else value


@pytest.mark.parametrize(("record", "field"), FIELDS, ids=lambda name: str(name))
@given(data=st.data())
def test_the_last_value_that_passed_stays_and_the_finding_closes_with_the_next(
    record: str, field: str, data: st.DataObject
) -> None:
    check = CHECKS[record][field]
    right, wrong = SAMPLES[check]
    values = data.draw(st.lists(st.sampled_from([*right, *wrong, None, GONE]), min_size=1, max_size=8))
    entity, wanted = None, None
    for change, value in zip(history(record, field, values), values, strict=True):
        entity = entity or Entity(change.kind, change.entity_id)
        aggregate(entity, change)
        wanted = None if value == GONE else good(record, field, wanted, value)
        rows = golden(entity, AUTHORITY).named(record)
        assert [getattr(row, field) for row in rows.values()] == ([] if value == GONE else [wanted])
        decide(entity, WORLD, 0)
        code = check(value) if value not in (None, GONE) else None
        said = {key for key in entity.findings if key.startswith("format.")}
        assert said == ({f"{code} {record}/row/{field}"} if code else set())
