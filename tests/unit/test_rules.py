"""Properties of the rule book in a decision: causes and findings, refused values, sinks on hold, unknown data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.envelope import Change as Row
from connectors.envelope import Source
from streams.core import formats
from streams.core.advance import advance, decide
from streams.core.change import Change
from streams.core.entity import Entity, Golden
from streams.core.gate import PASS, Hold, Withdraw
from streams.core.rules import book
from streams.core.rules.days import between, later, months_later
from streams.core.today import today
from streams.core.view import VIEWS, Part, named
from tests.strategies import BY_TYPE, CATALOG, PROVIDER_TABLES, any_entity, changes, decoded
from tests.world import WORLD, belongings, entity_of, golden_of, provider, row, world

OTHERS = [name for name in PROVIDER_TABLES if name != "provider"]


@given(st.lists(changes(OTHERS, "provider-0"), max_size=6))
def test_a_finding_is_resolved_when_its_cause_is_gone(extra: list[Row]) -> None:
    entity, source = provider(), Source("credentialing", epoch=2)
    decide(entity, WORLD, 0)
    before = set(entity.findings)
    undone = [Row(change.table, change.row, "d") for change in extra]
    for rows in (extra, undone, belongings()):
        for change in decoded([rows], source) if rows else ():
            advance(entity, change, 0)
        decide(entity, WORLD, 0)
    assert set(entity.findings) == before


@given(any_entity)
def test_a_view_never_carries_a_value_that_is_refused(history: list[Change]) -> None:
    """Invariant 10: at whatever depth of a view it stands."""
    entity = Entity(history[0].kind, history[0].entity_id)
    for change in history:
        advance(entity, change, 0)
        for emission in decide(entity, WORLD, 0).emissions:
            for field, value in leaves(named(emission.content)):
                assert not value or field not in SHOWN or SHOWN[field](value) is None, field


SHOWN: dict[str, formats.Check] = {
    "npi": formats.npi,
    "facility_npi": formats.npi,
    "group_npi": formats.npi,
    "state": formats.state,
    "license_state": formats.state,
    "postal_code": formats.postal_code,
    "phone": formats.phone,
    "fax": formats.phone,
    "taxonomy_code": formats.nucc,
    "specialty_nucc": formats.nucc,
}
"""field of a view -> the check of the value it shows"""


def leaves(shown: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(field, value) of a view, those of its parts among them."""
    if isinstance(shown, dict):
        for field, value in shown.items():
            yield from leaves(value, field)
    elif isinstance(shown, list):
        for item in shown:
            yield from leaves(item, name)
    else:
        yield name, shown


def test_every_checked_field_that_a_view_has_is_looked_at() -> None:
    shown = {field for by_sink in VIEWS.values() for c in by_sink.values() for field in fields_of(c.view)}
    checked = {field for checks in formats.CHECKS.values() for field in checks} - {"number", "location_npi"}
    assert checked & shown <= SHOWN.keys() <= shown


def fields_of(view: type) -> set[str]:
    """The fields of a view and of its parts."""
    hints = get_type_hints(view)
    parts = [arg for hint in hints.values() for arg in get_args(hint) if isinstance(arg, type)]
    return set(hints).union(*(fields_of(part) for part in parts if issubclass(part, Part)))


@given(any_entity)
def test_a_sink_that_waits_keeps_its_last_view_and_one_that_withdraws_shows_nothing(
    history: list[Change],
) -> None:
    entity = Entity(history[0].kind, history[0].entity_id)
    for change in history:
        advance(entity, change, 0)
        sent = dict(entity.sent)
        decision = decide(entity, WORLD, 0)
        status = {e.sink: e.content.status for e in decision.emissions}
        for sink, verdict in decision.sinks.items():
            if isinstance(verdict, Hold):
                assert entity.sent.get(sink) == sent.get(sink)
            else:
                assert status.get(sink, "") in (
                    "",
                    "withdrawn" if isinstance(verdict, Withdraw) else "active",
                )


KINDS = ("provider", "organization", "location")


@st.composite
def records(draw: st.DrawFn) -> Golden:
    """A golden record of any rows any system or witness may fill, of values by type only."""
    kind = draw(st.sampled_from(KINDS))
    known = [r for r in CATALOG.records.values() if r.kind in (kind, "provider")]
    rows: dict[str, dict[str, dict[str, Any]]] = {}
    for record in [CATALOG.records[kind], *draw(st.lists(st.sampled_from(known), max_size=6))]:
        values = {f: draw(st.none() | BY_TYPE[field.type]) for f, field in record.fields.items()}
        rows.setdefault(record.name, {})[draw(st.sampled_from(["a", "b"]))] = values
    return golden_of(kind, "id", rows)


@given(records(), st.sampled_from(["2019-01-01", "2026-06-01", "9999-12-31"]))
def test_no_rows_make_a_rule_raise_and_no_subject_holds_a_value(record: Golden, as_of: str) -> None:
    for code, subject in book.findings(today(record, WORLD.references, as_of)):
        first, *rest = subject.split("/")
        assert code in book.CODES
        assert first in CATALOG.records
        assert len(rest) <= 2
        assert len(rest) < 2 or rest[-1] in CATALOG.records[first].fields


def test_what_is_not_recorded_is_unknown_and_stops_nothing() -> None:
    """A provider of whom only the row itself is known: no licence, taxonomy, cycle or cover is no failure."""
    entity = entity_of(decoded([[row("provider", provider_id="provider-0")]]))
    decision = decide(entity, WORLD, 0)
    assert (decision.verdict, decision.findings) == (PASS, [])


def test_one_lapse_withdraws_here_holds_there_and_ends_by_itself() -> None:
    entity, source = provider(), Source("credentialing", epoch=2)
    decide(entity, WORLD, 0)
    ids: dict[str, Any] = {"license_id": "license-0", "provider_id": "provider-0"}
    for expires, wanted in (("2026-05-31", Withdraw("licence.lapsed")), ("2026-06-01", PASS)):
        for change in decoded([[row("license", **ids, expires=expires)]], source):
            advance(entity, change, 0)
        assert decide(entity, WORLD, 0).sinks["directory"] == wanted, "the day it expires still counts"


def test_time_alone_lets_a_licence_lapse() -> None:
    entity = provider()
    assert decide(entity, WORLD, 0).sinks["billing"] == PASS
    assert decide(entity, world(as_of="2028-01-02"), 0).sinks["billing"] == Hold(("licence.lapsed",))


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2023-11-21", 36, "2026-11-21"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2023-12-31", 2, "2024-02-29"),
        ("9999-12-31", 1, None),
        ("2026-01-31T10:00:00Z", 1, "2026-02-28"),
    ],
)
def test_months_later_is_the_same_day_or_the_months_last(start: str, months: int, end: str | None) -> None:
    assert months_later(start, months) == end


def test_days_beyond_the_calendar_are_unknown() -> None:
    assert later("9999-12-31", 1) is None
    assert later("", 1) is None
    assert between("2026-01-01", None) is None
    assert between("2026-01-01", "2026-05-01T10:00:00Z") == 120
