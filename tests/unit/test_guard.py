"""The guard's judgement: each condition from facts, no flapping, what a closed one leaves, bounded remedies."""

from __future__ import annotations

import itertools
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.drift import Altered
from connectors.mapping_check import Problem
from connectors.sighting import Connector, Server, Slot, Task, _classes, _task
from connectors.source import Names
from connectors.sources import Source
from streams.operate.announced import Answer, Party
from streams.operate.guard import judging
from streams.operate.guard.around import Around
from streams.operate.guard.book import CALM, Book
from streams.operate.guard.completeness import Incomplete
from streams.operate.guard.conditions import CONDITIONS, UNVERIFIED, judge
from streams.operate.guard.facts import Beats, Facts, Heard, Overtaken, Skipped
from streams.operate.guard.judging import LATE
from streams.operate.guard.pulse import Pulse
from streams.operate.guard.remedies import HOUR, LENIENCES, Bounded, Remedies
from streams.operate.guard.verification import Run, Verification
from streams.settings import Settings
from tests.fixtures.waiting import wait_until

pytestmark = pytest.mark.usefixtures("logs")

PAGE = Path(__file__).parents[2] / "docs" / "capture-guard.md"
SLOT = Slot(True, 1_000, 2_000, 8_000_000, "reserved", "", 40, None)
SERVER = Server("711/1", 5_000, 100.0, SLOT, 8 * 1024**3)
CONNECTOR = Connector("RUNNING", (Task("RUNNING"),), 3, "711/1", True, True, 1_100)
HEALTHY = Facts(
    "directory",
    "concord_directory",
    SERVER,
    before=SERVER,
    connector=CONNECTOR,
    problems=(),
    beats=Beats({"captured": 0.4, "decided": 0.5}, {"captured": 0.1, "decided": 0.1}),
    heard=Heard(0.4),
    overtaken=(),
)


def slot(**how: Any) -> Facts:
    return replace(HEALTHY, server=replace(SERVER, slot=replace(SLOT, **how)))


def connector(**how: Any) -> Facts:
    return replace(HEALTHY, connector=replace(CONNECTOR, **how))


def beats(captured: float, decided: float, quiet: float = 60.0) -> Facts:
    late = {"captured": captured, "decided": decided}
    return replace(HEALTHY, beats=Beats(late, late), heard=Heard(quiet))


LISTED_TO = "directory.public.dir_listing.listed_to"

WRONG: dict[str, list[Facts]] = {
    "source.unreachable": [replace(HEALTHY, server=None, unreachable="connection refused")],
    "source.replaced": [replace(HEALTHY, server=replace(SERVER, identity="711/2"))],
    "canary.unwritten": [replace(HEALTHY, beats=Beats(fault="permission denied"))],
    "slot.missing": [replace(HEALTHY, server=replace(SERVER, slot=None))],
    "slot.lost": [slot(wal_status="lost"), slot(invalidation="wal_removed"), slot(invalidation="idle_timeout")],
    "slot.replaced": [slot(decoded=3)],
    "slot.ahead": [slot(active=False, confirmed=9_000)],
    "slot.unread": [slot(active=False)],
    "slot.grown": [slot(retained=7 * 1024**3), slot(wal_status="unreserved")],
    "connect.unanswered": [replace(HEALTHY, connector=None, unanswered="does not answer")],
    "connector.missing": [replace(HEALTHY, connector=Connector("MISSING"))],
    "connector.failed": [connector(tasks=(Task("FAILED", "ConnectException"),)), connector(state="FAILED")],
    "connector.unprocessable": [
        connector(tasks=(Task("FAILED", "DateTimeParseException", stuck_at=4_000),)),
    ],
    "connector.passes_over": [connector(lenient=(1_000, 5_000))],
    "connector.stopped": [connector(state="PAUSED"), connector(state="STOPPED", tasks=()), connector(tasks=())],
    "capture.stalled": [
        beats(LATE + 1, LATE + 1),
        replace(beats(LATE + 1, LATE + 1), connector=None, known=CONNECTOR, unanswered="does not answer"),
    ],
    "capture.behind": [beats(70, 70, quiet=0.1)],
    "capture.skipped": [replace(HEALTHY, heard=Heard(0.1, skipped=(Skipped(4, 9, 100, 200),)))],
    "capture.incomplete": [
        replace(HEALTHY, heard=Heard(0.1, incomplete=(Incomplete("directory", 7, 100, 200, {"dir_listing": 2}),)))
    ],
    "decide.stalled": [beats(0.2, LATE + 1), replace(beats(0.2, LATE + 1), idle=60.0)],
    "reader.overtaken": [replace(HEALTHY, overtaken=(Overtaken("cdc.directory", 1, 5, 9, True),))],
    "reader.late": [replace(HEALTHY, overtaken=(Overtaken("cdc.directory", 1, 10, 9, False),))],
    "publication.differs": [
        replace(HEALTHY, problems=(Problem("mapping.unpublished", "directory.public.dir_listing", "not there", "add"),))
    ],
    "mapping.differs": [
        replace(HEALTHY, problems=(Problem("mapping.missing_table", "directory.public.dir_listing", "gone", "fix"),))
    ],
    "mapping.forbidden": [
        replace(HEALTHY, problems=(Problem("mapping.grant", "directory.public.dir_listing", "may not", "grant"),))
    ],
    "column.altered": [
        replace(HEALTHY, altered=(Altered(f"{LISTED_TO}", "dir_listing", "file:1 dir_listing.listed_to", "was", "date"),))
    ],
    "column.unmapped": [
        replace(HEALTHY, problems=(Problem("mapping.unmapped", "directory.public.dir_listing.x", "new", "map"),))
    ],
}  # fmt: skip


def holding(facts: Facts) -> set[str]:
    return {code for code, found in judge(facts).items() if found}


def test_in_order_nothing_holds_and_everything_is_known() -> None:
    assert holding(HEALTHY) == set()
    assert all(found is not None for found in judge(HEALTHY).values())


def test_every_condition_has_a_case_here_and_a_section_in_the_docs() -> None:
    codes = {condition.code for condition in CONDITIONS}
    assert set(WRONG) == codes
    page = PAGE.read_text("utf-8")
    assert [code for code in (*codes, UNVERIFIED.code) if f"\n### `{code}`" not in page] == []


@pytest.mark.parametrize(("code", "facts"), [(c, f) for c, found in WRONG.items() for f in found])
def test_a_condition_is_seen(code: str, facts: Facts) -> None:
    assert code in holding(facts)


def test_a_quiet_system_is_not_taken_for_a_dead_one() -> None:
    """Nothing but canaries for hours: they arrive, so capture lives."""
    assert holding(replace(HEALTHY, heard=Heard(3_600.0))) == set()


def test_a_bulk_load_is_no_standstill() -> None:
    """The canary waits behind a million rows that do arrive."""
    assert holding(beats(40.0, 40.0, quiet=0.0)) == set()


def test_while_a_first_snapshot_is_made_a_connect_that_is_slow_to_answer_is_no_standstill() -> None:
    starting = replace(CONNECTOR, state="MISSING", tasks=())
    waits = replace(beats(LATE + 1, LATE + 1), connector=None, unanswered="timed out")
    assert judge(replace(waits, known=starting))["capture.stalled"] == []
    assert judge(waits)["capture.stalled"] is None


def test_a_worker_that_is_behind_and_moves_is_no_standstill() -> None:
    assert holding(replace(beats(0.2, 300.0), idle=0.5)) == set()


def test_a_worker_is_idle_from_look_to_look_however_long_a_look_takes() -> None:
    around = Around(Settings(), {})

    def answered(at: int) -> list[Answer]:
        partitions = {"0": {"inputs": {"cdc.directory": at}, "canaries": {}}}
        return [Answer(Party("worker/w", "http://127.0.0.1:1", 1), {"partitions": partitions})]

    assert around.idle("directory") is None
    around._note(answered(5), 10.0)
    around._note(answered(6), 19.0)
    assert around.idle("directory") == 0.0
    around._note(answered(6), 28.0)
    assert around.idle("directory") == 9.0
    around._note([], 30.0)
    assert around.idle("directory") is None


def test_a_source_that_can_not_be_asked_says_nothing_about_its_slot() -> None:
    judged = judge(replace(HEALTHY, server=None, unreachable="refused", problems=None))
    assert judged["slot.missing"] is None
    assert judged["publication.differs"] is None


def test_a_crash_of_the_server_sets_the_slots_counter_back_and_is_no_new_slot() -> None:
    after = replace(SERVER, started=200.0, slot=replace(SLOT, decoded=0))
    assert "slot.replaced" not in holding(replace(HEALTHY, server=after))


def test_a_running_connector_may_have_confirmed_what_it_is_about_to_note() -> None:
    assert "slot.ahead" not in holding(slot(confirmed=9_000))


def test_what_failed_is_told_by_class_and_never_in_words_that_may_hold_values() -> None:
    trace = (
        "org.apache.kafka.connect.errors.ConnectException: An exception occurred: SSN 078-05-1120\n"
        "\tat io.debezium.Foo.bar(Foo.java:1)\n"
        "Caused by: org.postgresql.util.PSQLException: ERROR: 078-05-1120\n"
    )
    assert _classes(trace) == "ConnectException < PSQLException"


# ---- opened and closed ----


def look(book: Book, facts: Facts, at: float) -> list[tuple[str, str]]:
    events = book.look(facts.system, judge(facts), facts.epoch, facts.lsn, at)
    return [(event.state, event.finding.code) for event in events]


GONE = WRONG["slot.missing"][0]


def test_what_passes_between_two_looks_is_never_told() -> None:
    book = Book()
    assert look(book, GONE, 0.0) == []
    assert look(book, HEALTHY, 2.0) == []
    assert look(book, GONE, 4.0) == []


def test_a_condition_opens_once_and_closes_when_it_has_been_gone_for_a_while() -> None:
    book, stopped = Book(), connector(state="PAUSED")
    assert look(book, stopped, 0.0) == []
    assert look(book, stopped, 2.0) == [("opened", "connector.stopped")]
    assert look(book, stopped, 4.0) == []
    assert look(book, HEALTHY, 6.0) == []
    assert look(book, stopped, 8.0) == []
    assert look(book, HEALTHY, 10.0) == []
    assert look(book, HEALTHY, 10.0 + CALM) == [("closed", "connector.stopped")]


def test_a_closed_gap_leaves_a_range_to_verify_until_a_new_epoch_has_read_it() -> None:
    book = Book()
    look(book, GONE, 0.0)
    assert look(book, GONE, 2.0) == [("opened", "slot.missing")]
    look(book, HEALTHY, 4.0)
    assert look(book, HEALTHY, 8.0) == [("closed", "slot.missing"), ("opened", "capture.unverified")]
    [left] = book.open.values()
    assert (left.first, left.last) == (1_100, 5_000)
    assert left.action == "concord verify source directory --repair"
    assert book.settle("directory", 2) == []
    assert [event.state for event in book.settle("directory", 3)] == ["closed"]


def test_a_table_that_was_unpublished_is_to_be_verified_by_itself() -> None:
    book, facts = Book(), WRONG["publication.differs"][0]
    look(book, replace(HEALTHY, server=replace(SERVER, lsn=4_000)), 0.0)
    look(book, facts, 2.0)
    look(book, HEALTHY, 4.0)
    look(book, HEALTHY, 8.0)
    [left] = book.open.values()
    assert (left.first, left.last) == (4_000, 5_000)
    assert left.action == "concord verify source directory.dir_listing --repair"


def test_a_column_that_is_gone_is_told_with_the_mappings_line_and_its_table_verified_once_it_is_back() -> (
    None
):
    book, where = Book(), "schemas/mapping/directory.toml:71 dir_listing.listed_to"
    gone = Problem("mapping.missing_column", LISTED_TO, "the column does not exist", "give it back", where)
    [opened] = book.look("directory", judge(replace(HEALTHY, problems=(gone,))), 3, 5_000, 0.0)
    assert (opened.finding.code, opened.finding.message) == ("mapping.differs", f"{where}: {gone.message}")
    assert look(book, replace(HEALTHY, problems=(gone,)), 2.0) == [], "told once"
    look(book, HEALTHY, 4.0)
    assert look(book, HEALTHY, 8.0) == [("closed", "mapping.differs"), ("opened", "capture.unverified")]
    [left] = book.open.values()
    assert left.action == "concord verify source directory.dir_listing --repair"


def test_an_altered_column_is_verified_by_itself() -> None:
    book = Book()
    assert look(book, WRONG["column.altered"][0], 0.0) == [("opened", "column.altered")]
    assert look(book, HEALTHY, 60.0) == []
    verification = Verification(lambda target, cause: cast(Any, Verifying()))
    verification.consider(book.open.values(), 60.0)
    assert verification.consider(book.open.values(), 80.0) == "directory.dir_listing"


def test_a_gap_that_a_new_snapshot_has_read_leaves_nothing() -> None:
    book = Book()
    look(book, GONE, 0.0)
    look(book, GONE, 2.0)
    again = connector(epoch=4)
    look(book, again, 4.0)
    assert look(book, again, 8.0) == [("closed", "slot.missing")]


def test_what_happened_stays_open_and_is_known_again_after_a_restart() -> None:
    book = Book()
    assert look(book, WRONG["capture.skipped"][0], 0.0) == [("opened", "capture.skipped")]
    assert look(book, HEALTHY, 60.0) == []
    again = Book(book.open.values())
    assert look(again, WRONG["capture.skipped"][0], 0.0) == []
    again.forget(next(iter(again.open)))
    assert not again.open


def test_what_nobody_can_say_neither_opens_nor_closes() -> None:
    book = Book()
    look(book, GONE, 0.0)
    look(book, GONE, 2.0)
    unknown = replace(HEALTHY, server=None, unreachable="refused")
    assert ("closed", "slot.missing") not in look(book, unknown, 60.0)


# ---- canaries ----


def test_a_canarys_age_is_counted_by_our_own_clock_from_its_commit() -> None:
    pulse = Pulse()
    for beat, at in ((5, 10.0), (6, 11.0), (7, 12.0)):
        pulse.wrote(beat, at)
    pulse.reached("captured", 6)
    found = pulse.beats(13.5)
    assert (found.age["captured"], found.late["captured"]) == (2.5, 1.5)
    assert (found.age["decided"], found.late["decided"]) == (3.5, 3.5)


def test_a_hop_that_is_asked_now_and_then_is_as_old_as_it_was_when_asked() -> None:
    """A look that takes long must not make a worker late; one that answers no more is."""
    pulse = Pulse()
    for beat in range(30):
        pulse.wrote(beat, float(beat))
    pulse.reached("decided", 20, asked=20.5)
    assert pulse.beats(29.0).late["decided"] == 0.0
    pulse.silent("decided")
    assert pulse.beats(29.0).late["decided"] == 8.0


def test_a_canary_may_be_written_while_somebody_asks_how_it_fares() -> None:
    """The guard died of it: one thread beats, another judges."""
    pulse, stop = Pulse(), threading.Event()

    def beating() -> None:
        for beat in itertools.count(1):
            if stop.is_set():
                return
            pulse.wrote(beat, float(beat))

    thread = threading.Thread(target=beating)
    thread.start()
    try:
        asked = [pulse.beats(0.0) for _ in range(200)]
    finally:
        stop.set()
        thread.join()
    assert len(asked) == 200


def test_a_source_that_takes_no_writes_is_not_late() -> None:
    pulse = Pulse()
    pulse.wrote(5, 10.0)
    pulse.reached("captured", 5)
    pulse.failed("the database is starting up")
    found = pulse.beats(100.0)
    assert (found.late["captured"], found.fault) == (0.0, "the database is starting up")


def test_a_restored_source_counts_from_an_older_number_on() -> None:
    pulse = Pulse()
    pulse.wrote(900, 10.0)
    pulse.reached("captured", 900)
    pulse.wrote(17, 20.0)
    assert pulse.beats(30.0).late["captured"] == 10.0


# ---- acts ----


def test_an_act_is_done_so_many_times_an_hour_and_never_at_once_again() -> None:
    bounded = Bounded(2, 20.0)
    assert [bounded.admits(at) for at in (0.0, 10.0, 30.0, 60.0, HOUR - 1)] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert bounded.admits(HOUR + 1)


class Verifying:
    """A process that verifies, as the guard sees it."""

    def __init__(self) -> None:
        self.returncode: int | None = None
        self.tables: frozenset[str] = frozenset()

    def poll(self) -> int | None:
        return self.returncode

    def whole(self) -> frozenset[str]:
        return self.tables


def test_what_may_be_missing_is_verified_once_capture_is_in_order_and_settled_when_it_is_whole() -> None:
    book, begun, process = Book(), [], Verifying()

    def begin(target: str, cause: str) -> Any:
        begun.append((target, cause))
        return process

    verification = Verification(begin)
    look(book, WRONG["capture.skipped"][0], 0.0)
    look(book, connector(tasks=(Task("FAILED"),)), 2.0)
    for at in (2.0, 20.0, 40.0):  # the connector has failed: what is missing may be on its way
        verification.consider(book.open.values(), at)
    assert begun == []
    look(book, HEALTHY, 41.0)
    look(book, HEALTHY, 45.0)
    assert verification.consider(book.open.values(), 45.0) == ""
    assert verification.consider(book.open.values(), 60.0) == "directory"
    assert verification.consider(book.open.values(), 62.0) == ""
    assert (begun, list(verification.ended())) == ([("directory", "capture.skipped")], [])
    process.returncode = 0
    [event] = book.close(found.identity for found in verification.ended())
    assert (event.state, event.finding.code) == ("closed", "capture.skipped")


def test_a_column_that_nobody_has_mapped_yet_keeps_nobody_from_verifying() -> None:
    book = Book()
    for at in (0.0, 2.0, 4.0):
        look(book, WRONG["column.unmapped"][0], at)
    look(book, replace(WRONG["column.unmapped"][0], heard=WRONG["capture.skipped"][0].heard), 6.0)
    assert {found.code for found in book.open.values()} == {"column.unmapped", "capture.skipped"}
    verification = Verification(lambda target, cause: cast(Any, Verifying()))
    verification.consider(book.open.values(), 6.0)
    assert verification.consider(book.open.values(), 20.0) == "directory"


TWO_TABLES = replace(
    HEALTHY,
    heard=Heard(
        0.1,
        incomplete=(
            Incomplete("directory", 7, 100, 200, {"dir_listing": 2}),
            Incomplete("directory", 8, 300, 400, {"dir_site": 1}),
        ),
    ),
)
"""A transaction of each lacks rows."""


def test_the_tables_of_a_system_are_verified_at_once_and_one_that_is_not_whole_by_itself() -> None:
    book, process = Book(), Verifying()
    verification = Verification(lambda target, cause: cast(Any, process))
    look(book, TWO_TABLES, 0.0)
    verification.consider(book.open.values(), 0.0)
    both = "directory.dir_listing directory.dir_site"
    assert verification.consider(book.open.values(), 20.0) == both
    process.returncode = 1
    assert list(verification.ended()) == []
    assert verification.consider(book.open.values(), 400.0) == "directory.dir_listing"
    process.returncode = 0
    assert [found.action for found in verification.ended()] == [
        "concord verify source directory.dir_listing --repair"
    ]


def test_of_tables_that_are_verified_at_once_those_that_are_whole_are_settled() -> None:
    book, process = Book(), Verifying()
    verification = Verification(lambda target, cause: cast(Any, process))
    look(book, TWO_TABLES, 0.0)
    verification.consider(book.open.values(), 0.0)
    assert verification.consider(book.open.values(), 20.0) == "directory.dir_listing directory.dir_site"
    process.returncode, process.tables = 1, frozenset({"directory.dir_site"})
    book.close(found.identity for found in verification.ended())
    assert {found.action for found in book.open.values()} == {
        "concord verify source directory.dir_listing --repair"
    }
    assert verification.consider(book.open.values(), 400.0) == "directory.dir_listing"


def test_a_verification_that_was_refused_settles_nothing_and_one_that_was_stopped_has_ended() -> None:
    run = Run("nowhere.provider", "test")
    assert wait_until(run.poll, 60, what="it to be refused")
    assert run.whole() == frozenset()
    run = Run("directory", "test")
    run.stop()
    assert wait_until(run.poll, 60, what="it to end") == -signal.SIGTERM


def test_a_verification_that_finds_more_than_it_may_repair_settles_nothing() -> None:
    book, process = Book(), Verifying()
    verification = Verification(lambda target, cause: cast(Any, process))
    look(book, WRONG["capture.incomplete"][0], 0.0)
    verification.consider(book.open.values(), 0.0)
    assert verification.consider(book.open.values(), 20.0) == "directory.dir_listing"
    process.returncode = 1
    assert list(verification.ended()) == []
    assert len(book.open) == 1


def test_a_worker_that_is_just_starting_is_not_stalled() -> None:
    """Guard and worker start together; a worker that never comes is told all the same."""
    starting = replace(beats(0.2, LATE + 1), idle=60.0)
    starting = replace(starting, beats=replace(starting.beats, new=frozenset({"decided"})))
    assert judging.decide_stalled(starting) == []
    late = {"captured": 0.2, "decided": judging.STARTING + 1}
    assert judging.decide_stalled(replace(starting, beats=replace(starting.beats, late=late)))


# ---- what can't be processed ----

UNPROCESSABLE = connector(tasks=(Task("FAILED", "DateTimeParseException", stuck_at=4_000),))
TRACE = (
    "org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer\n"
    "Caused by: org.apache.kafka.connect.errors.ConnectException: Error while processing event at offset"
    " {transaction_id=7, lsn_proc=9, lsn_commit=8, lsn=4000, txId=7}\n"
)


class Acting(Remedies):
    """Its decisions, without Connect; what was asked of it."""

    def __init__(self) -> None:
        super().__init__(Settings(), Source(Names("directory"), ""), "")
        self.done: list[str] = []

    def _do(self, name: str, codes: Any, now: float, act: Any) -> str:
        if not self._bounds[name].admits(now):
            return ""
        self.done.append(name)
        return name


def acts(acting: Acting, facts: Facts, now: float) -> str:
    return acting.act(facts, holding(facts), now)


def test_a_change_that_no_restart_gets_past_is_told_from_a_database_that_does_not_answer() -> None:
    assert (
        _task("FAILED", f"{TRACE}Caused by: java.time.format.DateTimeParseException: 2026").stuck_at == 4_000
    )
    assert _task("FAILED", f"{TRACE}Caused by: org.postgresql.util.PSQLException: gone").stuck_at == 0
    assert _task("FAILED", "org.apache.kafka.connect.errors.ConnectException: no slot").stuck_at == 0
    assert holding(UNPROCESSABLE) == {"connector.unprocessable"}, "told once"


def test_what_can_not_be_processed_is_passed_over_until_capture_is_past_where_the_log_ended() -> None:
    acting = Acting()
    assert [acts(acting, UNPROCESSABLE, at) for at in (0.0, 6.0)] == ["again", "pass_over"]
    lenient = connector(lenient=(1_000, 5_000))
    assert acts(acting, lenient, 10.0) == "", "its offset is 1,100"
    assert acts(acting, connector(lenient=(1_000, 5_000), lsn=5_000), 20.0) == ""
    assert (
        acts(acting, connector(lenient=(1_000, 5_000), lsn=6_000, tasks=(Task("FAILED"),)), 30.0) == "restart"
    )
    assert acts(acting, connector(lenient=(1_000, 5_000), lsn=6_000), 40.0) == "heed"
    assert acts(acting, HEALTHY, 50.0) == ""


def test_another_guard_ends_what_a_killed_one_began() -> None:
    assert acts(Acting(), connector(lenient=(1_000, 5_000), lsn=6_000), 0.0) == "heed"


def test_who_stopped_the_connector_goes_on_with_it_alone() -> None:
    assert acts(Acting(), connector(lenient=(1_000, 5_000), lsn=6_000, state="PAUSED"), 0.0) == ""


def test_a_table_that_fails_again_and_again_is_left_to_a_person() -> None:
    acting = Acting()
    for at in range(20):
        acts(acting, UNPROCESSABLE, 60.0 * at)
    assert acting.done == ["again", *["pass_over"] * LENIENCES]


def test_a_task_that_gets_further_each_time_is_started_again() -> None:
    """After a re-read of a table with a column list Debezium takes its rows in another order, until it starts anew."""
    acting, later = Acting(), connector(tasks=(Task("FAILED", "NumberFormatException", stuck_at=4_500),))
    assert [acts(acting, UNPROCESSABLE, 0.0), acts(acting, later, 60.0)] == ["again", "again"]


def test_what_was_passed_over_is_verified_with_everything_else_of_the_system() -> None:
    """Also where the guard was killed between: that it passes over stands in Connect."""
    book = Book()
    assert look(book, UNPROCESSABLE, 0.0) == [("opened", "connector.unprocessable")]
    look(book, replace(UNPROCESSABLE, problems=WRONG["publication.differs"][0].problems), 1.0)
    again = Book(book.open.values())
    look(again, connector(lenient=(1_000, 5_000)), 2.0)
    for at in (4.0, 8.0):
        look(again, HEALTHY, at)
    assert {found.code for found in again.open.values()} == {UNVERIFIED.code}
    [left] = [found for found in again.open.values() if found.subject == "source/directory"]
    assert left.first == 1_000, "what was captured when it began"
    verification = Verification(lambda target, cause: cast(Any, Verifying()))
    verification.consider(again.open.values(), 8.0)
    assert verification.consider(again.open.values(), 30.0) == "directory"
    assert {found.action for found in verification.findings} == {
        "concord verify source directory --repair",
        "concord verify source directory.dir_listing --repair",
    }


def test_what_a_start_gets_past_leaves_nothing_to_verify() -> None:
    book = Book()
    for at, facts in ((0.0, UNPROCESSABLE), (2.0, HEALTHY), (6.0, HEALTHY)):
        look(book, facts, at)
    assert not book.open


def test_a_gap_that_comes_while_it_is_verified_is_not_settled_with_it() -> None:
    book, passes_over = Book(), connector(lenient=(1_100, 5_000))
    for at, facts in ((0.0, passes_over), (2.0, HEALTHY), (6.0, HEALTHY)):
        look(book, facts, at)
    [verified] = book.open.values()
    later = replace(HEALTHY, server=replace(SERVER, lsn=9_000))
    for at, facts in ((10.0, passes_over), (12.0, later), (16.0, later)):
        look(book, facts, at)
    [left] = book.open.values()
    assert (left.identity, left.first, left.last) == (verified.identity, 1_100, 9_000)
    assert left != verified
