"""Delivery into the target in memory: order, replay, deferral, refusals."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.deliver import Delivery
from connectors.directory.request import build
from connectors.intake import Chunk
from connectors.memory import Entity, MemoryTarget
from connectors.receipt import Receipt
from connectors.sink import Applied, Batch, Deferred, Failed, Partition, Superseded, View, newest
from connectors.wire import Undecodable
from streams.errors import Unavailable
from tests import views

PLACES = [views.entity(number) for number in range(3)]
PEOPLE = [views.entity(number) for number in range(10, 14)]
AT = Partition("sink.directory.provider", 0, "topic-id")


class Noted:
    """Receipts in a list; may be told to fail."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.down = False

    def write(self, receipts: Iterable[Receipt]) -> None:
        if self.down:
            raise Unavailable("receipt.unconfirmed", "down")
        self.receipts += receipts


def fresh(refuses: Iterable[str] = ()) -> MemoryTarget:
    bad = set(refuses)
    return MemoryTarget(build, {views.NETWORK_REF}, lambda view: view.entity_id in bad)


def place(number: int, revision: int = 1) -> View:
    return views.location("directory", PLACES[number], revision, city=f"Town {revision}")


def person(number: int, revision: int = 1, at: Iterable[int] = (0,), status: str = "active") -> View:
    listings = [views.listing(PLACES[place]) for place in at]
    content = {"listings": listings, "status": status, "first_name": f"Wren {revision}"}
    return views.provider("directory", PEOPLE[number], revision, **content)


some_views = st.lists(
    st.one_of(
        st.builds(place, st.integers(0, 2), st.integers(1, 5)),
        st.builds(
            person,
            st.integers(0, 3),
            st.integers(1, 5),
            st.sets(st.integers(0, 2)).map(sorted),
            st.sampled_from(["active", "withdrawn"]),
        ),
    ),
    max_size=25,
    unique_by=lambda view: (*view.identity, view.revision),
)


def delivered(target: MemoryTarget, chunks: Iterable[list[View]]) -> MemoryTarget:
    delivery = Delivery("directory", target, Noted())
    for chunk in chunks:
        delivery.deliver(Chunk(chunk))
    return target


def held(target: MemoryTarget) -> dict[tuple[str, str], tuple[object, ...]]:
    """What the target shows: without the numbers it gave its rows."""
    shown = {key: _shown(entity) for key, entity in target.state.entities.items()}
    waiting = {key: (view.revision, ref) for key, (view, ref) in target.state.pending.items()}
    return shown | {("waiting", str(key)): value for key, value in waiting.items()}


def _shown(entity: Entity) -> tuple[object, ...]:
    return entity.revision, entity.root, entity.children


@given(some_views)
def test_a_replay_changes_nothing(sent: list[View]) -> None:
    target = delivered(fresh(), [sent])
    before = held(target)
    assert held(delivered(target, [[view] for view in sent])) == before


@given(some_views, st.data())
def test_however_views_are_cut_into_chunks_the_newest_stands(sent: list[View], data: st.DataObject) -> None:
    """Per entity views arrive in order of revision (one partition); across entities in any order.

    Whatever the order, an entity ends at its newest view. It may hold an older root when that view only
    waits, so the newest known revision, applied or waiting, is what is compared.
    """
    target = delivered(fresh(), [[view] for view in data.draw(st.permutations(sent))])
    for view in newest(sent)[0]:
        entity, waiting = target.state.entities.get(view.identity), target.state.pending.get(view.identity)
        assert max(entity.revision if entity else 0, waiting[0].revision if waiting else 0) == view.revision


@given(some_views)
def test_references_and_providers_may_come_in_either_order(sent: list[View]) -> None:
    """Each entity at its newest view: then nothing depends on who came first."""
    latest = newest(sent)[0]
    assert held(delivered(fresh(), [[v] for v in latest])) == held(
        delivered(fresh(), [[v] for v in latest[::-1]])
    )


def test_of_one_entity_only_the_newest_view_of_a_chunk_is_applied() -> None:
    report = Delivery("directory", fresh(), Noted()).deliver(Chunk([place(0, 1), place(0, 3), place(0, 2)]))
    outcomes = {view.revision: outcome for view, outcome in report.settled}
    assert outcomes == {1: Superseded(), 2: Superseded(), 3: Applied()}


def test_a_location_comes_before_the_provider_that_names_it() -> None:
    report = Delivery("directory", fresh(), Noted()).deliver(Chunk([person(0), place(0)]))
    assert [outcome for _, outcome in report.settled] == [Applied(), Applied()]


def test_a_provider_waits_for_its_location_and_is_applied_when_it_comes() -> None:
    delivery = Delivery("directory", fresh(), Noted())
    assert delivery.deliver(Chunk([person(0)])).settled[0][1] == Deferred(f"location/{PLACES[0]}")
    released = delivery.deliver(Chunk([place(0)])).released
    assert [(view.entity_id, outcome) for view, outcome in released] == [(PEOPLE[0], Applied())]


def test_a_newer_view_replaces_the_one_that_waits() -> None:
    target = fresh()
    delivered(target, [[person(0, 1)], [person(0, 2, at=[1])], [person(0, 1)], [place(0)]])
    assert target.state.pending[("provider", PEOPLE[0])][0].revision == 2


def test_a_view_for_a_missing_network_is_applied_once_the_network_is_there() -> None:
    target = MemoryTarget(build)
    delivery = Delivery("directory", target, Noted())
    delivery.deliver(Chunk([place(0), person(0)]))
    assert delivery.release() == []
    target.given.add(views.NETWORK_REF)
    assert [outcome for _, outcome in delivery.release()] == [Applied()]


def test_the_one_bad_view_of_a_chunk_fails_and_the_others_are_applied() -> None:
    target, noted = fresh(refuses=[PEOPLE[2]]), Noted()
    chunk = Chunk([place(0), *(person(number) for number in range(4))], offsets={AT: 5})
    report = Delivery("directory", target, noted).deliver(chunk)
    failed = [view.entity_id for view, outcome in report.settled if isinstance(outcome, Failed)]
    assert failed == [PEOPLE[2]]
    assert [(r.entity_id, r.code, r.revision) for r in noted.receipts] == [(PEOPLE[2], "target.value", 1)]
    assert (len(target.state.entities), target.state.offsets) == (4, {AT: 5})


def test_no_offset_is_stored_before_the_receipt_is_confirmed() -> None:
    target, noted = fresh(refuses=[PEOPLE[0]]), Noted()
    noted.down = True
    with pytest.raises(Unavailable):
        Delivery("directory", target, noted).deliver(Chunk([place(0), person(0)], offsets={AT: 2}))
    assert target.state.offsets == {}


def test_an_undecodable_record_is_told_and_passed() -> None:
    target, noted = fresh(), Noted()
    record = Undecodable("provider", PEOPLE[0], "not a view", AT.topic, 0, 7)
    report = Delivery("directory", target, noted).deliver(Chunk([place(0)], [record], offsets={AT: 8}))
    assert (report.undecodable, [r.code for r in noted.receipts]) == (1, ["view.undecodable"])
    assert target.state.offsets == {AT: 8}


def test_a_refused_view_that_waited_is_forgotten() -> None:
    target = fresh()
    delivered(target, [[person(0)]])
    target.refuses = lambda view: view.entity_id == PEOPLE[0]
    noted = Noted()
    Delivery("directory", target, noted).deliver(Chunk([place(0)]))
    assert (target.state.pending, len(noted.receipts)) == ({}, 1)


def test_the_first_view_of_an_entity_may_be_its_withdrawal() -> None:
    target = delivered(fresh(), [[place(0)], [person(0, 2, status="withdrawn")], [person(0, 1)]])
    assert ("provider", PEOPLE[0]) not in target.state.entities
    assert held(delivered(target, [[person(0, 3)]]))[("provider", PEOPLE[0])][0] == 3


def test_a_system_fault_is_nobodys_receipt() -> None:
    target, noted = fresh(), Noted()
    target.fault = Unavailable("target.unavailable", "down")
    with pytest.raises(Unavailable):
        Delivery("directory", target, noted).deliver(Chunk([place(0)]))
    assert noted.receipts == []
    assert Batch().offsets == {}
