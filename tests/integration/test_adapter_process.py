"""Adapters as processes on real services: from the sink topics to the systems' tables, through faults."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.sink import View
from stack.environment import Environment
from tests import views
from tests.adapters import AdapterProcess, Line, Sinks, adapter, records
from tests.fixtures.databases import Database, NewDatabase
from tests.fixtures.kafka import CreateTopic

STOPS_WITHIN = 3.0  # seconds; what the operators are promised
HERE, GROUP = views.entity(1), views.entity(2)
TABLES = {
    "directory": ("dir_provider", "dir_location", "dir_listing"),
    "enrollment": ("enr_provider",),
    "billing": ("bil_rendering", "bil_billing_entity", "bil_service_location", "bil_affiliation"),
}
# Every revision a target moved to, so that an order turned round cannot hide behind a right end.
LEDGER = """
    create table ledger (kind text, entity_id text, before bigint, after bigint);
    create function note() returns trigger language plpgsql security definer as $$ begin
        insert into ledger values (new.kind, new.entity_id, old.revision, new.revision); return new;
    end $$;
    create trigger note after update on concord_applied for each row execute function note();
"""

Start = Callable[..., AdapterProcess]


class System:
    """One system's database and sink topics, and what stands in the database."""

    def __init__(self, database: Database, sinks: Sinks) -> None:
        self.database = database
        self.sinks = sinks
        self.user = database.connect()

    def one(self, query: str) -> Any:
        row = self.user.execute(query).fetchone()
        return row and row[0]

    def revisions(self) -> dict[str, int]:
        return dict(self.user.execute("select entity_id, revision from concord_applied").fetchall())

    def rows(self) -> list[Any]:
        query = "select xmin::text, ctid::text, t::text from {} t order by 3"
        names = (*TABLES[self.database.system], "concord_applied", "concord_pending")
        return [self.user.execute(query.format(name)).fetchall() for name in names]

    def at(self, *sent: View) -> Callable[[], bool]:
        wanted = {view.entity_id: view.revision for view in sent}
        return lambda: wanted.items() <= self.revisions().items()


@pytest.fixture
def system(
    stack: Environment, database: NewDatabase, topic: CreateTopic, topic_prefix: str
) -> Iterator[Callable[[str], System]]:
    made: list[System] = []

    def make(name: str) -> System:
        sinks = Sinks(stack, name, topic_prefix)
        for each in (*sinks.topics(), "receipt", "workers", "control"):
            topic(each)
        made.append(System(database(name), sinks.open()))
        return made[-1]

    yield make
    for each in made:
        each.user.close()


@pytest.fixture
def start(stack: Environment, topic_prefix: str) -> Iterator[Start]:
    from contextlib import ExitStack

    with ExitStack() as running:

        def begin(system: System, dsn: str | None = None) -> AdapterProcess:
            found = adapter(stack, system.database.system, dsn or system.database.adapter, topic_prefix)
            return running.enter_context(found)

        yield begin


def people(system: str, count: int, revision: int = 1, **content: Any) -> list[View]:
    named: dict[str, Any] = {
        "directory": {"listings": [views.listing(HERE)]},
        "billing": {"affiliations": [views.affiliation(GROUP)]},
        "enrollment": {"groups": [views.group(HERE)]},
    }[system]
    return [
        views.provider(system, views.entity(100 + n), revision, **{**named, **content}) for n in range(count)
    ]


def references(system: str) -> list[View]:
    match system:
        case "directory":
            return [views.location("directory", HERE)]
        case "billing":
            return [views.location("billing", HERE), views.organization(GROUP)]
        case _:
            return []


def fault_of(running: AdapterProcess) -> dict[str, Any] | None:
    """Why the circuit is open, None while it is closed."""
    status = running.status()
    return status and status["circuit"].get("fault")


def receipts(stack: Environment, prefix: str) -> list[dict[str, Any]]:
    """Of views; what adapters say of themselves is left out."""
    found = [json.loads(value or b"{}") for _, value in records(stack, f"{prefix}receipt")]
    return [each for each in found if each["kind"] != "system"]


def standing(stack: Environment, prefix: str) -> list[str]:
    """What adapters say of themselves."""
    found = [json.loads(value or b"{}") for _, value in records(stack, f"{prefix}receipt")]
    return [each["outcome"] for each in found if each["kind"] == "system"]


@pytest.mark.parametrize("name", TABLES)
def test_views_reach_the_system_and_a_replay_of_the_topics_writes_nothing(
    name: str, system: Callable[[str], System], start: Start
) -> None:
    made = system(name)
    sent = [*people(name, 50), *references(name)]
    made.sinks.send(*sent)
    running = start(made)
    running.wait_for(made.at(*sent), what="every view")
    assert running.end() == 0
    before = made.rows()
    made.user.execute("truncate concord_offset")
    again = start(made)
    again.wait_for(lambda: made.one("select sum(next_offset) from concord_offset"), what="the topics' ends")
    again.wait_for(lambda: (again.status() or {}).get("outcomes", {}).get("superseded") == len(sent))
    assert made.rows() == before


def test_a_stopped_adapter_goes_on_where_the_target_says(
    system: Callable[[str], System], start: Start
) -> None:
    made = system("enrollment")
    made.sinks.send(*people("enrollment", 20))
    first = start(made)
    first.wait_for(made.at(*people("enrollment", 20)))
    assert first.end() == 0
    made.sinks.send(*people("enrollment", 5, revision=2))
    second = start(made)
    second.wait_for(made.at(*people("enrollment", 5, revision=2)))
    assert second.wait_for(second.status)["outcomes"] == {"applied": 5}


def test_bad_and_undecodable_records_end_in_receipts_and_the_others_are_applied(
    system: Callable[[str], System], start: Start, stack: Environment, topic_prefix: str
) -> None:
    made = system("directory")
    good, bad = people("directory", 40), views.provider("directory", views.entity(99), npi="1" * 11)
    made.sinks.send(*references("directory"), *good[:20], bad, *good[20:])
    made.sinks.send_raw("provider", views.entity(98), b"\0\0\0\0\1not avro")
    made.sinks.send_raw("provider", views.entity(97), b"{}")
    made.sinks.send_raw("provider", views.entity(96), None)
    running = start(made)
    running.wait_for(made.at(*good), what="the good views")
    told = running.wait_for(lambda: _three(receipts(stack, topic_prefix)), what="three receipts")
    assert {(r["entity_id"], r["code"]) for r in told} == {
        (views.entity(99), "target.value"),
        (views.entity(98), "view.undecodable"),
        (views.entity(97), "view.undecodable"),
    }
    assert not any("1" * 11 in r["message"] for r in told)
    found = running.wait_for(running.status)
    assert (found["outcomes"]["failed"], found["outcomes"]["tombstone"]) == (3, 1)


def _three(found: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    return found if len(found) == 3 else None


def test_a_provider_waits_for_its_location_in_another_topic(
    system: Callable[[str], System], start: Start
) -> None:
    made = system("directory")
    made.sinks.send(*people("directory", 3))
    running = start(made)
    running.wait_for(lambda: made.one("select count(*) = 3 from concord_pending"))
    made.sinks.send(*references("directory"))
    running.wait_for(made.at(*people("directory", 3)), what="the released views")
    assert made.one("select count(*) from concord_pending") == 0


def test_while_the_target_is_down_nothing_is_lost_and_the_circuit_shows_it(
    system: Callable[[str], System], start: Start
) -> None:
    made = system("enrollment")
    line = Line(made.database.adapter)
    running = start(made, line.dsn)
    made.sinks.send(*people("enrollment", 10))
    running.wait_for(made.at(*people("enrollment", 10)))
    line.cut()
    made.sinks.send(*people("enrollment", 10, revision=2))
    fault = running.wait_for(lambda: fault_of(running), what="an open circuit")
    assert fault["code"] == "target.unavailable"
    line.mend()
    running.wait_for(made.at(*people("enrollment", 10, revision=2)), what="the views of the outage")
    running.wait_for(lambda: (running.status() or {})["circuit"]["state"] == "closed")
    line.close()


def test_a_target_that_is_down_from_the_start_is_waited_for(
    system: Callable[[str], System], start: Start
) -> None:
    made = system("enrollment")
    line = Line(made.database.adapter)
    line.cut()
    made.sinks.send(*people("enrollment", 3))
    running = start(made, line.dsn)
    running.wait_for(lambda: fault_of(running))
    line.mend()
    running.wait_for(made.at(*people("enrollment", 3)))
    line.close()


def test_an_adapter_stops_in_time_and_takes_its_announcement_back(
    system: Callable[[str], System], start: Start, stack: Environment, topic_prefix: str
) -> None:
    made = system("directory")
    running = start(made)
    running.wait_for(running.status)
    began = time.monotonic()
    assert running.end() == 0
    assert time.monotonic() - began < STOPS_WITHIN
    assert dict(records(stack, f"{topic_prefix}workers")) == {
        records(stack, f"{topic_prefix}workers")[0][0]: None
    }


def test_lag_is_nothing_once_all_is_applied(system: Callable[[str], System], start: Start) -> None:
    """Transaction markers take offsets: counting to the log's end would show a lag for ever."""
    made = system("enrollment")
    made.sinks.send(*people("enrollment", 30))
    running = start(made)
    running.wait_for(made.at(*people("enrollment", 30)))
    found = running.wait_for(lambda: _placed(running.status()), what="a lag of zero")
    assert found["lag_seconds"] == 0.0


def _placed(status: dict[str, Any] | None) -> dict[str, Any] | None:
    return status if status and status["partitions"] and status["lag_records"] == 0 else None


def test_killed_in_the_middle_of_a_load_nothing_is_lost_or_turned_round(
    system: Callable[[str], System], start: Start
) -> None:
    """Invariant 7, with a ledger of every revision the target ever moved to."""
    made = system("directory")
    made.user.execute(LEDGER)
    made.sinks.send(*references("directory"))
    running = start(made)
    running.wait_for(made.at(*references("directory")))
    for revision in range(1, 6):
        made.sinks.send(*people("directory", 400, revision))
        running.wait_for(lambda: made.one("select count(*) > 50 from concord_applied"))
        running.end(signal.SIGKILL)
        running = start(made)
    running.wait_for(made.at(*people("directory", 400, 5)), what="the newest revision everywhere")
    assert made.one("select count(*) from ledger where after <= before") == 0
    assert made.one("select count(*) from dir_listing") == 400


def test_a_second_adapter_shares_the_work_and_takes_over(
    system: Callable[[str], System], start: Start
) -> None:
    made = system("billing")
    made.user.execute(LEDGER)
    first, second = start(made), start(made)
    made.sinks.send(*references("billing"), *people("billing", 300))
    first.wait_for(made.at(*people("billing", 300)))
    first.wait_for(
        lambda: all((each.status() or {}).get("partitions") for each in (first, second)), what="a share each"
    )
    made.sinks.send(*people("billing", 300, 2))
    assert first.end() == 0
    made.sinks.send(*people("billing", 300, 3))
    second.wait_for(made.at(*people("billing", 300, 3)), what="the newest revision everywhere")
    assert made.one("select count(*) from ledger where after <= before") == 0


def _share(running: AdapterProcess) -> bool:
    return bool((running.status() or {}).get("partitions"))


def test_a_paused_adapter_that_wakes_after_its_successor_changes_nothing(
    system: Callable[[str], System], start: Start
) -> None:
    made = system("directory")
    made.user.execute(LEDGER)
    made.sinks.send(*references("directory"), *people("directory", 200))
    asleep = start(made)
    asleep.wait_for(lambda: made.one("select count(*) > 10 from concord_applied"))
    asleep.process.send_signal(signal.SIGSTOP)
    successor = start(made)
    made.sinks.send(*people("directory", 200, 2))
    successor.wait_for(made.at(*people("directory", 200, 2)), what="the successor's work")
    stored = made.one("select sum(next_offset) from concord_offset")
    asleep.process.send_signal(signal.SIGCONT)
    made.sinks.send(*people("directory", 200, 3))
    successor.wait_for(made.at(*people("directory", 200, 3)))
    assert made.one("select sum(next_offset) from concord_offset") > stored
    assert made.one("select count(*) from ledger where after <= before") == 0


def test_offsets_and_rows_are_one_transaction(system: Callable[[str], System], start: Start) -> None:
    """A target that takes the rows and refuses the offset takes neither."""
    made = system("enrollment")
    made.user.execute("revoke insert, update on concord_offset from concord_adapter_enrollment")
    made.sinks.send(*people("enrollment", 5))
    running = start(made)
    fault = running.wait_for(lambda: fault_of(running))
    assert (fault["code"], made.revisions()) == ("target.forbidden", {})
    made.user.execute("grant insert, update on concord_offset to concord_adapter_enrollment")
    running.wait_for(made.at(*people("enrollment", 5)))


# ---- somebody has changed something under it ----

NARROW = "alter table enr_provider alter column prov_last type varchar(12)"
BACK = "alter table enr_provider alter column prov_last type varchar(60)"
LONG = {"last_name": "Fernhollow-Alderbrook"}


def test_a_narrowed_column_pauses_the_system_also_after_a_restart_and_no_view_is_refused_for_it(
    system: Callable[[str], System], start: Start, stack: Environment, topic_prefix: str
) -> None:
    """Each view that is too long looks like bad data, and would be lost to the system until its next change."""
    made = system("enrollment")
    made.sinks.send(*people("enrollment", 10))
    first = start(made)
    first.wait_for(made.at(*people("enrollment", 10)))
    made.user.execute(NARROW)
    made.sinks.send(*people("enrollment", 10, 2, **LONG))
    fault = first.wait_for(lambda: fault_of(first), what="a pause")
    first.end(signal.SIGKILL)
    second = start(made)
    assert second.wait_for(lambda: fault_of(second), what="the same pause") == fault
    assert (fault["code"], fault["message"]) == (
        "target.schema",
        "enrollment: enr_provider.prov_last is character varying(12), was character varying(60)",
    )
    made.sinks.send(*people("enrollment", 3, 3))
    second.wait_for(lambda: second.status()["circuit"]["failures"] > 3)  # type: ignore[index]
    made.user.execute(BACK)
    second.wait_for(
        made.at(*people("enrollment", 10, 2)[3:], *people("enrollment", 3, 3)), what="all of them"
    )
    second.wait_for(lambda: fault_of(second) is None)
    assert receipts(stack, topic_prefix) == []
    told = standing(stack, topic_prefix)
    assert (told.count("paused"), told[-1]) == (2, "resumed"), "once a process"


def test_a_narrower_column_that_is_meant_is_accepted_and_what_does_not_fit_is_refused_by_itself(
    system: Callable[[str], System], start: Start, stack: Environment, topic_prefix: str
) -> None:
    made = system("enrollment")
    made.sinks.send(*people("enrollment", 10))
    running = start(made)
    running.wait_for(made.at(*people("enrollment", 10)))
    made.user.execute(NARROW)
    made.user.execute("delete from concord_shape where column_name = 'prov_last'")
    made.sinks.send(*people("enrollment", 3, 2, **LONG), *people("enrollment", 10, 2)[3:])
    running.wait_for(made.at(*people("enrollment", 10, 2)[3:]))
    told = running.wait_for(lambda: _three(receipts(stack, topic_prefix)), what="three receipts")
    assert {receipt["code"] for receipt in told} == {"target.value"}


def test_a_pause_is_told_once_however_often_it_is_tried(
    system: Callable[[str], System], start: Start, stack: Environment, topic_prefix: str
) -> None:
    """Between two tries the topic may show nothing yet, or a view that passes: neither ends the pause."""
    made = system("directory")
    made.sinks.send(*references("directory"), *people("directory", 40))
    running = start(made)
    running.wait_for(made.at(*people("directory", 40)))
    made.user.execute(
        "revoke update (last_name), insert (last_name) on dir_provider from concord_adapter_directory"
    )
    made.sinks.send(*people("directory", 40, 2, last_name="Alderbrook"))
    running.wait_for(lambda: fault_of(running), what="a pause")
    for revision in range(2, 5):
        place = views.location("directory", HERE, revision)
        made.sinks.send(place)
        running.wait_for(made.at(place), what="a place, which passes")
    running.wait_for(lambda: running.status()["circuit"]["failures"] > 5)  # type: ignore[index]
    assert standing(stack, topic_prefix) == ["resumed", "paused"]
    made.user.execute(
        "grant update (last_name), insert (last_name) on dir_provider to concord_adapter_directory"
    )
    running.wait_for(made.at(*people("directory", 40, 2)))
    running.wait_for(lambda: standing(stack, topic_prefix) == ["resumed", "paused", "resumed"])
