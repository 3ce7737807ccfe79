"""What a service is to the stack: how it is prepared, started, found ready, settled and stopped.

One file a service implements it (postgres, kafka, connect, registry); lifecycle.py is the only caller.
"""

from __future__ import annotations

import http.client
import signal
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from stack.download import Artifacts
from stack.layout import Layout
from stack.process import Command
from stack.state import State

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a service needs to know of where it runs."""

    layout: Layout
    state: State
    artifacts: Artifacts
    java: Path
    overrides: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """service -> settings laid over its own; the fault ring puts proxies between with them"""


class Service(ABC):
    name: str
    version: str
    needs: tuple[str, ...] = ()
    needs_ports: tuple[str, ...] = ()
    stop_signal: int = signal.SIGTERM
    # A start that dies with this text in its log is tried again: what it complains about passes by itself.
    passing_complaint: str = ""

    def prepare(self, site: Site) -> None:  # noqa: B027  (optional)
        """Before the start, each time; must be idempotent."""

    @abstractmethod
    def command(self, site: Site) -> Command: ...

    @abstractmethod
    def ready(self, state: State) -> bool:
        """Answers requests now; never raises, returns within about two seconds."""

    def settle(self, site: Site) -> None:  # noqa: B027  (optional)
        """Once ready, before anything that needs this service starts; must be idempotent."""


def http_status(port: int, path: str) -> int:
    """The status of a GET on loopback, 0 when nobody answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
