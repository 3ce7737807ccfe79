"""The judge of a quiet platform: conservation, integrity, whole transactions, liveness.

    ledger (what was committed) · expected (what follows from it) | sinks, targets (what happened)

Waits only for the systems to become equal by themselves; everything else must hold at once. Never repairs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random

import psycopg

from streams.systems import ADAPTED
from tests.adapters import records
from tests.faults import marks, targets
from tests.faults.expected import Expected, expected
from tests.faults.ledger import Ledger
from tests.faults.load import MARKABLE, Tokens, mark, transact
from tests.faults.platform import MASTER, PREFIX, Platform
from tests.faults.sinks import Sinks

SHOWN = 12


@dataclass(slots=True)
class Oracle:
    """One a session: the topics' history is judged as a whole."""

    platform: Platform
    ledger: Ledger
    sinks: Sinks = field(init=False)
    apart: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    """whose views a test had refused: their receipts are no surprise"""

    def __post_init__(self) -> None:
        self.sinks = Sinks(self.platform.stack.kafka, self.ledger)
        for system in ADAPTED:
            with self.platform.databases[system].connect() as connection:
                connection.execute(targets.WATCH)

    def judge(self) -> None:
        """After the load has ended; every fault of an earlier scenario would still show."""
        self.conserved()
        self.whole()
        self.in_order()
        self.applied()
        self.balanced()
        self.lives()

    # ---- conservation ----

    def conserved(self) -> None:
        """Nothing the master confirmed is lost, and the systems equal it without a hand."""
        newest = self.ledger.newest()
        with self.platform.master.connect() as connection:
            kept: dict[str, str] = dict(
                connection.execute("select provider_id::text, last_name from provider").fetchall()
            )
        lost = {who: t for who, t in newest.items() if marks.of_name(kept[who]) < t}
        assert not lost, f"the master lost acknowledged transactions: {lost}"
        try:
            self.platform.wait(self._equal, "the systems to equal the master")
        except AssertionError:
            told = "\n".join(self.apart[:SHOWN])
            raise AssertionError(f"{len(self.apart)} differences remain:\n{told}") from None
        assert not self._receipts(), f"views were refused by their systems: {self._receipts()[:SHOWN]}"

    def _equal(self) -> bool:
        self.apart = self.differences()
        return not self.apart

    def differences(self) -> list[str]:
        with self.platform.master.connect() as connection:
            wanted = expected(connection)
        return [line for system in ADAPTED for line in self._differences(system, wanted)]

    def _differences(self, system: str, wanted: list[Expected]) -> list[str]:
        with self.platform.databases[system].connect() as connection:
            return targets.differences(system, connection, wanted)

    def _receipts(self) -> list[bytes]:
        """What adapters say of views, not of themselves, and of none that was refused on purpose."""
        found = records(self.platform.stack, f"{PREFIX}receipt")
        told = [value or b"" for key, value in found if key not in self.refused]
        return [value for value in told if json.loads(value)["kind"] != "system"]

    # ---- integrity ----

    def in_order(self) -> None:
        """Revisions only rise, one content a revision, no transaction undone by an older one."""
        assert not self.sinks.wrong, f"{len(self.sinks.wrong)} views: {self.sinks.wrong[:SHOWN]}"
        for system in ADAPTED:
            with self.platform.databases[system].connect() as connection:
                turned = connection.execute(targets.TURNED_ROUND).fetchall()
            assert not turned, f"{system} went back: {turned[:SHOWN]}"

    def applied(self) -> None:
        """The newest revision of every view is the one its system holds."""
        try:
            # What comes back from a system may yet send its view again: read on until both stand still.
            self.platform.wait(self._all_applied, "every system to hold the newest views")
        except AssertionError:
            raise AssertionError(f"newest and applied revision differ: {self.apart[:SHOWN]}") from None

    def _all_applied(self) -> bool:
        self.sinks.read()
        self.apart = [line for system in ADAPTED for line in self._not_applied(system)]
        return not self.apart

    def _not_applied(self, system: str) -> list[str]:
        with self.platform.databases[system].connect() as connection:
            held = {(kind, key): r for kind, key, r in connection.execute(targets.REVISIONS)}
        newest = {(k, key): p.revision for (s, k, key), p in self.sinks.newest.items() if s == system}
        return [
            f"{system} {key}: {r} sent, {held.get(key)} held"
            for key, r in newest.items()
            if held.get(key) != r
        ]

    def balanced(self) -> None:
        """Every record consumed has exactly one counted outcome (Invariant 5)."""
        for partition in self.platform.worker.partitions():
            sums = {topic: sum(counts.values()) for topic, counts in partition["outcomes"].items()}
            assert partition["consumed"] == sums, f"partition {partition['partition']} does not balance"

    def whole(self) -> None:
        """No view of half a transaction but those that the worker counted as late."""
        self.sinks.read()
        late = sum(partition["late"] for partition in self.platform.worker.partitions())
        torn = list(self.sinks.torn.values())
        assert len(torn) <= late, f"{len(torn)} torn revisions, {late} counted late: {torn[:SHOWN]}"

    # ---- liveness ----

    def lives(self) -> None:
        """A fresh change reaches every system."""
        who, token = self._fresh()
        self.platform.wait(lambda: self._everywhere(who, token), "a fresh change to reach every system")

    def _fresh(self) -> tuple[str, int]:
        with psycopg.connect(self.platform.databases[MASTER].dsn, autocommit=True) as connection:
            who = self.shown(connection)[0]
            token = self.ledger.draw(who)

            def work() -> Tokens:
                mark(connection, Random(token), who, token)
                return [(who, token)]

            assert transact(connection, self.ledger, work)
        return who, token

    def shown(self, connection: psycopg.Connection) -> list[str]:
        """Whose marks every system is to show: nobody whom a rule holds back, by what the load did to him."""
        stopped = {each.entity_id for each in expected(connection) if each.held or each.withdrawn}
        return [row[0] for row in connection.execute(MARKABLE) if row[0] not in stopped]

    def _everywhere(self, who: str, token: int) -> bool:
        return all(self.tokens(system).get(who, 0) >= token for system in ADAPTED)

    def tokens(self, system: str) -> dict[str, int]:
        """provider -> the token its system shows."""
        with self.platform.databases[system].connect() as connection:
            return {who: marks.of_name(name) for who, name in connection.execute(targets.MARKED[system])}
