"""Chooses the stack's ports once and keeps them, so that addresses stay equal over restarts.

Free ports are taken below the range the kernel gives to outgoing connections: a client that retries while
its service is down could otherwise be given that very port and block it.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from streams.errors import EnvironmentFault, InvalidInput

NAMES = ("postgres", "kafka", "connect", "registry", "kafka_controller", "registry_management")
CONFIGURABLE = ("postgres", "kafka", "connect", "registry")
LOWEST = 15_000


def choose(
    remembered: Mapping[str, int],
    environ: Mapping[str, str],
    free: Callable[[int], bool] = lambda port: is_free(port),
) -> dict[str, int]:
    """Configured before remembered before free; whether a configured port is taken shows when it is used."""
    ports: dict[str, int] = {}
    fixed = {name: configured(name, environ) or remembered.get(name) for name in NAMES}
    for name in NAMES:
        taken = {port for port in [*fixed.values(), *ports.values()] if port}
        ports[name] = fixed[name] or _any_free(taken, free)
    return ports


def configured(name: str, environ: Mapping[str, str]) -> int | None:
    variable = f"CONCORD_PORT_{name.upper()}"
    value = environ.get(variable)
    if not value or name not in CONFIGURABLE:
        return None
    if not value.isdigit() or not 0 < int(value) < 65_536:
        raise InvalidInput(
            "stack.port_invalid", f"{variable}={value} is not a port", "give a number from 1 to 65535"
        )
    return int(value)


def ensure_free(name: str, port: int) -> None:
    if not is_free(port):
        variable = f"CONCORD_PORT_{name.upper()}"
        choice = f", or choose another: {variable}=<port> python -m stack up" if name in CONFIGURABLE else ""
        raise EnvironmentFault(
            "stack.port_taken",
            f"port {port} of 127.0.0.1, meant for {name}, is used by another program",
            f"stop that program (it shows in: ss -ltnp 'sport = :{port}'){choice}",
        )


def is_free(port: int) -> bool:
    """Nobody listens there; a port that only waits out its closed connections counts as free."""
    with socket.socket() as tried:
        if tried.connect_ex(("127.0.0.1", port)) == 0:
            return False
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _any_free(taken: set[int], free: Callable[[int], bool]) -> int:
    candidates = random.sample(range(LOWEST, _ephemeral_start()), 500)
    for port in candidates:
        if port not in taken and free(port):
            return port
    raise EnvironmentFault(
        "stack.no_port", "found no free port on 127.0.0.1", "set CONCORD_PORT_KAFKA and the others"
    )


def _ephemeral_start() -> int:
    try:
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
    except OSError:
        return 32_768
    return max(int(text.split()[0]), LOWEST + 2_000)
