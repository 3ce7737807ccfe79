"""The platform's processes as a test holds them: one `concord` command each, to kill, pause and start again."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx

from stack.layout import PROJECT
from streams.trust import trusted
from tests.fixtures.stack import children


class Process:
    """One command in a session of its own; of a supervised one, `pid` is the child's."""

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        log: Path,
        within: Sequence[str] = (),
    ) -> None:
        self.name, self.log = name, log
        command = [*within, sys.executable, "-m", "streams.cli", *arguments]
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                command, env=dict(environ), cwd=PROJECT, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return next(iter(children(self.process.pid)), self.process.pid)

    def alive(self) -> bool:
        return self.process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, its supervisor included: as when the machine is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> None:
        """Woken when paused, asked, then killed with its children."""
        for number in (signal.SIGCONT, signal.SIGTERM):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        self.kill()

    def said(self) -> str:
        """Everything it has logged so far."""
        return self.log.read_text(errors="replace")

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.said().splitlines()[-lines:])


class Worker(Process):
    """A supervised worker that answers on a port of its own. Its stores are in `data`."""

    def __init__(
        self, name: str, environ: Mapping[str, str], folder: Path, within: Sequence[str] = ()
    ) -> None:
        port, self.data = free_port(), folder / name
        self.url = f"http://127.0.0.1:{port}"
        arguments = ("worker", "--data-dir", str(self.data))
        own = {**environ, "CONCORD_WEB_PORT": str(port)}
        super().__init__(name, arguments, own, folder / f"{name}.log", within)

    def status(self) -> dict[str, Any] | None:
        """What it says of itself; None while it does not answer."""
        try:
            answer: dict[str, Any] = httpx.get(f"{self.url}/status", timeout=5, verify=trusted()).json()
        except (httpx.HTTPError, ValueError):
            return None
        return answer

    def partitions(self) -> list[dict[str, Any]]:
        return list((self.status() or {}).get("partitions", ()))


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])
