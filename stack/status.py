"""What runs: one row a service, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

from stack import lifecycle
from stack.layout import Layout
from stack.service import Service
from stack.state import State


@dataclass(frozen=True, slots=True)
class ServiceStatus:
    name: str
    version: str
    pid: int | None
    alive: bool
    ready: bool
    port: int | None
    log: str
    data: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def read(layout: Layout, state: State | None, services: Sequence[Service]) -> list[ServiceStatus]:
    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        return list(pool.map(lambda service: _one(layout, state, service), services))


def table(rows: Sequence[ServiceStatus]) -> str:
    lines = [f"{'service':9} {'version':30} {'state':12} {'pid':>7}  {'address':21} log"]
    lines += [
        f"{row.name:9} {row.version:30} {_word(row):12} {row.pid or '-':>7}  {_address(row):21} {row.log}"
        for row in rows
    ]
    return "\n".join(lines)


def _one(layout: Layout, state: State | None, service: Service) -> ServiceStatus:
    found = lifecycle.running(layout, service)
    return ServiceStatus(
        name=service.name,
        version=service.version,
        pid=found.pid if found else None,
        alive=found is not None,
        ready=bool(found and state and service.ready(state)),
        port=state.ports[service.name] if state else None,
        log=str(layout.log(service.name)),
        data=str(layout.data(service.name)),
    )


def _word(row: ServiceStatus) -> str:
    if row.ready:
        return "ready"
    return "no answer" if row.alive else "stopped"


def _address(row: ServiceStatus) -> str:
    return f"127.0.0.1:{row.port}" if row.port else "-"
