"""A running platform to break: who rings, what `concord status` and `doctor` say, and what runs the pages' commands.

Exporter --looks--> History --as if it lasted--> ops/alerts.yml: who rings
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from stack.layout import PROJECT
from streams.operate import announced
from streams.operate.exporter.serve import Exporter
from streams.operate.status import Status
from tests.alerting import LASTS, History, ringing, rules
from tests.faults.process import Worker
from tests.fixtures.platform import Platform
from tests.fixtures.proxy import Proxy
from tests.fixtures.waiting import wait_until

RULES = rules()
LOOKED_FOR = 6.0
"""Seconds a fault is looked at, several times: longer than a canary's or a heartbeat's beat, so that only what really
goes on seems to."""
PATIENCE = 120.0

Rings = dict[str, list[dict[str, str]]]


@dataclass(slots=True)
class Scene:
    """The platform, and what the faults have at hand."""

    platform: Platform
    registry: Proxy
    folder: Path
    exporter: Exporter
    undo: ExitStack = field(default_factory=ExitStack)
    """what is put back whatever a test found"""
    other: Worker | None = None
    """the newest that joined the platform's own worker"""

    def looks(self, meanwhile: Callable[[], None] = lambda: None) -> History:
        """What the processes tell, some seconds long; `meanwhile` is what the fault goes on doing."""
        history, began = History(), time.monotonic()
        while len(history.looks) < 3 or time.monotonic() - began < LOOKED_FOR:
            if history.looks:
                meanwhile()
            self.exporter.look()
            history.looked(self.exporter.found)
        return history

    def rings(self, meanwhile: Callable[[], None] = lambda: None) -> Rings:
        """Who rings, had it gone on like this."""
        series, end = self.looks(meanwhile).lasting()
        found = {name: ringing(rule, series, end, most=LASTS) for name, rule in RULES.items()}
        return {name: labels for name, labels in found.items() if labels}

    def silent(self) -> None:
        """Until nothing rings: a platform that has just started, or was just mended, still catches up."""
        seen: list[Rings] = []

        def none() -> bool:
            seen.append(self.rings())
            return not seen[-1]

        try:
            wait_until(none, PATIENCE)
        except AssertionError:
            raise AssertionError(f"it still rings: {seen[-1]}") from None

    def run(self, arguments: Sequence[str], **environ: str) -> str:
        """A command of a page, as it stands there; it must succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", *arguments], env={**self.platform.environ, **environ}, cwd=PROJECT,
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (
            f"concord {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done.stdout

    def status(self) -> Status:
        return self.platform.status()

    def quiet(self) -> bool:
        return self.status().quiet

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        try:
            return wait_until(condition, PATIENCE, what=what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.platform.concord('status').text}") from None

    def administrator(self, system: str) -> psycopg.Connection[Any]:
        return self.undo.enter_context(closing(self.platform.databases[system].connect()))

    def rename(self, name: str) -> None:
        """A change that every system is sent."""
        first = "(select min(provider_id::text)::uuid from provider)"
        self.platform.write(f"update provider set last_name = '{name}' where provider_id = {first}")

    def join(self, name: str, within: Sequence[str] = (), **environ: str) -> Worker:
        """Another worker, which has its share of the partitions; `within`: a command that runs it."""
        self.other = Worker(name, {**self.platform.environ, **environ}, self.folder, within)
        self.undo.callback(self.other.stop)
        self.wait(self.shared, f"{name} to have its share")
        return self.other

    def shared(self) -> bool:
        """The other worker has some partitions, the platform's own has all the others."""
        assert self.other is not None
        theirs = {each["partition"] for each in self.other.partitions()}
        return bool(theirs) and self.whole()

    def whole(self) -> bool:
        """Every partition is open, and in one worker only: of those that answer."""
        answers = announced.answering(self.platform.settings, "worker")
        opened = sorted(each["partition"] for answer in answers for each in answer.status["partitions"])
        return opened == list(range(self.platform.settings.partitions))

    def diagnosis(self, checks: Sequence[str], environ: dict[str, str]) -> list[dict[str, Any]]:
        """What doctor finds wrong or can't look at."""
        only = [word for check in checks for word in ("--only", check)]
        done = subprocess.run(
            [sys.executable, "-m", "streams.cli", "doctor", "--json", *only],
            env={**self.platform.environ, **environ}, cwd=PROJECT, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return [r for r in json.loads(done.stdout)["result"]["results"] if r["state"] in ("finding", "error")]
