"""An adapter in front of an API as a process, configured as an operator does: from the sink topics, through faults."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from connectors.sink import View
from stack.environment import Environment
from streams import settings as configuration
from streams.operate.hops import stored_offsets
from streams.settings import Settings
from tests import views
from tests.adapters import AdapterProcess, Sinks, records
from tests.fixtures.kafka import CreateTopic
from tests.reference_api import CLIENT, SECRET, ReferenceApi, reference_api

HERE = views.entity(1)
Start = Callable[..., AdapterProcess]


@pytest.fixture
def api() -> Iterator[ReferenceApi]:
    with reference_api() as running:
        yield running


@pytest.fixture
def sinks(stack: Environment, topic: CreateTopic, topic_prefix: str) -> Sinks:
    found = Sinks(stack, "directory", topic_prefix)
    for name in (*found.topics(), "receipt", "workers", "control"):
        topic(name)
    return found.open()


@pytest.fixture
def told(sinks: Sinks, api: ReferenceApi, tmp_path: Path) -> dict[str, str]:
    """What an operator sets."""
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    return {
        "CONCORD_ADAPTER_DIRECTORY": api.url,
        "CONCORD_ADAPTER_DIRECTORY_TOKEN_URL": api.token_url,
        "CONCORD_ADAPTER_DIRECTORY_CLIENT_ID": CLIENT,
        "CONCORD_ADAPTER_DIRECTORY_CLIENT_SECRET_FILE": str(secret),
        "CONCORD_ADAPTER_DIRECTORY_RATE": "1000",
        "CONCORD_ADAPTER_DIRECTORY_TIMEOUT_S": "1",
        "CONCORD_TOPIC_PREFIX": sinks.prefix,
    }


@pytest.fixture
def start(stack: Environment, sinks: Sinks, told: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    log = tmp_path / "log"
    with ExitStack() as running:
        yield lambda **more: running.enter_context(_process(stack, {**told, **more}, sinks.prefix, log))
    assert not [word for word in (SECRET, "token-", "Fernhollow") if word in log.read_text()]


@pytest.fixture
def known(stack: Environment, told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """The settings of whoever asks."""
    for name, value in {**stack.variables(), **told}.items():
        monkeypatch.setenv(name, value)
    configuration.load.cache_clear()
    yield configuration.load()
    configuration.load.cache_clear()


@contextmanager
def _process(stack: Environment, told: dict[str, str], prefix: str, log: Path) -> Iterator[AdapterProcess]:
    command = [sys.executable, "-m", "streams.cli", "adapter", "directory", "--no-supervised"]
    environ = {**os.environ, **stack.variables(), **told}
    with log.open("a") as text, subprocess.Popen(command, stderr=text, env=environ) as process:
        try:
            yield AdapterProcess(process, stack, prefix)
        finally:
            process.kill()
            process.wait()
            print(log.read_text())  # pytest shows it when the test fails


def people(count: int, revision: int = 1) -> list[View]:
    listings = [views.listing(HERE)]
    return [
        views.provider("directory", views.entity(100 + n), revision, listings=listings) for n in range(count)
    ]


def at(api: ReferenceApi, sent: list[View]) -> Callable[[], bool]:
    wanted = {view.entity_id: view.revision for view in sent}
    return lambda: wanted.items() <= api.revisions().items()


def _more_than(api: ReferenceApi, writes: int) -> bool:
    return len(api.writes) > writes


def receipts(sinks: Sinks) -> list[dict[str, Any]]:
    """Of views; what adapters say of themselves is left out."""
    found = [json.loads(value or b"{}") for _, value in records(sinks.stack, f"{sinks.prefix}receipt")]
    return [each for each in found if each["kind"] != "system"]


def paused(running: AdapterProcess, code: str) -> Callable[[], bool]:
    def found() -> bool:
        status = running.status()
        fault = (status or {}).get("circuit", {}).get("fault")
        return bool(fault) and fault["code"] == code

    return found


def written_once(api: ReferenceApi) -> bool:
    return len(api.writes) == len(set(api.writes))


def test_views_reach_the_api_and_every_one_is_confirmed(
    api: ReferenceApi, sinks: Sinks, start: Start
) -> None:
    sent = [*people(60), views.location("directory", HERE)]
    running = start()
    sinks.send(*sent)
    sinks.send_raw("provider", views.entity(98), b"{}")
    sinks.send_raw("provider", views.entity(97), None)
    running.wait_for(at(api, sent), what="every view")
    told = running.wait_for(lambda: (r := receipts(sinks)) and len(r) == len(sent) + 1 and r, what="receipts")
    assert {r["outcome"] for r in told if r["code"] != "view.undecodable"} == {"applied"}
    assert {r["entity_id"] for r in told if r["outcome"] == "failed"} == {views.entity(98)}
    withdrawn = views.provider("directory", views.entity(100), 2, status="withdrawn")
    sinks.send(withdrawn)
    running.wait_for(at(api, [withdrawn]))
    assert api.documents[f"provider/{withdrawn.entity_id}"]["status"] == "withdrawn"
    assert written_once(api)


def test_killed_and_started_again_in_the_middle_nothing_is_lost_or_written_twice(
    api: ReferenceApi, sinks: Sinks, start: Start
) -> None:
    """Invariants 2, 3 and 7: the offset is stored last, the key makes the rest a no-op."""
    sinks.send(views.location("directory", HERE))
    for revision in (1, 2, 3):
        sinks.send(*people(150, revision))
        running = start(CONCORD_ADAPTER_DIRECTORY_RATE="200")
        running.wait_for(partial(_more_than, api, len(api.writes) + 20))
        running.end(signal.SIGKILL)
    running = start()
    running.wait_for(at(api, people(150, 3)), what="the newest revision everywhere")
    assert written_once(api)
    order: dict[str, list[int]] = {}
    for path, revision in api.writes:
        order.setdefault(path, []).append(revision)
    assert all(revisions == sorted(revisions) for revisions in order.values())


def test_a_stopped_adapter_goes_on_after_what_was_confirmed(
    api: ReferenceApi, sinks: Sinks, start: Start, known: Settings
) -> None:
    sinks.send(views.location("directory", HERE), *people(20))
    first = start()
    first.wait_for(at(api, people(20)))
    first.wait_for(lambda: (first.status() or {}).get("lag_records") == 0)
    assert first.end() == 0
    assert {(r["entity_id"], r["revision"]) for r in receipts(sinks)} >= {(views.entity(100), 1)}
    assert sum(stored_offsets(known, "directory").values()) >= 21
    sinks.send(*people(3, 2))
    before = len(api.puts())
    second = start()
    second.wait_for(at(api, people(3, 2)))
    assert len(api.puts()) - before == 3


def test_busy_refusing_and_failing_answers_in_a_row_lose_nothing(
    api: ReferenceApi, sinks: Sinks, start: Start
) -> None:
    bad = views.provider("directory", views.entity(99), npi="1" * 11)
    running = start()
    api.say(429, Retry_After="1")
    api.say(500, times=5)
    api.say(503, Retry_After="Sun, 22 Nov 2020 03:15:00 GMT")
    sinks.send(views.location("directory", HERE), *people(10), bad)
    running.wait_for(at(api, people(10)), what="the good views")
    failed = running.wait_for(lambda: [r for r in receipts(sinks) if r["outcome"] == "failed"])
    assert [(r["entity_id"], r["code"]) for r in failed] == [(bad.entity_id, "target.value")]
    assert "1" * 11 not in failed[0]["message"]
    assert len([seen for seen in api.puts() if seen.key.startswith(f"provider/{bad.entity_id}")]) == 1


def test_an_answer_that_comes_too_late_is_found_by_its_key(
    api: ReferenceApi, sinks: Sinks, start: Start
) -> None:
    running = start()
    place = views.location("directory", HERE)
    with api.slow():
        sinks.send(place)
        running.wait_for(paused(running, "target.unavailable"))
    running.wait_for(lambda: [r["outcome"] for r in receipts(sinks)] == ["applied"])
    assert api.writes == [(f"location/{HERE}", 1)]


def test_expired_credentials_are_one_alert_and_a_pause_that_ends_by_itself(
    api: ReferenceApi, sinks: Sinks, start: Start, tmp_path: Path
) -> None:
    running = start()
    sinks.send(views.location("directory", HERE))
    running.wait_for(at(api, [views.location("directory", HERE)]))
    api.secret = "renewed"
    api.expire_tokens()
    sinks.send(*people(30))
    running.wait_for(paused(running, "target.credentials"), what="a pause with its reason")
    assert [r["outcome"] for r in receipts(sinks)] == ["applied"]
    api.secret = SECRET
    running.wait_for(at(api, people(30)), what="the views of the pause")
    assert running.end() == 0
    told = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["code"] for line in told if line["level"] == "error"] == ["target.credentials"]
    assert written_once(api)


def test_while_the_api_is_down_nothing_is_lost(api: ReferenceApi, sinks: Sinks, start: Start) -> None:
    with api.down():
        running = start()
        sinks.send(views.location("directory", HERE), *people(10))
        running.wait_for(paused(running, "target.unavailable"))
    running.wait_for(at(api, people(10)))
    assert written_once(api)


def test_a_provider_waits_for_its_location_in_another_topic(
    api: ReferenceApi, sinks: Sinks, start: Start
) -> None:
    running = start()
    sinks.send(*people(3))
    running.wait_for(lambda: (running.status() or {}).get("outcomes", {}).get("deferred") == 3)
    running.end(signal.SIGKILL)
    again = start()
    sinks.send(views.location("directory", HERE))
    again.wait_for(at(api, people(3)), what="the released views, read again after the kill")
