"""The contract of connectors.sink.Target, held by the target in memory and by every real one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import psycopg
import pytest
from psycopg import sql

from connectors.described import DESCRIBED
from connectors.directory.request import build
from connectors.memory import MemoryTarget
from connectors.rest.offsets import MemoryOffsets
from connectors.run import TARGETS
from connectors.sink import Applied, Batch, Deferred, Outcome, Partition, Refused, Superseded, Target, View
from streams.errors import Unavailable
from tests import views
from tests.fixtures.databases import NewDatabase
from tests.reference_api import ReferenceApi, reference_api, target_of

PLACE, GROUP, PERSON, OTHER = (views.entity(number) for number in range(1, 5))
AT = Partition("sink.provider", 0, "first")
OURS = ("concord_applied", "concord_pending", "concord_offset")
TWICE = 2


@dataclass(frozen=True)
class Subject:
    """One target under test: `rows` shows everything it holds, row versions included.

    Without `transactions` (an API) a batch isn't all or nothing: tests/contract/test_rest_target.py says what holds.
    """

    system: str
    new: Callable[[], Target]
    rows: Callable[[], Any]
    transactions: bool = True

    def references(self) -> list[View]:
        match self.system:
            case "directory":
                return [views.location("directory", PLACE)]
            case "billing":
                return [views.organization(GROUP)]
            case _:
                return []

    def provider(self, revision: int, entity_id: str = PERSON, **content: Any) -> View:
        named: dict[str, Any] = {
            "directory": {"listings": [views.listing(PLACE)]},
            "billing": {"affiliations": [views.affiliation(GROUP)]},
            "enrollment": {"groups": [views.group(PLACE)]},
        }.get(self.system, {})
        return views.provider(self.system, entity_id, revision, **{**named, **content})

    def withdrawn(self, revision: int) -> View:
        return self.provider(revision, status="withdrawn")

    def bad(self, revision: int = 1, entity_id: str = OTHER) -> View:
        return self.provider(revision, entity_id, npi="12345678901234567890")


@pytest.fixture(params=["memory", "rest", *DESCRIBED])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "memory":
        yield _memory()
    elif request.param == "rest":
        with reference_api() as api:
            yield _behind_an_api(api)
    else:
        database: NewDatabase = request.getfixturevalue("database")
        found = database(request.param)
        system, dsn = found.system, found.dsn
        yield Subject(system, lambda: TARGETS[system](found.adapter), lambda: _rows(dsn, system))


@pytest.fixture
def target(subject: Subject) -> Iterator[Target]:
    made = subject.new()
    yield made
    made.close()


def _memory() -> Subject:
    made = MemoryTarget(build, {views.NETWORK_REF}, lambda view: len(view.content.get("npi") or "") > 10)
    return Subject("directory", lambda: made, lambda: made.state.copy())


def _behind_an_api(api: ReferenceApi) -> Subject:
    offsets = MemoryOffsets()

    def rows() -> Any:
        """Its documents by kind, and how often each was written."""
        people = [path for path in api.documents if path.startswith("provider/")]
        return [people, dict(api.documents), list(api.writes)]

    return Subject("directory", lambda: target_of(api, offsets=offsets), rows, transactions=False)


def _rows(dsn: str, system: str) -> list[Any]:
    """Every row with its version (xmin, ctid): a row written again is seen even when it is equal."""
    with psycopg.connect(dsn) as connection:
        query = sql.SQL("select xmin::text, ctid::text, t::text from {} t order by t::text")
        names = [sql.Identifier(name) for name in (*sorted(DESCRIBED[system].written()), *OURS)]
        return [connection.execute(query.format(name)).fetchall() for name in names]


def apply(target: Target, *sent: View) -> list[Outcome]:
    return target.apply(Batch(sent))


def test_a_view_is_applied_once_and_a_replay_writes_nothing(subject: Subject, target: Target) -> None:
    batch = Batch([*subject.references(), subject.provider(1)], {AT: 7})
    assert set(target.apply(batch)) == {Applied()}
    before = subject.rows()
    assert set(target.apply(batch)) == {Superseded()}
    assert subject.rows() == before


def test_an_older_view_is_superseded(subject: Subject, target: Target) -> None:
    apply(target, *subject.references(), subject.provider(5))
    before = subject.rows()
    assert apply(target, subject.provider(4, last_name="Older")) == [Superseded()]
    assert subject.rows() == before


def test_of_a_batch_with_a_bad_view_nothing_is_written(subject: Subject, target: Target) -> None:
    if not subject.transactions:
        pytest.skip("an API settles each view for itself")
    before = subject.rows()
    with pytest.raises(Refused) as refused:
        target.apply(Batch([*subject.references(), subject.provider(1), subject.bad()], {AT: 3}))
    assert "12345678901234567890" not in str(refused.value)
    assert subject.rows() == before


def test_after_a_refusal_the_target_goes_on(subject: Subject, target: Target) -> None:
    if not subject.transactions:
        pytest.skip("an API settles each view for itself")
    apply(target, *subject.references())
    with pytest.raises(Refused):
        apply(target, subject.bad())
    assert apply(target, subject.provider(1)) == [Applied()]


def test_offsets_are_stored_and_never_move_backwards(target: Target) -> None:
    target.apply(Batch((), {AT: 7}))
    target.apply(Batch((), {AT: 4}))
    assert target.offsets([AT]) == {AT: 7}


def test_a_topic_made_again_has_no_stored_offset(target: Target) -> None:
    again = replace_topic("second")
    target.apply(Batch((), {AT: 7}))
    assert target.offsets([again]) == {}
    target.apply(Batch((), {again: 2}))
    assert target.offsets([AT, again]) == {again: 2}


def replace_topic(topic_id: str) -> Partition:
    return AT._replace(topic_id=topic_id)


def test_the_first_view_of_an_entity_may_be_its_withdrawal(subject: Subject, target: Target) -> None:
    apply(target, *subject.references())
    assert apply(target, subject.withdrawn(2)) == [Applied()]
    before = subject.rows()
    assert apply(target, subject.provider(1)) == [Superseded()]
    if subject.transactions:  # a guard that waits for nothing; an API holds the withdrawal itself
        assert apply(target, subject.withdrawn(2)) != [Superseded()]
    assert (subject.rows(), target.release()) == (before, [])
    assert apply(target, subject.provider(3)) == [Applied()]


def test_a_view_waits_for_what_it_names_and_is_released_when_that_is_there(
    subject: Subject, target: Target
) -> None:
    if not subject.references():
        pytest.skip("an enrollment provider's view names nothing it must wait for")
    assert isinstance(apply(target, subject.provider(1))[0], Deferred)
    assert target.release() == []
    apply(target, *subject.references())
    released = target.release()
    assert [replace(view, topic="", partition=-1, offset=-1) for view in released] == [
        replace(subject.provider(1), topic="", partition=-1, offset=-1)
    ]
    assert apply(target, *released) == [Applied()]
    assert target.release() == []


def test_a_newer_view_replaces_the_one_that_waits(subject: Subject, target: Target) -> None:
    if not subject.references():
        pytest.skip("an enrollment provider's view names nothing it must wait for")
    apply(target, subject.provider(1))
    apply(target, subject.provider(3))
    before = subject.rows()
    assert apply(target, subject.provider(2)) == [Superseded()]
    assert isinstance(apply(target, subject.provider(3))[0], Deferred)
    assert subject.rows() == before
    apply(target, *subject.references())
    assert [view.revision for view in target.release()] == [3]


def test_a_discarded_view_is_forgotten(subject: Subject, target: Target) -> None:
    if not subject.references():
        pytest.skip("an enrollment provider's view names nothing it must wait for")
    apply(target, subject.provider(1))
    target.apply(Batch(discard=[subject.provider(1)]))
    apply(target, *subject.references())
    assert target.release() == []


def test_a_target_answers_again_after_close(subject: Subject, target: Target) -> None:
    apply(target, *subject.references(), subject.provider(1))
    target.close()
    assert apply(target, subject.provider(2)) == [Applied()]


def test_two_processes_on_one_entity_leave_the_newest_view(subject: Subject) -> None:
    """Both find nothing and create it; one loses the race, is told so, and tries again."""
    if isinstance(subject.new(), MemoryTarget):
        pytest.skip("memory has one process")
    targets = [subject.new(), subject.new()]
    apply(targets[0], *subject.references())
    for first in range(1, 41, 4):
        entity_id = views.entity(100 + first)
        _race(targets, [subject.provider(first + turn, entity_id) for turn in range(TWICE)])
        assert apply(targets[0], subject.provider(first + 1, entity_id)) == [Superseded()]
    for target in targets:
        target.close()
    assert len(subject.rows()[0]) == 10


def _race(targets: list[Target], sent: list[View]) -> None:
    start = threading.Barrier(len(targets))

    def run(target: Target, view: View) -> None:
        start.wait()
        try:
            apply(target, view)
        except Unavailable:
            apply(target, view)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(targets, sent, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
