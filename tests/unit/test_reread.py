"""Waiting for a reading beside the stream: a task that is started again goes on with it, one that stays failed ends it."""

from __future__ import annotations

import pytest

from connectors.backfill import ASK, HEALS, Running
from streams.errors import Unavailable

FAILED = "credentialing is RUNNING: NumberFormatException"


class Site:
    """What is answered, and the time."""

    def __init__(self) -> None:
        self.fault, self.now, self.asked = "", 0.0, 0
        self.running = Running(self.ask, lambda: self.now)

    def ask(self) -> str:
        self.asked += 1
        return self.fault

    def checked(self, after: float) -> None:
        self.now += after
        self.running.check()


def test_it_is_asked_now_and_then() -> None:
    site = Site()
    for _ in range(10):
        site.checked(ASK / 4)
    assert site.asked == 2


def test_a_task_that_is_started_again_goes_on_reading() -> None:
    site = Site()
    for _ in range(3):
        site.fault = FAILED
        site.checked(HEALS / 2)
        site.fault = ""
        site.checked(ASK)


def test_one_that_stays_failed_ends_the_waiting() -> None:
    site = Site()
    site.fault = FAILED
    site.checked(ASK)
    with pytest.raises(Unavailable, match="NumberFormatException") as caught:
        site.checked(HEALS)
    assert caught.value.code == "backfill.interrupted"
