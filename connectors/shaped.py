"""A PostgreSQL target that looks at its tables before it believes that a view is bad.

    apply --fault--> altered? --yes--> stands still        offsets: not read while it is so, remembered once it isn't
                        \\--no--> the fault as it was

What was altered is `shape`'s to tell; which columns are written says the subclass. Alters nothing and reads no row of
the system.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from connectors import shape
from connectors.fault import SCHEMA
from connectors.postgres import Cursor, PostgresTarget
from connectors.shape import Written
from connectors.sink import Partition, Refused
from streams.errors import ConcordError, EnvironmentFault

SHOWN = 5


class ShapedTarget(PostgresTarget):
    """`apply` and `release` are the subclass's, within `unaltered`."""

    def __init__(self, name: str, dsn: str, written: Written, *, inserts: bool = True) -> None:
        super().__init__(name, dsn)
        self._written, self._inserts = written, inserts
        self._altered = False

    def offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """While a table is altered, nothing is read: a view that happens to fit would end the pause for a moment."""
        with self.transaction() as cursor:
            if self._altered and (found := self._narrower(cursor)):
                raise self._standstill(found)
            shape.remember(cursor, self._written, inserts=self._inserts)
        self._altered = False
        return super().offsets(partitions)

    @contextmanager
    def unaltered(self) -> Iterator[Cursor]:
        """A transaction whose faults are looked into: is it the view, or has somebody altered a table?"""
        try:
            with self.transaction() as cursor:
                yield cursor
        except (Refused, EnvironmentFault) as fault:
            raise self._looked_into(fault) from None

    def _looked_into(self, fault: ConcordError) -> ConcordError:
        try:
            with self.transaction() as cursor:
                found = self._narrower(cursor)
        except ConcordError:
            return fault
        self._altered = bool(found)
        return self._standstill(found) if found else fault

    def _narrower(self, cursor: Cursor) -> list[str]:
        return shape.altered(cursor, self._written, inserts=self._inserts)

    def _standstill(self, found: Sequence[str]) -> EnvironmentFault:
        step = "alter it back: the adapter goes on by itself. Or accept it: delete its row of concord_shape"
        return EnvironmentFault(SCHEMA, f"{self._name}: {'; '.join(found[:SHOWN])}", step)
