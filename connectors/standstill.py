"""One word when an adapter stands still and a person should know, and one when it goes on: never one a view.

    EnvironmentFault, lasting Unavailable --begin--> receipt `paused`  --decide--> finding target.* of system/<name>
    work done                             --end----> receipt `resumed` --decide--> closed

Each process says once that it works: one before it may have died while it stood still. What Kafka doesn't take is said
with the next try; the pause itself never depends on it.
"""

from __future__ import annotations

from connectors.receipt import Receipt, Receipts, paused, resumed
from streams.errors import ConcordError, EnvironmentFault, Unavailable

AWAY = "unavailable"
TARGETS_OWN = "target."
"""How codes of the target's faults begin; that Kafka or the registry is away says nothing of the target."""


def concerns_somebody(fault: ConcordError, *, lasts: bool) -> bool:
    """Whether a person should know: something is to be mended, or the target has been away for long (P06, P07)."""
    return isinstance(fault, EnvironmentFault) or (lasts and fault.code.startswith(TARGETS_OWN))


class Standstill:
    """Of one adapter process."""

    def __init__(self, system: str, receipts: Receipts) -> None:
        self._system = system
        self._receipts = receipts
        self._told: str | None = None
        """what was said last: why it stands still, or nothing at all (empty); None: nothing yet"""

    def begin(self, fault: ConcordError) -> None:
        """It stands still; the same reason is said once. What is slow or down answers each try with another one."""
        reason = AWAY if isinstance(fault, Unavailable) else f"{fault.code} {fault.message}"
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
