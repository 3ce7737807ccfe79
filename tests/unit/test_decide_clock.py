"""The clock of the decide hop: a tick decides what is due by time alone, once, whatever stops in between."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from streams.agents.calendar import CONTRACT_KEY
from streams.core import entity as core_entity
from streams.engine.memory import Record
from streams.engine.partition import DECISIONS
from streams.engine.restore import _take
from streams.engine.store import Batch, Store
from tests.fixtures.decider import PROVIDER, SHARED, Bench, findings, person, views
from tests.world import belongings, row

pytestmark = pytest.mark.usefixtures("logs")

DAY = 20_605
"""2026-06-01"""
STARTS = "2026-09-01"
FAR = "9999-12-31"


@pytest.fixture
def waiting(known: Bench) -> Bench:
    """A provider whose network participation ends on 31 August: due on 1 September, besides the licence's dates."""
    known.source.day = DAY
    ends = row(
        "network_participation", id="network_participation-0", provider_id="provider-0", term="2026-08-31"
    )
    known.commit(person(), *belongings(), ends)
    known.settle()
    assert known.entity().due == STARTS
    return known


def index(bench: Bench) -> list[tuple[str, bytes]]:
    return bench.partition.store.due(FAR, 100)


def test_what_is_due_on_a_date_is_decided_by_its_tick_and_not_before(waiting: Bench) -> None:
    assert views(waiting.clock("2026-08-31") + waiting.settle()) == []
    assert views(waiting.clock(STARTS) + waiting.settle()) == ["directory.provider provider-0 2"]
    assert waiting.state.as_of == waiting.state.ticked == STARTS
    assert index(waiting) == [(waiting.entity().due, PROVIDER)]
    assert waiting.entity().due > STARTS


def test_a_licence_is_looked_at_on_each_warning_day_on_its_last_day_and_once_it_has_lapsed(
    known: Bench,
) -> None:
    known.source.day = DAY
    known.commit(person(), *belongings())  # its licence expires on 2028-01-01
    known.settle()
    looked = []
    for coming, _ in iter(lambda: (index(known) or [("", b"")])[0], ("", b"")):
        before = known.state.decided
        known.clock(coming)
        known.settle()
        assert known.state.decided == before + 1
        looked.append(coming)
    assert looked == ["2027-10-03", "2027-11-02", "2027-12-02", "2027-12-25", "2028-01-01", "2028-01-02"]


def test_a_tick_touches_nobody_who_is_not_due(waiting: Bench) -> None:
    waiting.commit(row("provider", provider_id="provider-1", npi="1245319599"))
    waiting.settle()
    before = waiting.state.decided
    waiting.clock(STARTS)
    waiting.settle()
    assert waiting.state.decided == before + 1


def test_a_replayed_or_older_tick_is_a_no_op(waiting: Bench) -> None:
    waiting.clock(STARTS)
    waiting.settle()
    before, decided = core_entity.encode(waiting.entity()), waiting.state.decided
    said = waiting.clock(STARTS) + waiting.clock("2026-07-01") + waiting.settle()
    assert {o.key for o in said} == {b"partition/0"}
    assert core_entity.encode(waiting.entity()) == before
    assert (waiting.state.decided, waiting.state.as_of) == (decided, STARTS)
    assert waiting.state.outcomes["clock"] == {"applied": 1, "superseded": 2}


def test_a_restart_between_a_tick_and_its_decisions_loses_nothing(waiting: Bench) -> None:
    tick = waiting.handler
    tick.state.as_of = tick.state.ticked = (
        STARTS  # noted, and the process is gone before anything was decided
    )
    unit = waiting.unit()
    tick._moved = True
    assert tick.close_unit(unit)
    waiting.partition.store.apply(unit.batch)
    waiting.restart()
    assert waiting.state.as_of == STARTS
    assert views(waiting.settle()) == ["directory.provider provider-0 2"]


def test_a_unit_that_fails_leaves_its_entities_due(waiting: Bench) -> None:
    waiting.producer.failures.append(OSError("broker"))
    with pytest.raises(OSError, match="broker"):
        waiting.clock(STARTS)
    assert waiting.state.as_of == "2026-06-01"
    assert views(waiting.clock(STARTS) + waiting.settle()) == ["directory.provider provider-0 2"]


def test_a_commit_of_a_later_day_dates_its_own_decision_and_sweeps_nobody_else(waiting: Bench) -> None:
    """A source whose clock is wrong would withdraw everybody; what a tick withdraws is counted before."""
    waiting.source.day = DAY + 92
    said = waiting.commit(row("provider", provider_id="provider-1", npi="1245319599")) + waiting.settle()
    assert not [view for view in views(said) if "provider-0" in view]
    assert (waiting.state.as_of, waiting.entity().due) == (STARTS, STARTS)
    assert views(waiting.clock(STARTS) + waiting.settle()) == ["directory.provider provider-0 2"]


def test_a_tick_too_far_ahead_of_the_broker_is_refused(waiting: Bench) -> None:
    said = waiting.clock("2026-09-03", broker=STARTS)
    assert [dict(o.headers)["concord-code"] for o in said if o.topic == "quarantine"] == ["clock.too_far"]
    assert waiting.state.as_of == "2026-06-01"
    assert views(waiting.clock("2026-09-02", broker=STARTS)) == ["directory.provider provider-0 2"]


def test_a_tick_that_names_no_date_is_quarantined(waiting: Bench) -> None:
    said = waiting.work([Record("clock", 0, 0, None, b'{"type":"tick","as_of":"tomorrow","id":"x"}')])
    assert [dict(o.headers)["concord-code"] for o in said if o.topic == "quarantine"] == ["clock.undecodable"]


def test_an_entity_in_the_middle_of_a_transaction_is_left_to_it(waiting: Bench) -> None:
    first, rest = waiting.source.transaction([person(degree="DO"), person(degree="PhD")])
    waiting.feed(first)
    assert views(waiting.clock(STARTS)) == []
    assert waiting.handler.next_ms(waiting.now) != waiting.now, "it must not be looked for again and again"
    waiting.feed(rest)
    assert "directory.provider provider-0 2" in views(waiting.settle())
    assert index(waiting) == [(waiting.entity().due, PROVIDER)]


def test_a_sweep_by_date_is_paced(known: Bench) -> None:
    known.source.day = DAY
    count = DECISIONS + 3
    for n in range(count):
        known.commit(
            row("provider", provider_id=f"p{n}"),
            row("affiliation", affiliation_id=f"a{n}", provider_id=f"p{n}", effective_from=STARTS),
        )
    known.settle()
    before = known.state.decided
    known.clock(STARTS)
    assert known.state.decided == before + DECISIONS
    known.settle()
    assert known.state.decided == before + count
    assert index(known) == []


def test_an_index_entry_that_a_restore_left_behind_goes_with_the_first_sweep(waiting: Bench) -> None:
    stale, gone = Batch(), b"provider/gone"
    stale.date(PROVIDER, "", "2026-06-15")
    stale.date(gone, "", "2026-06-15")
    waiting.partition.store.apply(stale)
    assert views(waiting.clock("2026-06-15") + waiting.settle()) == []
    assert index(waiting) == [(STARTS, PROVIDER)]


def test_a_store_that_is_restored_knows_what_is_due(waiting: Bench, tmp_path: Any) -> None:
    restored, batch = Store(tmp_path / "restored", SHARED), Batch()
    for output in (o for tx in waiting.producer.transactions for o in tx if o.topic == "entity"):
        _take(batch, output.key or b"", output.value)
    restored.apply(batch)
    assert (STARTS, PROVIDER) in restored.due(FAR, 10)
    restored.close()


def test_what_is_due_is_read_by_date_up_to_the_date_and_page_by_page(waiting: Bench) -> None:
    store, batch = waiting.partition.store, Batch()
    for day in ("2026-09-02", STARTS, "2026-08-31"):
        for key in (b"provider/a", b"provider/ab"):
            batch.date(key, "", day)
    store.apply(batch)
    wanted = [
        ("2026-08-31", b"provider/a"), ("2026-08-31", b"provider/ab"),
        (STARTS, b"provider/a"), (STARTS, b"provider/ab"), (STARTS, PROVIDER),
    ]  # fmt: skip
    assert store.due(STARTS, 100) == wanted
    assert store.due_count(STARTS) == 5
    found: list[tuple[str, bytes]] = []
    while page := store.due(STARTS, 2, b"%s/%s" % (found[-1][0].encode(), found[-1][1]) if found else b""):
        found += page
    assert found == wanted


def reviews(bench: Bench) -> list[str]:
    value = bench.partition.store.get(CONTRACT_KEY)
    return list(core_entity.decode(value).findings) if value is not None else []


def test_an_overdue_review_of_the_authority_file_is_one_finding_until_it_is_reviewed(known: Bench) -> None:
    authority = known.context.authority
    known.restart(authority=replace(authority, review_due="2026-06-10", answers="compliance"), accept=True)
    known.clock("2026-06-10")
    assert (findings(known.settle()), reviews(known)) == ([], [])
    said = known.clock("2026-06-11") + known.settle()
    assert findings(said) == ["system/authority authority.review_overdue authority.toml/review_due"]
    assert len(reviews(known)) == 1
    assert findings(known.clock("2026-06-12") + known.settle()) == []
    known.restart(authority=replace(authority, review_due="2027-06-10"), accept=True, rules="3")
    known.settle()
    assert reviews(known) == []
