"""Who tells the day: once a date, again when it couldn't be told, and never one that is too far ahead."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.agents import control
from streams.agents.clock import POLL_SECONDS, ClockHolder, Daily
from streams.agents.control import SnapshotComplete, Tick
from streams.cli.main import app
from streams.core.change import Malformed
from streams.errors import InvalidInput, Unavailable
from streams.operate import clock
from streams.settings import Settings

DAY = 86_400.0


class Told:
    """Keeps the dates; refuses while `down`."""

    def __init__(self) -> None:
        self.days: list[str] = []
        self.down = False

    def __call__(self, day: date) -> None:
        if self.down:
            raise Unavailable("clock.undelivered", "down")
        self.days.append(day.isoformat())


def test_each_date_is_told_once() -> None:
    told, now = Told(), [0.0]
    daily = Daily(told, lambda: now[0])
    for seconds in (0.0, 1.0, DAY - 1, DAY, DAY + 1, 3 * DAY):
        now[0] = seconds
        daily.look()
    assert told.days == ["1970-01-01", "1970-01-02", "1970-01-04"]


def test_a_date_that_could_not_be_told_is_told_at_the_next_look() -> None:
    told = Told()
    daily = Daily(told, lambda: 0.0)
    told.down = True
    with pytest.raises(Unavailable):
        daily.look()
    told.down = False
    daily.look()
    assert told.days == ["1970-01-01"]


class Foreign:
    """Connect with a connector of a source's name that `concord sources apply` didn't make."""

    def __enter__(self) -> Foreign:
        return self

    def __exit__(self, *_: object) -> None: ...

    def config(self, name: str) -> dict[str, str]:
        return {"name": name}

    def offset(self, name: str) -> None: ...


class Days(ClockHolder):
    """Tells nobody; counts its looks."""

    looks = 0

    def _propose(self, day: date) -> None:
        self.looks += 1
        self._daily = Daily(self._propose)


def test_an_answer_nobody_expected_ends_no_day(logs: list[Any]) -> None:
    async def play() -> None:
        holder = Days("", "http://127.0.0.1:1", "", 1, ["billing"], lambda: True)
        holder._client = Foreign()  # type: ignore[assignment]
        running = asyncio.create_task(holder.run())
        await asyncio.sleep(2.5 * POLL_SECONDS)
        assert not running.done()
        running.cancel()
        assert holder.looks > 1

    asyncio.run(play())
    assert {entry["event"] for entry in logs if entry["log_level"] == "error"} == {"clock.failed"}


def test_control_records_are_told_apart() -> None:
    assert control.decode(control.encode(SnapshotComplete("billing", 1, 2)), 0) == SnapshotComplete(
        "billing", 1, 2
    )
    assert control.decode(control.encode(Tick("1970-01-01", "x")), 0) == Tick("1970-01-01", "x")


@pytest.mark.parametrize(
    ("as_of", "code"),
    [
        ("1969-12-31", ""), ("1970-01-01", ""), ("1970-01-02", ""), ("1970-01-03", "clock.too_far"),
        ("9999-12-31", "clock.too_far"), ("1970-02-30", "clock.undecodable"), ("", "clock.undecodable"),
    ],
)  # fmt: skip
def test_a_tick_may_be_a_day_ahead_of_the_broker(as_of: str, code: str) -> None:
    said = control.decode(control.encode(Tick(as_of, "x")), int(DAY * 1_000) - 1)
    assert (said.code if isinstance(said, Malformed) else "") == code


def test_an_operators_tick_that_is_too_far_ahead_is_refused_before_anything_is_asked() -> None:
    far = control.today(0) + timedelta(100 * 365)
    with pytest.raises(InvalidInput, match="more than a day ahead") as refused:
        clock.tick(Settings(), far)
    assert refused.value.code == "clock.too_far"


def test_the_command_leaves_with_2_for_a_date_too_far_ahead_or_no_date(acts: list[Any]) -> None:
    for text in ("9000-01-01", "tomorrow"):
        assert CliRunner().invoke(app, ["clock", "tick", "--as-of", text]).exit_code == 2
