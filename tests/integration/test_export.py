"""Exports from real sink topics: complete, delta, a crash in between, topics made again; run as a command."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin import AdminClient

from connectors.sink import View
from stack.environment import Environment
from streams.operate.export import manifest
from tests import views
from tests.adapters import Sinks, records
from tests.fixtures.kafka import CreateTopic
from tests.fixtures.waiting import wait_until

HERE = views.entity(1)
Export = Callable[..., dict[str, Any]]


@pytest.fixture
def sinks(stack: Environment, topic: CreateTopic, topic_prefix: str) -> Sinks:
    found = Sinks(stack, "directory", topic_prefix)
    for name in (*found.topics(), "receipt"):
        topic(name)
    return found.open()


@pytest.fixture
def export(stack: Environment, sinks: Sinks, tmp_path: Path, audit: str) -> Export:
    """The command's answer; `code` is the exit code it must leave with."""
    own = {"CONCORD_TOPIC_PREFIX": sinks.prefix, "CONCORD_AUDIT": audit}
    environ = {**os.environ, **stack.variables(), **own}

    def run(*arguments: str, code: int = 0, system: str = "directory", **more: str) -> dict[str, Any]:
        command = [sys.executable, "-m", "streams.cli", "export", system, "--to", str(tmp_path), "--json"]
        done = subprocess.run(
            [*command, *arguments], capture_output=True, env={**environ, **more}, check=False
        )
        assert done.returncode == code, done.stderr.decode()
        answer: dict[str, Any] = json.loads(done.stdout)
        found: dict[str, Any] = answer.get("result") or answer["error"]
        return found

    return run


def people(count: int, revision: int = 1, **content: Any) -> list[View]:
    return [views.provider("directory", views.entity(100 + n), revision, **content) for n in range(count)]


def lines(result: dict[str, Any], kind: str = "provider") -> dict[str, int]:
    text = (Path(result["delivery"]) / f"{kind}.jsonl").read_text().splitlines()
    return {row[f"{kind}_id"]: row["revision"] for row in map(json.loads, text)}


def at(sent: list[View]) -> dict[str, int]:
    return {view.entity_id: view.revision for view in sent}


def receipts(sinks: Sinks) -> list[tuple[str, int | None, str]]:
    told = [json.loads(value or b"{}") for _, value in records(sinks.stack, f"{sinks.prefix}receipt")]
    return [(r["entity_id"], r["revision"], r["outcome"]) for r in told]


def test_the_first_export_is_complete_and_the_next_holds_what_changed(
    sinks: Sinks, export: Export, tmp_path: Path
) -> None:
    sinks.send(views.location("directory", HERE), *people(20))
    sinks.send(*people(5, 2))
    sinks.send_raw("provider", views.entity(98), b"{}")
    sinks.send_raw("provider", views.entity(97), None)
    first = export()
    assert (first["manifest"]["kind"], first["manifest"]["previous"]) == ("complete", None)
    assert lines(first) == at([*people(20), *people(5, 2)])
    assert lines(first, "location") == {HERE: 1}
    counts = {name: first["manifest"][name] for name in ("read", "superseded", "tombstones", "undecodable")}
    assert counts == {"read": 28, "superseded": 5, "tombstones": 1, "undecodable": 1}
    assert sorted(receipts(sinks)) == sorted(
        [(id, rev, "exported") for id, rev in (lines(first) | {HERE: 1}).items()]
        + [(views.entity(98), None, "failed")]
    )
    gone = views.provider("directory", views.entity(101), 3, status="withdrawn")
    sinks.send(*people(1, 3), gone)
    second = export("--since", "last")
    assert (second["manifest"]["kind"], second["manifest"]["previous"]) == ("delta", 1)
    assert lines(second) == at([*people(1, 3), gone])
    assert second["manifest"]["files"][1]["withdrawn"] == 1
    assert manifest.verify(tmp_path) == []


def test_a_night_without_changes_is_an_empty_delivery(sinks: Sinks, export: Export) -> None:
    """A team that waits for a file must see the difference between nothing new and nothing exported."""
    sinks.send(*people(3))
    export()
    empty = export()
    assert (lines(empty), empty["manifest"]["number"]) == ({}, 2)


def test_full_exports_everything_and_the_next_goes_on_from_it(sinks: Sinks, export: Export) -> None:
    sinks.send(*people(3))
    export()
    full = export("--full")
    assert (full["manifest"]["kind"], full["manifest"]["previous"], lines(full)) == (
        "complete",
        None,
        at(people(3)),
    )
    sinks.send(*people(1, 2))
    assert lines(export()) == at(people(1, 2))


def test_a_crash_before_the_rename_leaves_the_old_state_and_loses_nothing(
    sinks: Sinks, export: Export, tmp_path: Path
) -> None:
    sinks.send(*people(3))
    export()
    sinks.send(*people(3, 2))
    left = tmp_path / ".making" / "delivery"  # as a killed export leaves it
    left.mkdir(parents=True)
    (left / "provider.jsonl").write_text("half a li")
    assert lines(export()) == at(people(3, 2))
    assert manifest.verify(tmp_path) == []
    assert not (tmp_path / ".making").exists()


def test_an_export_that_fails_keeps_the_folders_place(sinks: Sinks, export: Export, tmp_path: Path) -> None:
    sinks.send(*people(3))
    export()
    sinks.send(*people(3, 2))
    before = (tmp_path / manifest.NAME).read_bytes()
    assert export(code=1, CONCORD_REGISTRY="http://127.0.0.1:9")["code"] == "registry.unavailable"
    assert ((tmp_path / manifest.NAME).read_bytes(), len(manifest.deliveries(tmp_path))) == (before, 1)
    assert lines(export()) == at(people(3, 2))


def test_topics_made_again_are_exported_whole(
    sinks: Sinks, export: Export, kafka_admin: AdminClient, topic: CreateTopic
) -> None:
    """Offsets of another incarnation mean nothing: a delta from them would leave views out."""
    sinks.send(*people(3))
    export()
    sinks.made_again(kafka_admin, topic)
    sinks.send(*people(2))
    again = export()
    assert (again["manifest"]["kind"], lines(again)) == ("complete", at(people(2)))
    assert "made again" in again["manifest"]["why"]


def test_an_export_too_long_ago_is_followed_by_a_complete_one(
    sinks: Sinks, export: Export, tmp_path: Path
) -> None:
    sinks.send(*people(2))
    export()
    then = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    for path in (tmp_path / manifest.NAME, *tmp_path.glob(f"*/{manifest.NAME}")):
        manifest.write(path, msgspec.structs.replace(manifest.read(path), created_at=then))
    assert export()["manifest"]["kind"] == "complete"


def test_a_folder_belongs_to_one_system_and_arguments_are_checked(sinks: Sinks, export: Export) -> None:
    sinks.send(*people(1))
    export()
    assert export(system="billing", code=2)["code"] == "export.folder"
    assert export(system="nowhere", code=2)["code"] == "export.unknown"


MANY = 6_000


def saved(folder: Path) -> int:
    """How many records the export at work has saved so far."""
    spool = folder / ".making" / "spool"
    if not spool.exists():
        return 0
    with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True)) as database, suppress(sqlite3.Error):
        for (content,) in database.execute("select content from progress"):
            return int(json.loads(content)["counts"].get("read", 0))
    return 0


def test_a_killed_export_is_continued_and_loses_or_doubles_nothing(
    stack: Environment, sinks: Sinks, export: Export, tmp_path: Path, audit: str
) -> None:
    """Killed while it reads: what it had saved is not read again, and what came meanwhile is in it."""
    sinks.send(*people(MANY))
    command = [sys.executable, "-m", "streams.cli", "export", "directory", "--to", str(tmp_path)]
    own = {"CONCORD_TOPIC_PREFIX": sinks.prefix, "CONCORD_AUDIT": audit}
    environ = {**os.environ, **stack.variables(), **own}
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) as begun:
        wait_until(lambda: saved(tmp_path), 60, lambda: begun.poll() is None, "something to be saved")
        begun.kill()
    kept = saved(tmp_path)
    assert 0 < kept < MANY, "killed in the middle"
    assert manifest.deliveries(tmp_path) == []
    sinks.send(*people(10, 2))
    done = export()
    assert f"had read {kept:,}" in done["manifest"]["why"]
    assert lines(done) == at([*people(MANY), *people(10, 2)])
    counts = {name: done["manifest"][name] for name in ("read", "superseded", "tombstones", "undecodable")}
    assert counts == {"read": MANY + 10, "superseded": 10, "tombstones": 0, "undecodable": 0}
    assert manifest.verify(tmp_path) == []
    assert not (tmp_path / ".making").exists()
    sinks.send(*people(1, 3))
    assert lines(export()) == at(people(1, 3))
