"""What a verification says: a table's standing, and each row that is not as its source has it. Plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from streams.core.verify import DIFFERENT, EXTRA, MISSING


@dataclass(slots=True)
class Divergence:
    """A row that the platform and a system's table do not agree on; ids and names of columns, never a value."""

    system: str
    table: str
    kind: str
    entity_id: str
    row: str
    state: str
    columns: list[str] = field(default_factory=list)
    """those that differ, of a row that is different"""
    repaired: bool = False

    @property
    def name(self) -> tuple[str, str]:
        """(entity id, row id)"""
        return self.entity_id, self.row

    @property
    def key(self) -> bytes:
        """Of the entity, in topic `entity`."""
        return f"{self.kind}/{self.entity_id}".encode()


@dataclass(slots=True)
class Verified:
    """One table: as the source had it up to `lsn`, against what the platform holds once it had caught up with that.

    quarantined  rows whose newest change stands in the quarantine: a finding says so
    unsettled    rows that never stood still while they were looked at: the next verification's
    """

    system: str
    table: str
    rows: int
    lsn: str
    at: float
    seconds: float
    rechecked: int = 0
    quarantined: int = 0
    unsettled: int = 0
    divergences: list[Divergence] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """entities that have a finding of it"""

    @property
    def name(self) -> str:
        """`system.table`"""
        return f"{self.system}.{self.table}"

    @property
    def standing(self) -> list[Divergence]:
        """Those that were not repaired."""
        return [found for found in self.divergences if not found.repaired]

    def count(self, state: str) -> int:
        """Rows that diverge this way and were not repaired."""
        return sum(found.state == state for found in self.standing)

    @property
    def repaired(self) -> int:
        """Rows that diverged and agree by now."""
        return len(self.divergences) - len(self.standing)

    @property
    def counts(self) -> dict[str, int]:
        """missing, extra, different"""
        return {state: self.count(state) for state in (MISSING, EXTRA, DIFFERENT)}


def lsn_text(lsn: int) -> str:
    """As PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
