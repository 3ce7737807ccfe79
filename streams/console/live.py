"""The console's ports over a running platform: what the command line asks, asked in time and kept at hand.

    one thread looks: status, parity, workers, quarantine
    another follows topic finding                              pages read what is known

A page reads no topic: looking happens here, every few seconds. A part that does not answer is told with why, and what
was known of it before stays.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any

import structlog

from connectors.stewardship.verdict import Word
from streams.console.port import MOST_PROPOSALS, Desk, Entry, Look
from streams.core.ruling import WAITING
from streams.errors import ConcordError
from streams.operate import announced, databases, handoffs, proposals, reveal
from streams.operate.announced import Answer
from streams.operate.audit import act as auditing
from streams.operate.audit import ledger
from streams.operate.explain import Explanation, explain
from streams.operate.find import Finder
from streams.operate.findings import OpenFindings
from streams.operate.parity import Parity, parity
from streams.operate.quarantine import handle
from streams.operate.quarantine.ask import Listing, Shown
from streams.operate.quarantine.chosen import Asked
from streams.operate.quarantine.handle import Handled
from streams.operate.quarantine.kept import Kept
from streams.operate.reveal import Place
from streams.operate.status import Counts, status
from streams.operate.trace import Trace, trace
from streams.operate.worklist import handling
from streams.operate.worklist.case import Case, Page, Sums, Wanted
from streams.operate.worklist.follower import Follower
from streams.operate.worklist.handling import Said
from streams.operate.worklist.index import Index
from streams.settings import Settings

EVERY = 5.0
log = structlog.get_logger("concord.console")


class Live:
    """Looks and follows from `start` until `close`."""

    def __init__(self, settings: Settings) -> None:
        self._index = Index()
        self._follower = Follower(settings, self._index)
        self._kept = Kept(settings)
        self._watching = Watching(settings, Known(self._index, self._kept))
        self.desk = Desk(
            self._watching,
            Worklist(settings, self._index),
            Providers(settings, self._watching),
            Quarantine(settings, self._kept),
            Proposals(settings),
            Audit(settings),
        )

    def start(self) -> None:
        """Begin to look."""
        databases.keep()
        self._follower.start()
        self._watching.start()

    def close(self) -> None:
        """Stop, and let go of what is kept."""
        self._watching.close()
        self._follower.close()
        self._kept.close()
        self._index.close()
        databases.let_go()


class Known(Counts):
    """What `status` counts, from what the console keeps anyway: no topic is read twice."""

    def __init__(self, index: Index, kept: Kept) -> None:
        self.findings: Any = _Counted(index)
        self.waiting = kept

    def close(self) -> None:
        """Others do."""


class _Counted:
    """The worklist's sums as `status` shows them."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def look(self) -> OpenFindings:
        sums = self._index.sums(date.today())
        if not sums.progress.whole:
            return OpenFindings(None, why="topic finding is being read")
        return OpenFindings(sums.total, sums.by_code)


class Watching:
    """The newest look, and the workers that live."""

    def __init__(self, settings: Settings, counts: Known) -> None:
        self._settings, self._counts = settings, counts
        self._look = Look()
        self.workers: list[Answer] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(EVERY)

    def newest(self) -> Look:
        return self._look

    def _run(self) -> None:
        while not self._stop.is_set():
            self._look = self._taken()
            self._stop.wait(EVERY)

    def _taken(self) -> Look:
        """What can't be asked is absent, with why; never what was true some time ago."""
        whys: list[str] = []
        found, agreed, flows = None, None, None
        try:
            self.workers = announced.answering(self._settings, "worker")
            found = status(self._settings, 0.0, self._counts)
            agreed = self._parity(whys)
            flows = handoffs.overview(self._settings, self.workers)
        except ConcordError as fault:
            whys.append(fault.message)
        except Exception as fault:  # the thread that looks must outlive whatever it meets
            log.error("console.look", error=type(fault).__name__, exc_info=fault)
            whys.append(f"looking failed ({type(fault).__name__}); the console's log says more")
        why = "; ".join(dict.fromkeys(whys))
        return Look(self._look.number + 1, time.time(), found, agreed, why, flows)

    def _parity(self, whys: list[str]) -> Parity | None:
        """From the workers; without them a look would read the whole topic of entities, which `concord parity` does."""
        if not self.workers:
            whys.append("no worker runs, so nobody knows how the systems agree")
            return None
        return parity(self._settings)


class Worklist:
    """The index, and words that go to the stewardship database first."""

    def __init__(self, settings: Settings, index: Index) -> None:
        self._settings, self._index = settings, index

    def page(self, wanted: Wanted) -> Page:
        return self._index.page(wanted, date.today())

    def one(self, number: str) -> Case | None:
        return self._index.one(number)

    def sums(self) -> Sums:
        return self._index.sums(date.today())

    def say(self, cases: Sequence[Case], said: Said) -> None:
        self._index.hear(handling.say(self._settings, cases, said))


class Providers:
    """Asked of the worker that has the entity."""

    def __init__(self, settings: Settings, watching: Watching) -> None:
        self._settings, self._watching = settings, watching

    def named(self, key: str) -> list[str]:
        with Finder(self._settings, self._watching.workers) as finder:
            return [located.name for located in finder.find(key)]

    def explain(self, key: str) -> list[Explanation]:
        return explain(self._settings, key, known=self._watching.workers)

    def trace(self, key: str) -> list[Trace]:
        return trace(self._settings, key, self._watching.workers)

    def reveal(self, place: Place) -> str:
        return reveal.reveal(self._settings, place, self._watching.workers)


class Quarantine:
    """The register that is kept for showing; acts read the topic anew, as the command line does."""

    def __init__(self, settings: Settings, kept: Kept) -> None:
        self._settings, self._kept = settings, kept

    def listing(self, asked: Asked, limit: int) -> Listing:
        return self._kept.listing(asked, limit)

    def show(self, origin: str) -> Shown:
        return self._kept.show(origin)

    def replay(self, asked: Asked, by: str, *, apply: bool) -> Handled:
        return self._kept_up(handle.replay(self._settings, asked, by, apply=apply))

    def discard(self, asked: Asked, reason: str, by: str, *, apply: bool) -> Handled:
        return self._kept_up(handle.discard(self._settings, asked, reason, by, apply=apply))

    def _kept_up(self, done: Handled) -> Handled:
        """The list that follows an act shows it."""
        if done.applied:
            self._kept.look()
        return done


class Proposals:
    """The stewardship database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def waiting(self) -> int:
        return sum(row["count"] for row in proposals.waiting(self._settings) if row["state"] in WAITING)

    def listed(self, *, everything: bool, most: int = MOST_PROPOSALS) -> list[dict[str, Any]]:
        return proposals.listed(self._settings, everything=everything, most=most)

    def show(self, number: int) -> dict[str, Any]:
        return proposals.show(self._settings, number)

    def say(self, number: int, word: Word, seen: str) -> None:
        proposals.say(self._settings, number, word, seen)

    def comment(self, number: int, by: str, body: str) -> None:
        proposals.comment(self._settings, number, by, body)


class Audit:
    """The chain in the stewardship database."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def act(
        self, who: str, what: str, why: str, about: str, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> AbstractContextManager[object]:
        return auditing.act(
            self._settings, who, what, why=why, subject=about, before=before or None, after=after or None
        )

    def entries(self, who: str, limit: int) -> list[Entry]:
        return [_entry(row) for row in ledger.listed(self._settings, ledger.Asked(who=who, limit=limit))]


def _entry(row: Mapping[str, Any]) -> Entry:
    detail = row["detail"]
    phase = {"intended": "", "done": "done", "failed": "failed"}.get(str(detail.get("phase", "")), "")
    about = detail.get("subject") or (f"{row['kind']}/{row['entity_id']}" if row["kind"] else "")
    why = detail.get("why") or detail.get("reason") or ""
    what = f"{row['action']} {phase}".rstrip()
    return Entry(row["audit_id"], row["at"], row["actor"], what, str(about), str(why), detail)
