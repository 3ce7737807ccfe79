"""All systems edited at once while workers and adapters are killed; then quiet: equal, or an open finding says why not.

Runs when asked for: CONCORD_SOAK_SECONDS=60, or 600 for the long one; CONCORD_SOAK_SEED for another history.
"""

from __future__ import annotations

import math
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import pytest

from stack import process
from streams.core.edit import PER_DAY
from streams.operate import parity, presence
from streams.operate.findings import read_open
from streams.operate.follow import Delivery, Follower
from streams.operate.quiet import Quiet, captured, log_position
from streams.operate.verify.run import verify_source
from streams.operate.verify.target import verify_target
from tests import edits
from tests.edits import OWN, Editor
from tests.faults.ledger import Ledger
from tests.fixtures.platform import Platform
from tests.fixtures.stack import children
from tests.fixtures.waiting import wait_until

SECONDS = float(os.environ.get("CONCORD_SOAK_SECONDS", "60"))
SEED = int(os.environ.get("CONCORD_SOAK_SEED", "4711"))
PATIENCE = 240.0
"""A deadline, no measure: how long it took is printed."""
EDITS = int(SECONDS / edits.PACE)
"""Of each system: as many on a slow machine, and in the same order."""
PROVIDERS = max(40, math.ceil(3 * EDITS * edits.AT_MOST / PER_DAY))
"""Enough that most edits are answered: a field of one of them edited more often than PER_DAY is a conflict, so on average
it is edited a third as often."""
VICTIMS = ("worker", "adapter-directory", "worker", "adapter-enrollment", "adapter-billing")
KILLS = max(len(VICTIMS), int(SECONDS / 30))
PARTS = sorted(set(VICTIMS))
pytestmark = [
    pytest.mark.timeout(900 + SECONDS),
    pytest.mark.skipif(
        "CONCORD_SOAK_SECONDS" not in os.environ,
        reason="minutes of random edits under kills: CONCORD_SOAK_SECONDS=60 make test, or 600",
    ),
]


@dataclass(slots=True)
class Soak:
    """What the edits led to."""

    platform: Platform
    follower: Follower
    ledger: Ledger = field(default_factory=Ledger)
    sent: list[Delivery] = field(default_factory=list)
    apart: list[str] = field(default_factory=list)
    quiet: Quiet = field(init=False)

    def __post_init__(self) -> None:
        self.quiet = Quiet(self.platform.settings)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Reading along what is sent, while the processes live."""

        def reading() -> Any:
            self.sent += self.follower.poll(0.1)
            return condition()

        try:
            wait_until(reading, PATIENCE + SECONDS, self.lives, what)
        except AssertionError as error:
            told = "\n".join(self.apart[:12])
            status = self.platform.concord("status").text
            raise AssertionError(
                f"{error}\n{told}\n{status}\n{self.platform.concord('parity').text}"
            ) from None

    def rest(self, what: str) -> None:
        """What was committed until now is captured, decided, told and held; every view that followed is read.

        Only while nobody edits. Tables that are equal are not enough: a row that came or went, or a field that not
        every system has, may wait to be decided yet, and its view would look like one that nothing was edited for.
        """
        ends = {system: log_position(self.platform.settings, system) for system in OWN}
        self.wait(lambda: self.is_over(ends) and self.settled() and self.quiet(), what)
        while more := self.follower.poll(1.0):  # sent while the condition was looked at, which takes seconds
            self.sent += more

    def is_over(self, ends: Mapping[str, str]) -> bool:
        """Each system's log is captured up to there, and nothing that was captured waits to be decided."""
        settings = self.platform.settings
        return all(captured(settings, end, system) for system, end in ends.items()) and self.quiet()

    def lives(self) -> bool:
        return all(process.recall(record(self.platform, name)) for name in PARTS)

    def ask(self, system: str, query: str) -> edits.Rows:
        return self.platform.rows(system, query)

    def settled(self) -> bool:
        """Equal or explained, by the systems' own tables and by the platform's own count."""
        self.apart = edits.apart(self.ask, read_open(self.platform.settings))
        return not self.apart and self.confirmed()

    def confirmed(self) -> bool:
        found = parity.parity(self.platform.settings)
        return not any(s.in_flight or s.unexplained for s in found.systems) and not found.scanned


def record(platform: Platform, name: str) -> Path:
    return Path(platform.environ["CONCORD_STATE"]) / "run" / f"concord-{name}.json"


def kill(platform: Platform, name: str) -> None:
    """The supervised process, not its supervisor; one that is about to be started again has been killed already."""
    found = process.recall(record(platform, name))
    assert found is not None, f"the supervisor of {name} has ended"
    for pid in children(found.pid):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def loaded(platform: Platform) -> Platform:
    """Invented providers everywhere, each with an enrollment of the payer's own."""
    platform.ask("load", "generated", "--count", str(PROVIDERS), "--seed", "23")

    def equal() -> bool:
        return presence.presence(platform.settings).equal and platform.quiet()

    wait_until(equal, PATIENCE, what="every system to hold every provider")
    databases = platform.databases
    with databases["credentialing"].connect() as master, databases["enrollment"].connect() as enrollment:
        edits.enroll(master.execute(edits.WORKS).fetchall(), enrollment)
    return platform


def test_edited_everywhere_at_once_under_kills_all_systems_end_equal_or_say_why(loaded: Platform) -> None:
    with Follower(loaded.settings) as follower:
        soak = Soak(loaded, follower)
        soak.rest("the enrollments to get their group, before anything is counted")
        soak.sent.clear()
        editors = edit(soak)
        stopped = time.monotonic()
        soak.rest("every system to be equal, or a finding to say why not")
        seconds = time.monotonic() - stopped
        done = sum((editor.counts for editor in editors), Counter[str]())
        bound = sum(editor.views for editor in editors)
        kept = Counter(
            (code, system) for (system, _), code in edits.stopped(read_open(loaded.settings)).items()
        )
        print(
            f"{done.total()} edits {dict(done)} under {KILLS} kills, "
            f"{len(soak.sent)} views sent (at most {bound}), "
            f"settled {seconds:.1f} s after the last edit, "
            f"{kept.total()} views kept back by a finding {dict(kept)}"
        )
        assert edits.lost(soak.ask, soak.ledger) == [], "what an owner said is gone from its own system"
        assert divergences(loaded) == [], "rows deleted by whoever may not, or kept of what the master ended"
        assert 0 < len(soak.sent) <= bound, f"views sent: {Counter(d.system for d in soak.sent)}"
        lives(soak)


def edit(soak: Soak) -> list[Editor]:
    """All systems' users at once, and a kill now and then."""
    databases = soak.platform.databases
    editors = [
        Editor(system, databases[system].dsn, soak.ledger, Random(f"{SEED}/{system}"), EDITS)
        for system in OWN
    ]
    with ExitStack() as stack:
        for editor in editors:
            stack.enter_context(editor.running())
        began = time.monotonic()
        for number, victim in enumerate(islice(cycle(VICTIMS), KILLS), 1):
            at = began + SECONDS * number / (KILLS + 1)
            soak.wait(after(at), "the next kill")
            kill(soak.platform, victim)
        soak.wait(lambda: all(e.is_done or e.failure for e in editors), "the last edit")
    assert [editor.failure for editor in editors if editor.failure] == []
    return editors


def divergences(platform: Platform) -> list[Any]:
    """Rows that differ between a system and what is kept of it, or between what was sent and what it holds."""
    tables = [
        *verify_source(platform.settings),
        *(t for s in verify_target(platform.settings) for t in s.tables),
    ]
    return [divergence for table in tables for divergence in table.divergences]


def after(moment: float) -> Callable[[], bool]:
    return lambda: time.monotonic() > moment


def lives(soak: Soak) -> None:
    """A fresh edit of the master reaches every system, and not a view more than that is sent: nothing circles."""
    soak.sent.clear()
    told = edits.stopped(read_open(soak.platform.settings))
    free = [
        who for (who,) in soak.ask("credentialing", edits.WHO["credentialing"])
        if all((system, who) not in told for system in edits.LEFT)
    ]  # fmt: skip
    assert free, "somebody whom no finding holds back"
    fresh = Editor("credentialing", soak.platform.databases["credentialing"].dsn, soak.ledger, Random(SEED))
    with psycopg.connect(fresh.dsn, autocommit=True) as connection:
        who = fresh.one(connection, OWN["credentialing"], free[:1], [])
    soak.wait(
        lambda: {d.system for d in soak.sent} == set(edits.LEFT), "a fresh edit to be told to every system"
    )
    soak.rest("a fresh edit to be confirmed by every system")
    more = [
        (d.system, d.entity_id, d.revision, d.changed, d.committed_us, d.recorded_us)
        for d in soak.sent
        if d.entity_id != who
    ]
    assert more == [], "views that nothing was edited for"
    assert Counter(d.system for d in soak.sent) == dict.fromkeys(edits.LEFT, 1)
