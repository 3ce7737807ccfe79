"""When time alone changes something: the next date, and that nothing changes between two of them."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from streams.core import view
from streams.core.advance import decide
from streams.core.canonical import RECORDS
from streams.core.change import Change
from streams.core.due import DATED, next_date
from streams.core.entity import golden
from tests.strategies import any_entity
from tests.world import AUTHORITY, TODAY, entity_of, golden_of, provider, row, world


def dated(record: str, **fields: str | None) -> str | None:
    return next_date(golden_of("provider", "p", {record: {"r": fields}}), TODAY)


@pytest.mark.parametrize(
    ("record", "fields", "wanted"),
    [
        ("affiliation", {"effective_from": "2026-06-02"}, "2026-06-02"),
        ("affiliation", {"effective_from": TODAY}, None),
        ("provider_location", {"effective_from": "2020-01-01", "effective_to": "2026-09-01"}, "2026-09-01"),
        ("provider_location", {"effective_from": "2026-08-01", "effective_to": "2026-09-01"}, "2026-08-01"),
        ("network_participation", {"term_date": TODAY}, "2026-06-02"),
        ("network_participation", {"term_date": "2026-05-31"}, None),
        ("former_name", {"effective_to": "2027-01-01"}, "2027-01-01"),
        ("license", {"expires": "2027-06-01"}, "2027-03-03"),
        ("license", {"expires": "2026-07-31"}, "2026-07-01"),
        ("license", {"expires": "2026-06-05"}, "2026-06-05"),
        ("license", {"expires": TODAY}, "2026-06-02"),
        ("license", {"expires": "2026-05-31"}, None),
        ("dea_registration", {"expires": "2026-06-08"}, "2026-06-08"),
        ("malpractice_coverage", {"effective_to": "2026-06-09"}, "2026-06-02"),
        ("credentialing_cycle", {"due_date": "2026-09-01"}, "2026-06-03"),
        ("affiliation", {"effective_to": "9999-12-31"}, "9999-12-31"),
        ("network_participation", {"term_date": "9999-12-31"}, None),
        ("education", {"effective_to": "2026-06-02"}, None),
    ],
)  # fmt: skip
def test_the_next_date_is_the_first_one_after_today(
    record: str, fields: dict[str, str], wanted: str | None
) -> None:
    assert dated(record, **fields) == wanted


def test_of_several_rows_the_first_date_counts() -> None:
    rows = {"a": {"effective_from": "2026-08-01"}, "b": {"effective_to": "2026-07-01"}}
    record = golden_of("provider", "p", {"affiliation": rows, "license": {"l": {"expires": "2026-07-30"}}})
    assert next_date(record, TODAY) == "2026-06-30"
    assert next_date(record, "2026-07-30") == "2026-07-31"
    assert next_date(record, "2026-08-01") is None


def test_every_line_of_the_table_gives_each_of_its_dates_and_no_other() -> None:
    day = date(2026, 7, 1)
    for record, fields in DATED.items():
        for field, offsets in fields.items():
            rows = golden_of("provider", "p", {record: {"r": {field: f"{day}T10:00:00Z"}}})
            wanted = [(day + timedelta(offset)).isoformat() for offset in offsets]
            found = [next_date(rows, (day + timedelta(offset - 1)).isoformat()) for offset in offsets]
            assert found == wanted, f"{record}.{field}"
            assert next_date(rows, wanted[-1]) is None, f"{record}.{field}"


def test_a_date_of_no_line_never_comes() -> None:
    record = golden_of("provider", "p", {"psv_record": {"r": {"expires_at": "2026-07-01T10:00:00Z"}}})
    assert next_date(record, TODAY) is None


def test_every_dated_field_is_a_date_of_the_catalogue_and_its_offsets_ascend() -> None:
    for record, fields in DATED.items():
        for field, offsets in fields.items():
            assert field in RECORDS[record].__struct_fields__, f"{record}.{field}"
            assert list(offsets) == sorted(set(offsets))


def test_a_decision_remembers_when_its_entity_is_due() -> None:
    entity = provider(row("license", license_id="license-1", provider_id="provider-0", expires="2026-07-01"))
    decide(entity, world(), 0)
    assert entity.due == "2026-06-24"
    decide(entity, world(as_of="2026-07-01"), 0)
    assert entity.due == "2026-07-02"


def said(changes: list[Change], as_of: str) -> tuple[object, ...]:
    """What deciding an entity anew on a date says: verdict, findings, every view."""
    kind = changes[0].kind if changes else "provider"
    entity = entity_of(changes, kind, f"{kind}-0")
    decision = decide(entity, world(as_of=as_of), 0)
    shown = {e.sink: view.encode(e.content) for e in decision.emissions}
    return decision.verdict, sorted(entity.findings), shown


def due(changes: list[Change], as_of: str) -> str | None:
    kind = changes[0].kind if changes else "provider"
    return next_date(golden(entity_of(changes, kind, f"{kind}-0"), AUTHORITY), as_of)


around = st.sampled_from([date(2019, 1, 1), date(2024, 2, 29), date(2026, 6, 1), date(2030, 1, 1)])
days = st.builds(lambda day, by: (day + timedelta(by)).isoformat(), around, st.integers(-100, 100)) | (
    st.dates(date(1900, 1, 1), date(2200, 1, 1)).map(date.isoformat)
)


@given(any_entity, days, days)
def test_between_two_dates_with_nothing_due_nothing_changes(changes: list[Change], a: str, b: str) -> None:
    """The promise a tick rests on: who isn't due needs no decision."""
    a, b = min(a, b), max(a, b)
    coming = due(changes, a)
    if coming is not None and coming <= b:
        assume(coming > a)
        b = (date.fromisoformat(coming) - timedelta(1)).isoformat()
    assert said(changes, a) == said(changes, b)


@given(any_entity, days)
def test_the_next_date_lies_ahead_and_stays_until_it_comes(changes: list[Change], as_of: str) -> None:
    coming = due(changes, as_of)
    if coming is None:
        assert due(changes, "9999-12-30") in (None, "9999-12-31")
    else:
        assert coming > as_of
        before = (date.fromisoformat(coming) - timedelta(1)).isoformat()
        assert due(changes, before) == coming
