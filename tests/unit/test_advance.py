"""The whole core: deterministic, idempotent, revisions that rise exactly when a view changes."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from connectors.envelope import Change as Row
from connectors.envelope import Source
from streams.core import entity as core_entity
from streams.core.advance import REFERENCE, Emission, advance, decide
from streams.core.canonical import Organization
from streams.core.change import Change
from streams.core.entity import TRAIL_LENGTH, Entity, Golden, Sent
from streams.core.gate import Hold, Pass, Withdraw
from streams.core.view import ENDING, VIEWS
from tests.strategies import any_entity, decoded, reordered, replayed, transactions
from tests.world import WORLD, entity_of, golden_of, provider, references, row, world


def fresh(history: list[Change]) -> Entity:
    return Entity(history[0].kind, history[0].entity_id)


@given(any_entity)
def test_to_decide_again_says_nothing_and_leaves_every_byte(history: list[Change]) -> None:
    entity = entity_of(history, history[0].kind, history[0].entity_id)
    decide(entity, WORLD, 1)
    before = core_entity.encode(entity)
    again = decide(entity, WORLD, 2)
    assert (again.emissions, again.findings, again.announcements, again.reference) == ([], [], [], None)
    assert core_entity.encode(entity) == before


@given(any_entity)
def test_the_same_entity_is_decided_the_same_from_its_bytes(history: list[Change]) -> None:
    """Deterministic: a restart in the middle changes nothing that anyone is told."""
    here, there = fresh(history), fresh(history)
    for change in history:
        for entity in (here, there):
            advance(entity, change, 0)
        there = core_entity.decode(core_entity.encode(there))
        assert decide(here, WORLD, 5) == decide(there, WORLD, 5)
    assert core_entity.encode(here) == core_entity.encode(there)


@given(any_entity)
def test_revisions_rise_by_one_with_each_decision_that_changes_a_view_and_never_else(
    history: list[Change],
) -> None:
    entity = fresh(history)
    for change in history:
        before, sent = entity.revision, deepcopy(entity.sent)
        advance(entity, change, 0)
        emissions = decide(entity, WORLD, 0).emissions
        assert entity.revision == before + bool(emissions)
        assert all(e.revision == entity.revision for e in emissions)
        told = {e.sink for e in emissions}
        for sink, last in entity.sent.items():
            if sink != REFERENCE:
                assert (sink in told) == (sent.get(sink) is None or sent[sink].content != last.content)


@given(any_entity.flatmap(lambda items: st.tuples(st.just(items), reordered(items), replayed(items))))
def test_a_snapshot_in_any_order_gives_the_same_views(
    histories: tuple[list[Change], list[Change], list[Change]],
) -> None:
    views = []
    for history in histories:
        entity = entity_of(history, histories[0][0].kind, histories[0][0].entity_id)
        decide(entity, WORLD, 0)
        views.append(
            ({s: v.content for s, v in entity.sent.items() if s != REFERENCE}, entity.findings.keys())
        )
    assert views[0] == views[1] == views[2]


@given(any_entity.flatmap(lambda items: st.tuples(st.just(items), reordered(items).flatmap(replayed))))
def test_any_order_across_rows_with_any_duplicates_gives_the_same_entity(
    histories: tuple[list[Change], list[Change]],
) -> None:
    """Whatever is kept but how it came about: claims, views, findings, what it depends on and when it is due."""
    entities = []
    for history in histories:
        entity = entity_of(history, histories[0][0].kind, histories[0][0].entity_id)
        entity.dirty = None
        decide(entity, WORLD, 0)
        entity.trail = []
        entities.append(entity)
    assert entities[0] == entities[1]


@given(transactions(entity="provider-0", names=["provider", "provider_location", "network_participation"]))
def test_deciding_each_transaction_or_only_the_last_ends_in_the_same_views(history: list[list[Row]]) -> None:
    """Decide once: what is skipped in between is nothing anyone needs."""
    each, last, source = (
        Entity("provider", "provider-0"),
        Entity("provider", "provider-0"),
        Source("credentialing"),
    )
    for tx in history:
        for change in decoded([tx], source):
            advance(each, change, 0)
            advance(last, change, 0)
        decide(each, WORLD, 0)
    decide(last, WORLD, 0)
    if not any(isinstance(decide(e, WORLD, 0).verdict, Hold) for e in (each, last)):
        assert {s: v.content for s, v in each.sent.items()} == {s: v.content for s, v in last.sent.items()}


@given(any_entity, any_entity)
def test_while_a_sink_is_held_it_keeps_its_view_without_what_is_over(
    first: list[Change], second: list[Change]
) -> None:
    """Invariant 10: of a view that is on hold nothing new is published."""
    for history in (first, second):
        entity = fresh(history)
        for change in history:
            advance(entity, change, 0)
            sent = {s: v for s, v in entity.sent.items() if s != REFERENCE}
            decision = decide(entity, WORLD, 0)
            told = {e.sink: e for e in decision.emissions}
            for sink, verdict in decision.sinks.items():
                if isinstance(verdict, Hold) and sink in told:
                    assert_narrowed(sent[sink], told[sink])
                elif isinstance(verdict, Hold):
                    assert entity.sent.get(sink) == sent.get(sink)


def assert_narrowed(before: Sent, told: Emission) -> None:
    """It says what was said before, and of listings or affiliations less."""
    was = VIEWS[told.kind][told.sink].decode(before.content)
    (parts,) = told.changed
    left, had = getattr(told.content, parts), getattr(was, parts)
    assert parts in ENDING
    assert len(left) < len(had)
    assert all(part in had for part in left)


def test_who_leaves_a_place_is_not_listed_there_any_more_although_the_directory_is_on_hold() -> None:
    entity = provider()
    decide(entity, WORLD, 0)
    listed = VIEWS["provider"]["directory"].decode(entity.sent["directory"].content)
    assert listed.listings  # type: ignore[attr-defined]
    moved = [
        row(
            "provider_location", id="provider_location-0", provider_id="provider-0", location_id="location-9"
        ),
        row("provider", provider_id="provider-0", npi="1234567893", last_name="Other", status="active"),
    ]
    for change in decoded([moved], Source("credentialing", epoch=2)):
        advance(entity, change, 0)
    decision = decide(entity, WORLD, 0)
    assert isinstance(decision.verdict, Hold)
    (told,) = [e for e in decision.emissions if e.sink == "directory"]
    assert told.content == structs.replace(listed, listings=[])


@given(any_entity)
def test_an_entity_that_is_withdrawn_leaves_no_active_view(history: list[Change]) -> None:
    entity = fresh(history)
    active: dict[str, str] = {}
    for change in history:
        advance(entity, change, 0)
        decision = decide(entity, WORLD, 0)
        active |= {e.sink: e.content.status for e in decision.emissions}
        if isinstance(decision.verdict, Withdraw):
            assert "active" not in active.values()


def test_an_unknown_reference_holds_and_keeps_what_was_sent() -> None:
    entity = provider()
    decide(entity, WORLD, 0)
    sent = dict(entity.sent)
    [elsewhere] = decoded(
        [[row("provider_location", id="x", provider_id="provider-0", location_id="location-9")]],
        Source("credentialing", epoch=2),
    )
    advance(entity, elsewhere, 0)
    decision = decide(entity, WORLD, 0)
    assert decision.verdict == Hold(("reference.unknown",))
    assert "location/location-9" in entity.depends
    assert entity.sent == sent


@pytest.mark.parametrize(
    "gone",
    [None, golden_of("location", "location-0", {}), golden_of("location", "location-0", {"location": {}})],
)
def test_a_reference_without_its_own_row_is_as_unknown_as_one_that_never_came(gone: Golden | None) -> None:
    known = {**references(), "location/location-0": gone}
    decision = decide(provider(), world({k: v for k, v in known.items() if v is not None}), 0)
    assert decision.verdict == Hold(("reference.unknown",))


def test_a_withdrawal_waits_for_no_reference() -> None:
    decision = decide(provider(status="terminated"), world({}), 0)
    assert decision.verdict == Withdraw("provider.terminated")
    assert {e.content.status for e in decision.emissions} == {"withdrawn"}
    assert decision.findings == []


def test_a_reference_is_broadcast_when_its_golden_record_changes_and_only_then() -> None:
    first, same, other = decoded(
        [[row("organization", org_id="organization-0", dba=d)] for d in ("A", "A", "B")]
    )
    entity = Entity("organization", "organization-0")
    seen = []
    for change in (first, same, other):
        advance(entity, change, 0)
        broadcast = decide(entity, WORLD, 0).reference
        root = core_entity.decode_golden(broadcast).one(Organization) if broadcast else None
        seen.append(root and root.dba_name)
    assert seen == ["A", None, "B"]


def test_an_npi_is_announced_once_kept_when_it_would_change_and_given_up_when_the_entity_goes() -> None:
    source = Source("credentialing", epoch=2)
    entity = provider()
    assert decide(entity, WORLD, 0).announcements == [("1234567893", True)]
    said = []
    for change in decoded(
        [[row("provider", provider_id="provider-0", npi=n)] for n in ("1245319599", "1")], source
    ):
        advance(entity, change, 0)
        said.append(decide(entity, WORLD, 0).announcements)
    [gone] = decoded([[Row("provider", row("provider", provider_id="provider-0").row, "d")]], source)
    advance(entity, gone, 0)
    said.append(decide(entity, WORLD, 0).announcements)
    assert said == [[], [], [("1234567893", False)]]


def test_the_trail_keeps_the_last_revisions_with_the_change_that_caused_each() -> None:
    entity, source = provider(), Source("credentialing", epoch=2)
    decide(entity, WORLD, 0)
    for number in range(12):
        [change] = decoded([[row("provider", provider_id="provider-0", degree=f"D{number}")]], source)
        advance(entity, change, 3)
        decide(entity, WORLD, 4)
    assert len(entity.trail) == TRAIL_LENGTH
    assert [step.revision for step in entity.steps()] == list(range(6, 14))
    assert (entity.steps()[-1].position, entity.steps()[-1].received_us, entity.steps()[-1].decided_us) == (
        change.position,
        3,
        4,
    )


def test_a_reactivated_provider_is_told_anew() -> None:
    source = Source("credentialing", epoch=2)
    entity = provider()
    verdicts = [type(decide(entity, WORLD, 0).verdict)]
    for status in ("terminated", "active"):
        [change] = decoded([[row("provider", provider_id="provider-0", status=status)]], source)
        advance(entity, change, 0)
        verdicts.append(type(decide(entity, WORLD, 0).verdict))
    assert verdicts == [Pass, Withdraw, Pass]
    assert entity.revision == 3
