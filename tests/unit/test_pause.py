"""An operator's pause: the adapter keeps its place and delivers nothing, nobody takes it for a fault, and it ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import json

from connectors.deliver import Report
from connectors.intake import Chunk
from connectors.metered import Meter
from connectors.pause import MemoryPauses, Pause, decode
from connectors.run import Adapter
from connectors.standstill import Standstill
from streams.errors import InvalidInput, Unavailable
from streams.operate import pausing, status
from streams.operate.guard.around import _drained
from streams.operate.standing import hop
from streams.settings import Settings
from tests.reference_api import Noted

WORD = Pause(since="2026-11-22T16:00:00Z", by="jo", reason="upgrade")


class Intake:
    """Reads one record a turn; counts what is asked of it."""

    def __init__(self) -> None:
        self.placed = False
        self.read_count = 0

    def place(self, target: Any) -> None:
        self.placed = True

    def unplace(self) -> None:
        self.placed = False

    def idle(self, wait: float) -> None:
        self.placed = False

    def read(self, wait: float) -> Chunk:
        self.read_count += 1
        return Chunk(tombstones=1)

    def lag(self) -> dict[Any, int]:
        return {}

    def positions(self) -> dict[Any, int]:
        return {}

    def commit(self, offsets: Any) -> None: ...

    def moved(self) -> bool:
        return False


class Scene:
    """One adapter with everything around it in memory."""

    def __init__(self) -> None:
        self.intake, self.pauses, self.noted = Intake(), MemoryPauses(), Noted()
        self.meter = Meter("directory")
        delivery = SimpleNamespace(deliver=lambda chunk: Report(tombstones=1), release=list)
        standstill = Standstill("directory", self.noted)
        parts: Any = (self.intake, delivery, SimpleNamespace(), self.meter, standstill, self.pauses)
        self.adapter = Adapter(*parts)


def test_a_paused_adapter_reads_nothing_and_goes_on_when_it_is_resumed() -> None:
    scene = Scene()
    scene.adapter.turn()
    scene.pauses.word = WORD
    scene.adapter.turn()
    scene.adapter.turn()
    assert (scene.intake.read_count, scene.intake.placed) == (1, False)
    scene.pauses.word = None
    scene.adapter.turn()
    assert (scene.intake.read_count, scene.intake.placed) == (2, True)


def test_a_pause_is_told_by_the_status_and_the_metric_and_is_no_fault() -> None:
    scene = Scene()
    scene.pauses.word = WORD
    scene.adapter.turn()
    told = scene.meter.status()
    assert told["paused"] == {"since": WORD.since, "by": "jo", "reason": "upgrade"}
    assert told["circuit"]["state"] == "closed"
    assert b'concord_adapter_paused{code="operator",system="directory"} 1.0' in scene.meter.metrics()
    assert scene.noted.receipts == []
    scene.pauses.word = None
    scene.adapter.turn()
    assert scene.meter.status()["paused"] is None
    assert b'code="operator"' not in scene.meter.metrics()
    assert [receipt.outcome for receipt in scene.noted.receipts] == ["resumed"]


def test_while_nobody_knows_whether_it_is_paused_nothing_is_delivered() -> None:
    class Unread(MemoryPauses):
        def pause(self) -> Pause | None:
            raise Unavailable("control.unread", "no broker", "wait")

    scene = Scene()
    scene.pauses = Unread()
    scene.adapter._pauses = scene.pauses
    scene.adapter.turn()
    assert scene.intake.read_count == 0
    assert scene.meter.status()["circuit"]["state"] == "open"


@pytest.mark.parametrize("value", [None, b"", b"{", b'{"since": 1}', b"[]"])
def test_what_is_no_word_pauses_nothing(value: bytes | None) -> None:
    assert decode(value) is None


def test_a_word_is_read_as_it_was_written() -> None:
    assert decode(json.encode(WORD)) == WORD


def test_an_unknown_system_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InvalidInput) as caught:
        pausing.pause(Settings(), "direktory", "why", "jo")
    assert caught.value.next_step == "did you mean 'directory'?"


@pytest.mark.parametrize("reason", ["", "  ", "x" * 501])
def test_a_pause_needs_a_reason(reason: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        pausing.pause(Settings(), "directory", reason, "jo")
    assert caught.value.code == "pause.reason"


def test_a_system_that_takes_files_has_no_adapter_to_pause() -> None:
    given: dict[str, Any] = {"_files": frozenset({"directory"})}
    with pytest.raises(InvalidInput) as caught:
        pausing.pause(Settings(**given), "directory", "why", "jo")
    assert caught.value.code == "pause.files"


def test_the_status_says_since_when_by_whom_and_why_and_hides_no_other_reason() -> None:
    told = status._paused(hop("directory", [], why="no adapter answers"), {"directory": WORD})
    assert told.why == "paused since 2026-11-22T16:00:00Z by jo: upgrade; no adapter answers"
    assert told.counters["paused"]["reason"] == "upgrade"
    other = hop("billing", [])
    assert status._paused(other, {"directory": WORD}) == other


def test_the_guard_takes_no_paused_adapter_for_one_that_has_applied_everything() -> None:
    quiet: dict[str, Any] = {"circuit": {"state": "closed"}, "lag_records": 0, "paused": None}
    assert _drained(quiet)
    assert not _drained({**quiet, "paused": {"by": "jo"}})
