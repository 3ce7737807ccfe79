"""The ring's links, each through a proxy with a switch; only processes of the platform use them, never the tests.

    worker --> broker          adapters --> broker          all --> registry
    adapters --> PostgreSQL (the systems)        Connect --> PostgreSQL (the master)

Not among them: Connect to the broker. A broker that is paused is that cut, and it is everybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from urllib.parse import urlsplit, urlunsplit

from stack.environment import Environment
from tests.fixtures.doors import Door
from tests.fixtures.proxy import HOST, Proxy


@dataclass(frozen=True, slots=True)
class Links:
    """By who asks whom."""

    worker_broker: Proxy
    adapters_broker: Proxy
    adapters_systems: Proxy
    connect_master: Proxy
    all_registry: Proxy

    def every(self) -> list[Proxy]:
        return [getattr(self, link.name) for link in fields(self)]

    def open(self) -> None:
        for link in self.every():
            link.open()

    def close(self) -> None:
        for link in self.every():
            link.close()


def between(stack: Environment, doors: Mapping[str, Door]) -> Links:
    """All open."""
    postgres = urlsplit(stack.postgres).port or 0
    registry = urlsplit(stack.registry).port or 0
    broker = {name: Proxy(door.port, door.told) for name, door in doors.items()}
    return Links(broker["WORKER"], broker["ADAPTERS"], Proxy(postgres), Proxy(postgres), Proxy(registry))


def through(link: Proxy, address: str) -> str:
    """The same URL, by way of the link."""
    parts = urlsplit(address)
    login, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}{at}{HOST}:{link.port}"))
