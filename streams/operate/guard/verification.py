"""What may be missing is verified and repaired without being asked: a process of its own, one at a time.

    findings that stay --Verification--> concord verify source TABLE... --repair --> settled, or left to a person

Begins once capture is in order again: before, what is missing may be on its way. Bounded like every act; how many rows
may be repaired is verification's own bound. Never waits, and the guard's own work never waits for it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from tempfile import TemporaryFile

import structlog

from streams.operate.guard.book import Finding, stays
from streams.operate.guard.remedies import Bounded

log = structlog.get_logger("concord.guard")

COMMAND = "concord verify source "
CALM = 10.0
"""Seconds that capture must have been in order."""
TIMES = 4
APART = 60.0


class Run:
    """`concord verify source` in a process of its own, after everything else on the machine."""

    def __init__(self, target: str, cause: str) -> None:
        command = [sys.executable, "-m", "streams.cli", "verify", "source", *target.split()]
        command += ["--repair", "--quarantined", "--by", "guard", "--cause", cause, "--json"]
        self._said = TemporaryFile()  # noqa: SIM115 - read when the process has ended
        self._process = subprocess.Popen(
            command, stdout=self._said, stderr=subprocess.DEVNULL, preexec_fn=lambda: os.nice(10)
        )

    def poll(self) -> int | None:
        """Its exit code once it has ended."""
        return self._process.poll()

    def whole(self) -> frozenset[str]:
        """The tables of which nothing diverges, or everything was repaired. Asked once, when it has ended."""
        with (
            self._said,
            suppress(json.JSONDecodeError, UnicodeDecodeError),
        ):  # it was killed: nothing is known
            self._said.seek(0)
            found = json.load(self._said).get("result") or ()
            return frozenset(
                f"{table['system']}.{table['table']}"
                for table in found
                if all(row["repaired"] for row in table["divergences"])
            )
        return frozenset()

    def stop(self) -> None:
        """End it; what it says is not asked for."""
        self._process.terminate()
        self._said.close()


Start = Callable[[str, str], Run]


@dataclass(slots=True)
class Verification:
    """Of all sources."""

    begin: Start = Run
    running: Run | None = None
    target: str = ""
    findings: tuple[Finding, ...] = ()
    _bounds: dict[str, Bounded] = field(default_factory=lambda: defaultdict(lambda: Bounded(TIMES, APART)))
    _calm: dict[str, float] = field(default_factory=dict)
    _alone: set[str] = field(default_factory=set)
    """what was not whole when it was verified with others: one table that is not keeps no other open"""

    def ended(self) -> Sequence[Finding]:
        """What a verification that has ended has settled."""
        if self.running is None or (code := self.running.poll()) is None:
            return ()
        whole, done = self.running.whole(), self.findings
        if code:  # of several tables those that are whole are settled, and not looked at again
            done = tuple(found for found in done if _target(found) in whole)
            self._alone.update(set(self.target.split()) - whole)
        self.running, self.findings = None, ()
        log.info("guard.verified", target=self.target, exit_code=code, settled=len(done))
        return done

    def consider(self, open_now: Iterable[Finding], now: float) -> str:
        """Begin one where it is due; what it verifies."""
        found = list(open_now)
        broken = {f.system for f in found if not stays(f.code) and f.severity != "low"}
        for system in broken:
            self._calm[system] = now
        if self.running is not None:
            return ""
        for system in sorted({one.system for one in found if stays(one.code)}):
            since = self._calm.setdefault(system, now)
            mine = [one for one in found if one.system == system and stays(one.code)]
            if now - since >= CALM and (due := self._due({_target(one) for one in mine}, now)):
                return self._start(due, mine)
        return ""

    def _due(self, targets: Collection[str], now: float) -> list[str]:
        """Of one system: the whole of it, which is its tables too; or its tables at once; or one that needs its own."""
        whole = [target for target in targets if "." not in target]
        together = sorted(set(targets) - set(whole) - self._alone)
        if due := [t for t in whole if self._admits(t, now)] or [t for t in together if self._admits(t, now)]:
            return due
        return next(([t] for t in sorted(self._alone & set(targets)) if self._admits(t, now)), [])

    def _admits(self, target: str, now: float) -> bool:
        return self._bounds[target].admits(now)

    def _start(self, due: list[str], mine: Iterable[Finding]) -> str:
        self.target = " ".join(due)
        self.findings = tuple(f for f in mine if any(_within(_target(f), target) for target in due))
        because = sorted({one.code for one in self.findings})
        log.warning("guard.acts", act="verify", target=self.target, because=because)
        self.running = self.begin(self.target, because[0])
        return self.target

    def stop(self) -> None:
        """What runs is left undone: it is verified again another time."""
        if self.running is not None:
            self.running.stop()


def _within(target: str, verified: str) -> bool:
    return target == verified or target.startswith(f"{verified}.")


def _target(found: Finding) -> str:
    """`system` or `system.table`, as the finding says what to do."""
    command, _, rest = found.action.partition(COMMAND)
    return rest.partition(" ")[0] if not command and rest else found.system
