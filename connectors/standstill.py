"""One word when an adapter stands still and needs a person, and one when it goes on: never one a view.

    EnvironmentFault --begin--> receipt `paused`  --decide--> finding target.paused of system/<name>
    work done        --end----> receipt `resumed` --decide--> closed

Each process says once that it works: one before it may have died while it stood still. What Kafka doesn't take is said
with the next try; the pause itself never depends on it.
"""

from __future__ import annotations

from connectors.receipt import Receipt, Receipts, paused, resumed
from streams.errors import EnvironmentFault, Unavailable


class Standstill:
    """Of one adapter process."""

    def __init__(self, system: str, receipts: Receipts) -> None:
        self._system = system
        self._receipts = receipts
        self._told: str | None = None
        """what was said last: why it stands still, or nothing at all (empty); None: nothing yet"""

    def begin(self, fault: EnvironmentFault) -> None:
        """It stands still; the same reason is said once."""
        reason = f"{fault.code} {fault.message}"
        if self._told != reason:
            self._tell(reason, paused(self._system, fault))

    def end(self) -> None:
        """It works."""
        if self._told != "":
            self._tell("", resumed(self._system))

    def _tell(self, reason: str, receipt: Receipt) -> None:
        try:
            self._receipts.write([receipt])
        except Unavailable:
            return
        self._told = reason
