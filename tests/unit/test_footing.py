"""What the flow stands on is told only where it is not in order, and what nobody can say is left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from connectors.reference.store import Folder
from connectors.sighting import skewed
from streams.operate.announced import Answer, Party
from streams.operate.footing import Footing, ailing, footing
from streams.settings import Settings
from tests.published import EXCLUDED, LEIE, take, text, write


def answer(key: str, **status: Any) -> Answer:
    return Answer(Party(key, "http://127.0.0.1:1", 1), status)


def settings(folder: Path, **more: Any) -> Settings:
    return Settings(reference_dir=folder, **more)


@pytest.fixture
def refusing() -> Iterator[str]:
    """A registry that answers 503."""

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(503)

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Refuses)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_what_is_in_order_is_not_told(tmp_path: Path) -> None:
    told = [answer("worker/a", free_ratio=0.4), answer("guard/g", sources={"billing": {"skew": -1.9}})]
    found = footing(settings(tmp_path / "none"), told)
    assert list(ailing(found)) == []
    assert (found.free, found.skew) == ({"worker/a": 0.4}, {"billing": -1.9})


def test_a_nearly_full_disk_and_clocks_apart_are_told_with_the_next_step(tmp_path: Path) -> None:
    told = [
        answer("worker/a", free_ratio=0.063),
        answer("guard/g", sources={"billing": {"skew": -30.0}, "directory": {"skew": 0.0}}),
    ]
    assert list(ailing(footing(settings(tmp_path), told))) == [
        "disk      6.3% is free under the store of worker/a: concord doctor --only disk",
        "clocks    apart from the guard's: billing -30.0 s: concord doctor --only clock",
    ]


def test_what_an_older_process_does_not_tell_is_left_out(tmp_path: Path) -> None:
    found = footing(settings(tmp_path), [answer("worker/a"), answer("guard/g", sources={"billing": {}})])
    assert found == Footing()


def test_a_registry_that_does_not_answer_is_told(tmp_path: Path, refusing: str) -> None:
    away = footing(settings(tmp_path, registry="http://127.0.0.1:1"), [])
    assert list(ailing(away)) == ["registry  does not answer (ConnectError): concord doctor --only registry"]
    assert footing(settings(tmp_path, registry=refusing), []).registry == "HTTP 503"


def test_a_witness_that_was_loaded_and_grew_old_is_told(tmp_path: Path) -> None:
    folder, today = Folder(tmp_path / "reference"), datetime.now(UTC)
    old = {**EXCLUDED, "EXCLDATE": "20200120"}
    take(folder, "leie", write(tmp_path / "a.csv", text(LEIE, old)), as_of="2024-01-10", now=today)
    [line] = ailing(footing(settings(folder.path), []))
    assert line.startswith("reference leie is stale: ")
    assert line.endswith(": concord reference status")


@pytest.mark.parametrize(
    ("told", "ahead"), [(9.0, 0.0), (10.0, 0.0), (10.5, 0.0), (11.0, 0.0), (14.0, 3.0), (4.0, -5.0)]
)
def test_a_clock_is_apart_only_beyond_what_asking_took(told: float, ahead: float) -> None:
    before, after = 9.0, 11.0
    assert skewed(told, before, after) == ahead
