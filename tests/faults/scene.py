"""A fault's surroundings: the platform's levers, the load to measure time by, and how a fault is struck.

Time is counted in transactions that the master confirms, or in what the platform says of itself; never in seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tests.faults.load import Load
from tests.faults.oracle import Oracle
from tests.faults.platform import Platform
from tests.faults.process import Process

WARM, AFTER = 20, 30
"""Transactions before a fault, and after it is over."""
OUTAGE = 10
"""Tries to write while a service is away."""


@dataclass(slots=True)
class Scene:
    """What a fault has at hand."""

    platform: Platform
    oracle: Oracle
    load: Load

    def transactions(self, count: int) -> None:
        """Let so many more be acknowledged."""
        ledger = self.oracle.ledger
        goal = ledger.acknowledged + count
        self.platform.wait(
            lambda: ledger.acknowledged >= goal or not self.load.alive(), f"{count} transactions"
        )

    def captured(self, count: int) -> None:
        """Let so many more records be captured."""
        goal = self.platform.captured() + count
        self.platform.wait(lambda: self.platform.captured() >= goal, f"{count} captured records")

    def another(self, process: Process, first: int) -> None:
        """Let the supervisor start another child than `first`."""
        self.platform.wait(
            lambda: process.pid not in (first, process.process.pid), "the supervisor to start another"
        )


Fault: TypeAlias = Callable[[Scene], None]


def name_of(fault: Fault) -> str:
    return fault.__name__.replace("_", " ")


def strike(fault: Fault, scene: Scene) -> None:
    """Under load, with load before and after."""
    scene.transactions(WARM)
    fault(scene)
    scene.transactions(AFTER)
