"""Capture is broken in each way the guard knows: it says so, its remedy works as documented, and it closes again."""

from __future__ import annotations

import json
import signal
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from connectors import lenient, sources, systems
from connectors.connect import Connect
from connectors.source import IDENTITY
from stack.environment import Environment
from tests.faults.guarded import SYSTEM, Guarded, guarded
from tests.fixtures.databases import NewDatabase
from tests.fixtures.stack import NativeServices


@pytest.fixture
def source(
    native_services: NativeServices, stack: Environment, database: NewDatabase, audit: str, tmp_path: Path
) -> Iterator[Guarded]:
    native_services.start()
    with guarded(stack, native_services, database(SYSTEM), audit, tmp_path) as found:
        yield found
    native_services.start()


def test_a_quiet_source_is_in_order_and_every_transaction_is_proven(source: Guarded) -> None:
    """Nothing but canaries: they arrive, their transactions are whole, nothing is open."""
    source.in_order()
    source.wait(lambda: source.source_status()["transactions"]["proven"] > 5, "canaries to be proven whole")
    with source.database.connect() as connection, connection.transaction():
        for number in range(200):
            connection.execute(
                "insert into provider (provider_id, npi, last_name, status) values "
                "(gen_random_uuid(), '1234567893', %s, 'active')",
                [f"Of one transaction {number}"],
            )
    source.run("truncate claim_event") if source.rows("select to_regclass('claim_event')") != [
        (None,)
    ] else None
    proven = source.source_status()["transactions"]["proven"]
    source.wait(lambda: source.source_status()["transactions"]["proven"] > proven + 20, "a while to pass")
    counts = source.source_status()["transactions"]
    assert (counts["incomplete"], source.codes() - {"decide.stalled"}) == (0, set())


def test_a_dropped_slot_is_made_anew_and_leaves_a_range_to_verify(source: Guarded) -> None:
    source.in_order()
    source.drop_slot()
    source.wait_open("slot.missing")
    source.wait_closed("slot.missing")
    left = source.wait_open("capture.unverified")
    assert f"concord verify source {SYSTEM}" in left["action"]
    source.wait(source.captures, "canaries to arrive again")
    who = source.provide("After the gap")
    source.wait(lambda: source.captured(who), "what is written now")


def test_an_invalidated_slot_is_told_and_made_anew_once_the_connector_may_run(source: Guarded) -> None:
    source.in_order()
    with Connect(source.stack.connect) as connect:
        connect.stop(source.name)
    source.wait_open("connector.stopped")
    try:
        source.run("alter system set idle_replication_slot_timeout = '1s'")
        source.run("select pg_reload_conf()")
        source.wait(lambda: _invalidated(source), "PostgreSQL to invalidate the slot")
        source.wait_open("slot.lost")
    finally:
        source.run("alter system reset idle_replication_slot_timeout")
        source.run("select pg_reload_conf()")
    with Connect(source.stack.connect) as connect, suppress(Exception):
        connect.resume(source.name)
    source.wait_closed("slot.lost")
    source.wait(source.captures, "canaries to arrive again")
    source.wait_open("capture.unverified")


def _invalidated(source: Guarded) -> bool:
    """PostgreSQL looks at idle slots when it makes a checkpoint."""
    source.run("checkpoint")
    slot = source.source.names.slot_name
    return source.rows(f"select wal_status from pg_replication_slots where slot_name = '{slot}'") == [
        ("lost",)
    ]


def test_a_failed_task_is_told_and_its_documented_remedy_starts_it_again(source: Guarded) -> None:
    source.in_order()
    with Connect(source.stack.connect) as connect:
        config = connect.config(source.name) or {}
        connect.update(source.name, {**config, "publication.name": "nowhere"})
        source.wait_open("connector.failed")
        source.wait(
            lambda: source.status().get("acts", {}).get("restart"), "the guard to start the task again"
        )
        sources.apply(connect, source.stack.kafka, [source.source])
    source.wait_closed("connector.failed")
    source.in_order()


def test_a_dropped_publication_leaves_capture_running_and_dead(source: Guarded) -> None:
    """PostgreSQL 18 passes over a publication that is missing: nothing fails, and nothing arrives."""
    source.in_order()
    source.run("drop publication concord")
    source.wait_open("publication.differs")
    source.wait_open("capture.stalled")
    systems.apply(source.database.dsn, SYSTEM)
    source.wait_closed("publication.differs")
    source.wait_closed("capture.stalled")
    source.wait_open("capture.unverified")


def test_connect_that_stands_still_is_seen_and_so_is_its_return(source: Guarded) -> None:
    source.in_order()
    source.services.pause("connect")
    try:
        source.wait_open("capture.stalled")
        source.wait_open("connect.unanswered")
    finally:
        source.services.resume("connect")
    source.wait_closed("capture.stalled")
    source.wait_closed("connect.unanswered")
    source.in_order()


def test_a_table_taken_out_of_the_publication_comes_back_with_the_fix_as_written(source: Guarded) -> None:
    source.in_order()
    source.run("alter publication concord drop table license")
    found = source.wait_open("publication.differs")
    source.run(found["action"])
    source.wait_closed("publication.differs")
    left = source.wait_open("capture.unverified")
    assert left["action"] == f"concord verify source {SYSTEM}.license --repair"


def test_a_column_dropped_with_cascade_takes_its_table_out_of_the_publication(source: Guarded) -> None:
    source.in_order()
    source.run("alter table provider drop column last_name cascade")
    assert "last_name" in source.wait_open("mapping.differs")["message"]
    assert "provider" in source.wait_open("publication.differs")["message"]


def test_a_dropped_table_is_told(source: Guarded) -> None:
    source.in_order()
    source.run("drop table license cascade")
    assert "license" in source.wait_open("mapping.differs")["message"]


def test_a_restored_source_is_paused_until_a_new_epoch_reads_it(source: Guarded) -> None:
    """Another server than the epoch's: as if the connector's identity were that of the one before the restore."""
    source.in_order()
    with Connect(source.stack.connect) as connect:
        config = connect.config(source.name) or {}
        connect.update(source.name, {**config, IDENTITY: "7000000000000000000/1"})
        source.wait_open("source.replaced")
        source.wait(
            lambda: (connect.status(source.name) or {})["connector"]["state"] == "PAUSED", "the pause"
        )
        sources.apply(connect, source.stack.kafka, [source.source], resnapshot=True)
    source.wait_closed("source.replaced")
    source.in_order()


def test_a_slot_made_anew_while_nobody_captured_is_told_and_gone_on_from(source: Guarded) -> None:
    """Debezium refuses to start from it; what may be missing is told with its range: by the canaries that never came,
    or, where it was told before they could, by the slot."""
    source.in_order()
    slot = source.source.names.slot_name
    with Connect(source.stack.connect) as connect:
        connect.stop(source.name)
        lost = source.provide("In the gap")
        source.run("select pg_drop_replication_slot(%s)", slot)
        source.run("select pg_create_logical_replication_slot(%s, 'pgoutput')", slot)
        with suppress(psycopg.Error):
            connect.resume(source.name)
    source.wait(lambda: {"slot.replaced", "slot.ahead"} & source.codes(), "the new slot to be told")
    source.wait(source.captures, "canaries to arrive again")
    source.wait(lambda: {"capture.skipped", "capture.unverified"} & source.codes(), "the gap to be told")
    who = source.provide("After the gap")
    source.wait(lambda: source.captured(who), "what is written now")
    assert not source.captured(lost)


def test_a_transaction_that_lacks_rows_is_told_with_its_range(source: Guarded) -> None:
    source.in_order()
    counted = [{"data_collection": "public.license", "event_count": 2}]
    source.boundaries(
        json.dumps({"status": "BEGIN", "id": "990001:1000"}).encode(),
        json.dumps(
            {"status": "END", "id": "990001:1090", "event_count": 2, "data_collections": counted}
        ).encode(),
    )
    found = source.wait_open("capture.incomplete")
    assert found["subject"] == f"source/{SYSTEM}/lsn/1000-1090"
    assert found["action"] == f"concord verify source {SYSTEM}.license --repair"


def test_a_killed_guard_knows_again_what_is_open(source: Guarded) -> None:
    source.in_order()
    source.run("alter publication concord drop table license")
    found = source.wait_open("publication.differs")
    source.guard.signal(signal.SIGKILL)  # its supervisor starts another one
    source.wait(lambda: source.status().get("open"), "the guard to be back and to know")
    source.run(found["action"])
    source.wait_closed("publication.differs")


def test_a_guard_killed_while_changes_are_passed_over_ends_it_and_leaves_everything_to_verify(
    source: Guarded,
) -> None:
    """A row of the old type is read after its column has become another: no start gets past it."""
    source.in_order()
    who = source.provide("Of the old type")
    cycle = (
        "insert into credentialing_cycle (cycle_id, provider_id, due_date) values (gen_random_uuid(), %s, %s)"
    )
    with Connect(source.stack.connect) as connect:
        connect.stop(source.name)
        source.run(cycle, who, "2027-01-31")
        source.run("alter table credentialing_cycle alter column due_date type timestamptz")
        connect.resume(source.name)
        source.wait(
            lambda: any(lenient.span(connect.config(source.name) or {})), "the change to be passed over"
        )
        source.guard.signal(signal.SIGKILL)  # its supervisor starts another one
        [plan] = sources.plan(connect, source.stack.kafka, [source.source])
        assert (plan.action, lenient.FAILURES in plan.for_now) == ("none", True)
        source.wait(
            lambda: not any(lenient.span(connect.config(source.name) or {})),
            "the next guard to end what it began",
        )
        [plan] = sources.plan(connect, source.stack.kafka, [source.source])
        assert (plan.action, plan.for_now) == ("none", {})
    source.wait_closed("connector.passes_over")
    left = source.wait_open("capture.unverified")
    assert left["action"] == f"concord verify source {SYSTEM} --repair"
    source.wait(source.captures, "canaries to arrive again")
    after = source.provide("After it")
    source.wait(lambda: source.captured(after), "what is written now")


def test_rows_of_a_table_with_a_column_list_arrive_after_it_was_read_again(source: Guarded) -> None:
    """Debezium then takes them for rows with every column, and fails: a start teaches it the list."""
    source.in_order()
    first = source.provide("Before")
    source.wait(lambda: source.captured(first), "what was written before")
    wanted = {"data-collections": ["public.provider"], "type": "incremental"}
    signal_it = "insert into concord_signal (id, type, data) values (%s, 'execute-snapshot', %s)"
    source.run(signal_it, str(uuid.uuid4()), json.dumps(wanted))
    followers: list[str] = []

    def follows() -> bool:
        followers.append(source.provide("After"))
        return "connector.unprocessable" in source.codes() or len(followers) > 40

    source.wait(follows, "rows to follow it")
    source.wait(lambda: all(map(source.captured, followers)), "every one of them")
    source.wait_closed("connector.unprocessable")
    assert "pass_over" not in source.status()["acts"]
