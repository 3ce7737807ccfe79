"""Faults of the flow itself: an adapter, its target, a record, a slot, a connector; and what mends each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from confluent_kafka import Producer

from connectors.connect import Connect
from connectors.source import Names
from streams.operate.exporter.course import FLOWING
from tests.prepared.scene import PATIENCE, Scene
from tests.runbooks import Runbook

# ---- adapter stopped ----


def stop_adapter(scene: Scene) -> None:
    scene.platform.stop("adapter-directory")
    scene.rename("Stopwell")


def start_what_stopped(scene: Scene, page: Runbook) -> None:
    scene.run(page.command("concord up"))


# ---- slow target ----

SLOW = """
create function checked_elsewhere() returns trigger language plpgsql as
    $$ begin perform pg_sleep(45); return new; end $$;
create trigger checked_elsewhere before insert or update on dir_provider
    for each row execute function checked_elsewhere();
"""
"""As of a target's team whose trigger asks somebody far away: each row takes less than an adapter's patience with a
statement, which is a minute."""
QUICK = "drop function checked_elsewhere() cascade"


def slow_the_target(scene: Scene) -> None:
    """One view is being written, another waits behind it: slow for as long as it takes to look at it."""
    scene.administrator("directory").execute(SLOW)
    scene.undo.callback(lambda: scene.administrator("directory").execute(QUICK))
    scene.rename("Slowwell")
    scene.wait(lambda: directory(scene) > FLOWING, "a view to wait longer than one that flows")
    scene.rename("Slowerwell")


def directory(scene: Scene) -> float:
    """Seconds that its oldest view waits."""
    [found] = [each for each in scene.status().adapters if each.name == "directory"]
    return found.lag_seconds or 0.0


def switch_the_trigger_off(scene: Scene, page: Runbook) -> None:
    """In two sessions, as the page says: who changes the table waits for who writes it."""
    one, two = scene.administrator("directory"), scene.administrator("directory")
    [(pid, *_), *_] = two.execute(page.sql("select pid, wait_event", SYSTEM="directory")).fetchall()
    [(table, trigger)] = two.execute(page.sql("select tgrelid")).fetchall()
    with ThreadPoolExecutor(1) as beside:
        off = beside.submit(one.execute, page.sql("alter table", TABLE=table, NAME=trigger))
        standing = f"select 1 where {pid} = any(pg_blocking_pids({one.info.backend_pid}))"
        scene.wait(lambda: off.done() or two.execute(standing).fetchone(), "it to stand in line")
        two.execute(page.sql("select pg_cancel_backend", PID=str(pid)))
        off.result(PATIENCE)
    scene.wait(scene.quiet, "the directory to catch up")


# ---- poison ----


def poison(scene: Scene) -> None:
    producer = Producer({"bootstrap.servers": scene.platform.settings.kafka, "log_level": 0})
    producer.produce(scene.platform.settings.topic("cdc.credentialing"), b"{not json", partition=0)
    assert producer.flush(30) == 0
    scene.wait(lambda: scene.status().unhandled.count, "the record to be quarantined")


def discard(scene: Scene, page: Runbook) -> None:
    scene.run(page.command("concord quarantine list --state open"))
    [item] = scene.platform.ask("quarantine", "list", "--state", "open")["items"]
    origin = item["origin"]
    scene.run(page.command("concord quarantine show", ORIGIN=origin))
    scene.run(page.command("concord quarantine discard", ORIGIN=origin, TEXT="somebody wrote it by hand"))


# ---- slot growing ----


def hold_the_slot(scene: Scene) -> None:
    """A transaction that has written something and never ends."""
    holding = scene.administrator("billing")
    holding.autocommit = False
    holding.execute("select pg_logical_emit_message(true, 'prepared', '')")


def write_much(scene: Scene) -> None:
    with closing(scene.platform.databases["billing"].connect()) as busy:
        for _ in range(4):
            busy.execute("select pg_current_xact_id()")
            busy.execute("select pg_switch_wal()")


def kept(scene: Scene) -> int:
    return max(capture.retained_bytes or 0 for capture in scene.status().capture)


def end_the_oldest(scene: Scene, page: Runbook) -> None:
    most, source = kept(scene), scene.administrator("credentialing")
    [(pid, *_), *_] = source.execute(page.sql("select pid")).fetchall()
    source.execute(page.sql("select pg_terminate_backend", PID=str(pid)))
    source.execute("checkpoint")
    scene.wait(lambda: kept(scene) < most / 2, "the slots to go on")


# ---- connector dead ----


def delete_connector(scene: Scene) -> None:
    with Connect(scene.platform.settings.connect) as connect:
        connect.delete(Names("directory", scene.platform.settings.topic_prefix).connector)
    scene.wait(lambda: scene.status().guard.open, "the guard to say so")


def apply_source(scene: Scene, page: Runbook) -> None:
    first = [line for line in page.text.splitlines() if line.startswith("    concord sources apply SYSTEM  ")]
    assert "missing" in first[0]
    scene.run(["sources", "apply", "directory"])
    scene.wait(lambda: scene.status().guard.open == 0, "the guard to find it in order")
