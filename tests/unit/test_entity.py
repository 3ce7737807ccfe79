"""Aggregation: commutative across rows and idempotent, so that every replay converges (Invariants 1 and 3)."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from connectors.envelope import UNAVAILABLE as UNLOGGED
from connectors.envelope import Change as Row
from streams.core import entity as core_entity
from streams.core.advance import advance, miss
from streams.core.canonical import RECORDS, License, Organization, ProviderLocation
from streams.core.change import Change, Malformed, Position
from streams.core.entity import APPLIED, SUPERSEDED, UNCHANGED, Entity, aggregate, golden
from tests.strategies import BY_TYPE, CATALOG, any_entity, decoded, reordered, replayed
from tests.world import AUTHORITY, entity_of, row, rows_of


def claims_of(changes: list[Change]) -> Any:
    entity = Entity(changes[0].kind, changes[0].entity_id)
    for change in changes:
        aggregate(entity, change)
    return entity.claims


def bad(position: Position, row_id: str = "license-0", **parts: Any) -> Malformed:
    known = {"kind": "provider", "entity_id": "provider-0", "record": "license", "system": "credentialing"}
    return Malformed("change.type_wrong", "a path", row_id=row_id, position=position, **{**known, **parts})


def license_row(**columns: Any) -> Row:
    return row("license", license_id="license-0", provider_id="provider-0", **columns)


# ---- properties ----


@given(any_entity.flatmap(lambda items: st.tuples(st.just(items), reordered(items))))
def test_rows_may_come_in_any_order_among_each_other(both: tuple[list[Change], list[Change]]) -> None:
    history, shuffled = both
    assert claims_of(history) == claims_of(shuffled)


@given(any_entity.flatmap(lambda items: st.tuples(st.just(items), replayed(items))))
def test_replayed_stretches_change_nothing(both: tuple[list[Change], list[Change]]) -> None:
    history, sent_again = both
    assert claims_of(history) == claims_of(sent_again)


@given(any_entity)
def test_a_replay_is_superseded_and_leaves_every_byte(history: list[Change]) -> None:
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    before = core_entity.encode(entity)
    assert {advance(entity, change, 1) for change in history} == {SUPERSEDED}
    assert core_entity.encode(entity) == before


@given(any_entity.flatmap(st.permutations))
def test_the_newest_position_of_a_row_wins_in_whatever_order(shuffled: list[Change]) -> None:
    newest: dict[tuple[str, str], Change] = {}
    for change in sorted(shuffled, key=lambda c: c.position):
        newest[change.record, change.row_id] = change
    claims = claims_of(shuffled)["credentialing"]
    for (record, row_id), change in newest.items():
        assert claims[record][row_id].position == change.position
        assert claims[record][row_id].is_deleted == (change.values is None)


@given(any_entity)
def test_an_entity_comes_back_from_its_bytes(history: list[Change]) -> None:
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    encoded = core_entity.encode(entity)
    assert core_entity.encode(core_entity.decode(encoded)) == encoded


@given(any_entity, st.sampled_from(["enrollment", "directory", "billing", "stewardship", "nppes"]), st.data())
def test_a_golden_value_depends_only_on_claims_its_authority_row_admits(
    history: list[Change], other: str, data: st.DataObject
) -> None:
    """Invariant 4: whatever another system claims of fields it doesn't own, nothing changes."""
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    before = rows_of(golden(entity, AUTHORITY))
    for change in data.draw(st.lists(st.sampled_from(history), min_size=1, max_size=4)):
        rules = AUTHORITY.rules[change.record]
        fields = CATALOG.records[change.record].fields
        foreign = [f for f in fields if other not in rules[f].owners]
        drawn = {f: data.draw(st.none() | BY_TYPE[fields[f].type]) for f in foreign}
        values = RECORDS[change.record](**drawn)
        later = (change.position[0] + 1, change.position[1], change.position[2])
        aggregate(entity, msgspec.structs.replace(change, system=other, position=later, values=values))
    assert rows_of(golden(entity, AUTHORITY)) == before


def test_what_another_system_owns_of_a_row_is_added_and_keeps_no_deleted_row_alive() -> None:
    group = row("organization", org_id="organization-0", npi="1245319599")
    [ours] = decoded([[group]])
    theirs = msgspec.structs.replace(
        ours, system="billing", values=Organization(billing_line1="1 Lockbox", legal_name="No")
    )
    entity = entity_of([theirs, ours], "organization", "organization-0")
    root = golden(entity, AUTHORITY).one(Organization)
    assert root is not None
    assert (root.billing_line1, root.legal_name) == ("1 Lockbox", "Example Group")
    aggregate(entity, msgspec.structs.replace(ours, position=(9, 0, 0), values=None))
    assert golden(entity, AUTHORITY).one(Organization) is None


# ---- examples: outcomes ----


def test_the_same_values_at_a_newer_position_are_unchanged() -> None:
    first, second = decoded([[license_row()], [license_row()]])
    entity = Entity("provider", "provider-0")
    assert [aggregate(entity, first), aggregate(entity, second)] == [APPLIED, UNCHANGED]
    assert entity.claims["credentialing"]["license"]["license-0"].position == second.position


def test_a_deleted_row_leaves_a_tombstone_that_older_rows_do_not_raise() -> None:
    first, gone = decoded([[license_row()], [Row("license", license_row().row, "d")]])
    entity = Entity("provider", "provider-0")
    assert [aggregate(entity, gone), aggregate(entity, first)] == [APPLIED, SUPERSEDED]
    assert golden(entity, AUTHORITY).rows(License) == {}


# ---- examples: refused values keep the last good one ----


def test_a_refused_value_keeps_the_last_good_one_until_it_is_corrected() -> None:
    good, wrong, worse, right = decoded([[license_row(state=state)] for state in ("IL", "ZZ", "Q", "WI")])
    entity = Entity("provider", "provider-0")
    seen = []
    for change in (good, wrong, worse, right):
        aggregate(entity, change)
        seen.append(golden(entity, AUTHORITY).rows(License)["license-0"].state)
    assert seen == ["IL", "IL", "IL", "WI"]


def test_a_refused_value_with_no_good_one_before_is_null_and_the_rest_of_the_row_counts() -> None:
    [change] = decoded([[license_row(state="ZZ", status="expired")]])
    values = golden(entity_of([change]), AUTHORITY).rows(License)["license-0"]
    assert (values.state, values.status) == (None, "expired")


def test_a_row_deleted_and_made_again_has_no_last_good_value() -> None:
    history = decoded(
        [[license_row(state="IL")], [Row("license", license_row().row, "d")], [license_row(state="ZZ")]]
    )
    assert golden(entity_of(history), AUTHORITY).rows(License)["license-0"].state is None


@pytest.mark.parametrize(
    ("table", "record"), [("provider_location", "provider_location"), ("license", "license")]
)
def test_dates_out_of_order_keep_the_last_good_pair(table: str, record: str) -> None:
    first, last = {"license": ("issued", "expires")}.get(table, ("effective_from", "effective_to"))
    ids = (
        {"provider_id": "provider-0", "license_id": "x"}
        if table == "license"
        else {"provider_id": "provider-0", "id": "x"}
    )
    good = row(table, **ids, **{first: "2020-01-01", last: "2027-01-01"})
    wrong = row(table, **ids, **{first: "2028-01-01", last: "2027-01-01"})
    values = golden(entity_of(decoded([[good], [wrong]])), AUTHORITY).named(record)["x"]
    assert (getattr(values, first), getattr(values, last)) == ("2020-01-01", "2027-01-01")


def test_a_period_that_was_never_right_stands_for_no_day() -> None:
    place = row(
        "provider_location",
        id="x",
        provider_id="provider-0",
        effective_from="2028-01-01",
        effective_to="2027-01-01",
    )
    assert golden(entity_of(decoded([[place]])), AUTHORITY).rows(ProviderLocation) == {}


# ---- examples: unchanged TOAST and gaps ----


def test_an_unlogged_value_keeps_what_is_held() -> None:
    history = decoded([[license_row(number="A1")], [license_row(number=UNLOGGED, status="expired")]])
    entity = entity_of(history)
    values = golden(entity, AUTHORITY).rows(License)["license-0"]
    assert (values.number_raw, values.status) == ("A1", "expired")
    assert entity.claims["credentialing"]["license"]["license-0"].gaps == []


@pytest.mark.parametrize("before", [[], [license_row(number=None)], [Row("license", license_row().row, "d")]])
def test_an_unlogged_value_with_nothing_to_keep_is_a_gap(before: list[Row]) -> None:
    """Null is nothing to keep: what was null can't be stored out of line, so a change was missed."""
    history = decoded([*[[b] for b in before], [license_row(number=UNLOGGED)]])
    assert entity_of(history).claims["credentialing"]["license"]["license-0"].gaps == ["number_raw"]


def test_a_gap_stays_until_the_value_comes() -> None:
    history = decoded(
        [
            [license_row(number=UNLOGGED)],
            [license_row(number=UNLOGGED, status="expired")],
            [license_row(number="A1")],
        ]
    )
    entity, seen = Entity("provider", "provider-0"), []
    for change in history:
        aggregate(entity, change)
        seen.append(entity.claims["credentialing"]["license"]["license-0"].gaps)
    assert seen == [["number_raw"], ["number_raw"], []]


def test_an_unlogged_value_after_a_quarantined_change_is_a_gap() -> None:
    first, second = decoded([[license_row(number="A1")], [license_row(number=UNLOGGED)]])
    entity = entity_of([first])
    assert miss(entity, bad((1, 1_050, 1_055)), 0)
    aggregate(entity, second)
    assert entity.claims["credentialing"]["license"]["license-0"].gaps == ["number_raw"]
    assert entity.gaps == {"license/license-0": "change.type_wrong"}


def test_a_good_row_closes_the_gap_of_a_quarantined_one_even_when_its_values_are_the_same() -> None:
    first, second = decoded([[license_row()], [license_row()]])
    entity = entity_of([first])
    miss(entity, bad((1, 1_050, 1_055)), 0)
    entity.dirty = None
    assert advance(entity, second, 0) == APPLIED
    assert entity.gaps == {}
    assert entity.dirty is not None, "its finding has to close"


def test_a_replayed_bad_change_reopens_no_gap() -> None:
    first, second = decoded([[license_row()], [license_row(status="expired")]])
    entity = entity_of([first])
    wrong = bad((1, 1_050, 1_055))
    assert first.position < (1, 1_050, 1_055) < second.position
    assert miss(entity, wrong, 0)
    advance(entity, second, 0)
    before = core_entity.encode(entity)
    assert not miss(entity, wrong, 0)
    assert core_entity.encode(entity) == before


def test_a_quarantined_change_makes_the_entity_dirty_once() -> None:
    entity = entity_of(decoded([[license_row()]]))
    entity.dirty = None
    assert miss(entity, bad((1, 9_000, 9_001)), 7)
    assert entity.dirty is not None
    assert (entity.dirty.position, entity.dirty.received_us) == ((1, 9_000, 9_001), 7)
    assert not miss(entity, bad((1, 9_000, 9_001)), 8)


def test_a_decision_can_be_taken_back_whole() -> None:
    entity = entity_of(decoded([[license_row()]]))
    entity.sent, entity.findings = {}, {}
    before, standing = core_entity.encode(entity), core_entity.standing(entity)
    entity.revision, entity.announced, entity.dirty = 9, "1234567893", None
    entity.sent["directory"] = core_entity.Sent(9, Raw(b"\x90"))
    entity.findings["code subject"] = core_entity.Open((0, 0, 0), "low", "warn", "", "")
    entity.trail, entity.depends = [*entity.trail, *deepcopy(entity.trail)], ["location/x"]
    core_entity.take_back(entity, standing)
    assert core_entity.encode(entity) == before
