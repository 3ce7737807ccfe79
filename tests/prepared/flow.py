"""Faults of the flow itself: an adapter, a record, a slot, a connector; and what mends each."""

from __future__ import annotations

from contextlib import closing

from confluent_kafka import Producer

from connectors.connect import Connect
from connectors.source import Names
from tests.prepared.scene import Scene
from tests.runbooks import Runbook

# ---- adapter stopped ----


def stop_adapter(scene: Scene) -> None:
    scene.platform.stop("adapter-directory")
    scene.rename("Stopwell")


def start_what_stopped(scene: Scene, page: Runbook) -> None:
    scene.run(page.command("concord up"))


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
