"""Every injected divergence is found, nothing else is, and all are repaired, while the systems go on changing.

    providers --half of them--> load: rows of every kind of table change, come and go, in all systems at once
              --the others----> tests/meddling.py: divergences of every kind, and the account of them

`concord verify` must say what the account says, row by row, while the load goes on: nothing of it less, and not one row
that is merely in flight more. It takes minutes, so it runs where CONCORD_DIVERGENCES says how many: 40, or 1000.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import psycopg
import pytest

from streams.operate import announced
from streams.operate.presence import presence
from streams.operate.verify.target import written
from tests.edits import WORKS, enroll
from tests.fixtures.platform import Answer, Platform
from tests.fixtures.waiting import wait_until
from tests.meddling import MASTER, TARGETS, Account, Meddler, Row, add_spare_rows, kept

COUNT = int(os.environ.get("CONCORD_DIVERGENCES", "40"))
MEDDLED = 60 + COUNT // 4
PROVIDERS = 2 * MEDDLED + 3 * COUNT
RATE = COUNT
"""Rows a second that all systems change together, if the machine makes as many: of few rows, most would never stand still."""
NONE: Mapping[str, set[Any]] = {"false": set(), "not found": set()}
BEHIND = 1_000
"""Records that the workers may be behind before the load waits for them."""
AT_ONCE = 20
"""Rows a transaction."""
AT_MOST = str(100_000)
PATIENCE = 1_800.0

pytestmark = [
    pytest.mark.timeout(3_600),
    pytest.mark.skipif(
        "CONCORD_DIVERGENCES" not in os.environ,
        reason="minutes of divergences injected under load: CONCORD_DIVERGENCES=40 make test, or 1000",
    ),
]

CHANGES: Mapping[str, tuple[float, tuple[tuple[str, str], ...]]] = {
    "credentialing": (
        0.7,
        (
            (
                "select license_id::text from license where provider_id = any(%s::uuid[])",
                "update license set expires = coalesce(expires, current_date) + 1 where license_id = any(%s::uuid[])",
            ),
            (
                "select id::text from psv_record where provider_id = any(%s::uuid[])",
                "update psv_record set performed_at = clock_timestamp() where id = any(%s::uuid[])",
            ),
            (
                "select id::text from malpractice_coverage where provider_id = any(%s::uuid[])",
                "update malpractice_coverage set per_occurrence = coalesce(per_occurrence, 0) + 0.01 where id = any(%s::uuid[])",
            ),
            (
                "select unnest(%s::text[])",
                "insert into work_history (provider_id, employer) select unnest(%s::uuid[]), 'Load'",
            ),
            (
                "select unnest(%s::text[])",
                "delete from work_history where provider_id = any(%s::uuid[]) and employer = 'Load'",
            ),
        ),
    ),
    "directory": (
        0.1,
        (
            (
                "select listing_id::text from dir_listing join dir_provider using (dir_provider_id) where cred_provider_ref = any(%s::uuid[])",
                "update dir_listing set accepting_notes = clock_timestamp()::text where listing_id = any(%s::bigint[])",
            ),
            (
                "select dir_provider_id::text from dir_provider where cred_provider_ref = any(%s::uuid[])",
                "insert into dir_attestation (dir_provider_id, attested_by) select unnest(%s::bigint[]), 'load'",
            ),
        ),
    ),
    "enrollment": (
        0.1,
        (
            (
                "select enrollment_id::text from enrollment join enr_provider using (enr_provider_id) where cred_ref = any(%s::uuid[])",
                "update enrollment set requested_eff = coalesce(requested_eff, current_date) + 1 where enrollment_id = any(%s::bigint[])",
            ),
        ),
    ),
    "billing": (
        0.1,
        (
            (
                "select bpp_id::text from bil_provider_payer join bil_rendering using (rend_id) where cred_ref = any(%s::uuid[])",
                "update bil_provider_payer set payer_prov_id = clock_timestamp()::text where bpp_id = any(%s::bigint[])",
            ),
        ),
    ),
}
"""system -> its share of the rate, and what its users do: which rows are theirs, and what becomes of some of them"""


class Brake:
    """On while the workers are behind: a load that nobody can follow would only make all of it wait for ever longer."""

    def __init__(self, platform: Platform) -> None:
        self._settings, self.is_on = platform.settings, False
        self._stop = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[Brake]:
        thread = threading.Thread(target=self._watch, name="brake")
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(60)

    def _watch(self) -> None:
        workers = announced.announced(self._settings, "worker")
        while not self._stop.wait(0.25):
            answers = announced.answers(workers)
            behind = sum(entry["lag"] or 0 for each in answers for entry in each.status["inputs"])
            self.is_on = behind > BEHIND


@dataclass(slots=True)
class Load:
    """One system's users, a thread until told to stop: each statement's moment is fixed, however late the last was."""

    system: str
    dsn: str
    who: Sequence[str]
    rng: Random
    rate: float
    brake: Brake
    rows: int = 0
    seconds: float = 0.0
    failure: BaseException | None = None
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[Load]:
        thread = threading.Thread(target=self._run, name=f"load-{self.system}")
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            thread.join(60)
        assert self.failure is None, f"the load of {self.system} failed: {self.failure!r}"

    def _run(self) -> None:
        try:
            with psycopg.connect(self.dsn, autocommit=True) as connection:
                self._write(connection)
        except BaseException as failure:
            self.failure = failure

    def _write(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        _, said = CHANGES[self.system]
        of = [[row for (row,) in connection.execute(query.encode(), [list(self.who)])] for query, _ in said]
        ready = [(rows, statement.encode()) for rows, (_, statement) in zip(of, said, strict=True) if rows]
        assert ready, f"{self.system} has no rows to change"
        began = started = time.monotonic()
        while not self._stop.wait(max(began + self.rows / self.rate - time.monotonic(), 0.0)):
            if self.brake.is_on:
                began += AT_ONCE / self.rate
                continue
            rows, statement = self.rng.choice(ready)
            chosen = self.rng.sample(rows, min(AT_ONCE, len(rows)))
            self.rows += max(connection.execute(statement, [chosen]).rowcount, 1)
            self.seconds = time.monotonic() - started


@dataclass(slots=True)
class Said:
    """What `concord verify` said: rows that diverge, views that are not held, and what of it is left."""

    rows: set[Row] = field(default_factory=set)
    views: set[tuple[str, str]] = field(default_factory=set)
    left: list[Any] = field(default_factory=list)
    unsettled: int = 0

    def take(self, answer: Answer) -> Said:
        """One answer more: of `source` a list of tables, of `target` one of systems."""
        for found in _result(answer):
            for table in found.get("tables", [found]):
                self.unsettled += table["unsettled"]
                for each in table["divergences"]:
                    self.rows.add(Row(f"{table['system']}.{table['table']}", each["row"], each["state"]))
                    self.left += [each] * (not each["repaired"])
            for each in found.get("unheld", []):
                self.views.add((found["system"], each["entity"]))
                self.left += [each] * (not each["repaired"])
        return self


def _result(answer: Answer) -> list[Any]:
    """Its exit code says whether something is left."""
    assert answer.code in (0, 1), answer.errors
    found: list[Any] = json.loads(answer.text)["result"]
    return found


def verify(platform: Platform, what: str, *options: str) -> Said:
    """By the command line, as an operator does."""
    began = time.monotonic()
    answer = platform.concord("verify", what, *options, "--json", patience=PATIENCE)
    found = Said().take(answer)
    assert answer.code == bool(found.left), answer.text
    print(
        f"verify {what}{' --repair' * ('--repair' in options)}: {time.monotonic() - began:.1f} s, {len(found.rows)} rows diverge, "
        f"{len(found.views)} views are not held, {len(found.left)} left, {found.unsettled} unsettled"
    )
    return found


@pytest.fixture(scope="module")
def people(platform: Platform) -> list[str]:
    """Those who are loaded and delivered, with rows of every table."""
    # Who verifies by itself would tell the entities what diverges, whereupon they are written anew: ahead of the test.
    platform.stop("guard")
    platform.stop("verify")
    platform.ask("load", "generated", "--count", str(PROVIDERS), "--seed", "23")
    quiet(platform)
    query = "select provider_id::text from provider where status = 'active' order by 1"
    found = [who for (who,) in platform.rows("credentialing", query)]
    add_spare_rows(platform, found, spare=10 + COUNT // 10)
    with platform.databases["enrollment"].connect() as connection:
        enroll(platform.rows("credentialing", WORKS), connection)
    quiet(platform)
    return found


def quiet(platform: Platform) -> None:
    wait_until(lambda: presence(platform.settings).equal, PATIENCE, what="everybody to be everywhere")
    wait_until(lambda: platform.ask("status")["quiet"], PATIENCE, what="nothing to be pending")


def test_every_injected_divergence_is_found_and_repaired_and_none_is_false_under_load(
    platform: Platform, people: list[str]
) -> None:
    some = Random(31).sample(people, len(people))
    drill(platform, some[:MEDDLED], some[MEDDLED:], COUNT, RATE)


def drill(platform: Platform, meddled: Sequence[str], busy: Sequence[str], count: int, rate: float) -> None:
    """So many divergences among some, while the others go on as ever."""
    meddler = Meddler(platform, meddled, Random(count))
    brake = Brake(platform)
    loads = [
        Load(system, platform.databases[system].dsn, busy, Random(number), rate * share, brake)
        for number, (system, (share, _)) in enumerate(CHANGES.items())
    ]
    with brake.watching(), ExitStack() as running:
        for load in loads:
            running.enter_context(load.running())
        meddler.meddle(count)
        report(meddler.done)

        found = looked(platform)
        assert {"false": found.rows - meddler.done.rows, "not found": meddler.done.rows - found.rows} == NONE
        assert {
            "false": found.views - meddler.done.views,
            "not found": meddler.done.views - found.views,
        } == NONE

        mended = looked(platform, "--repair", "--at-most", AT_MOST, "--cause", "drill")
        assert mended.left == []
        assert (mended.rows - meddler.done.rows, mended.views - meddler.done.views) == (set(), set())
    for load in loads:
        print(f"load of {load.system}: {load.rows / load.seconds:.0f} rows/s for {load.seconds:.0f} s")
    quiet(platform)
    rest = looked(platform)
    assert (rest.rows, rest.views, rest.unsettled) == (set(), set(), 0)


def looked(platform: Platform, *options: str) -> Said:
    """Every table once, as continuous verification does: what adapters write as of targets, the rest as of sources.

    Sources first: a divergence of a target is told to the master's entity, whose record is written anew by that.
    """
    names = [f"{s}.{t}" for s in TARGETS for t in kept(s) if t not in written(s)]
    return apart(verify(platform, "source", MASTER, *names, *options), verify(platform, "target", *options))


def apart(*said: Said) -> Said:
    """All of it together."""
    return Said(
        set().union(*(each.rows for each in said)),
        set().union(*(each.views for each in said)),
        [left for each in said for left in each.left],
        sum(each.unsettled for each in said),
    )


def report(done: Account) -> None:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(done.kinds.items()))
    tables = Counter(row.table for row in done.rows)
    print(f"{done.kinds.total()} divergences: {kinds}")
    print(f"{len(done.rows)} rows of {len(tables)} tables, {len(done.views)} views: {dict(tables)}")
