"""Who is there? The master's active providers looked up in every system: the deep check of `concord parity --deep`.

An active provider must be in every system, unless an open finding holds it back (invariant 12). Reads the systems'
own tables, not what the platform believes of them; systems that nobody captures show us none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg

from connectors.described import DESCRIBED
from streams.core.rules.book import CODES
from streams.core.rules.rule import HOLD, WITHDRAW
from streams.operate.findings import read_open
from streams.operate.quiet import dsn
from streams.settings import Settings
from streams.systems import ADAPTED

MASTER = "credentialing"
PEOPLE: Mapping[str, tuple[str, str]] = {
    name: (root.table, root.reference)
    for name, system in DESCRIBED.items()
    if (root := system.roots.get("provider"))
}
"""system -> (its table of providers, its cross reference to the master)"""

TABLES: Mapping[str, tuple[str, ...]] = {
    "credentialing": ("provider", "license", "provider_location", "practice_location", "organization"),
    "directory": ("dir_provider", "dir_listing", "dir_location"),
    "enrollment": ("enr_provider", "enrollment"),
    "billing": ("bil_rendering", "bil_affiliation", "bil_service_location", "bil_billing_entity"),
}


@dataclass(frozen=True, slots=True)
class Presence:
    """Who should be everywhere, and who is missing where. `held`: kept back from some system by an open finding."""

    active: int
    held: int
    missing: Mapping[str, int]
    waiting: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """system -> what its deferred views wait for -> how many"""

    @property
    def equal(self) -> bool:
        """Every system has everyone."""
        return not any(self.missing.values())


def presence(settings: Settings) -> Presence:
    """Compare the master with every system."""
    active = _ids(settings, MASTER, "select provider_id::text from provider where status = 'active'")
    stopped = {system: active & entities for system, entities in kept_back(settings).items()}
    shown = [system for system in ADAPTED if system not in settings.uncaptured | settings.apis.keys()]
    missing = {system: len(active - stopped[system] - _people(settings, system)) for system in shown}
    waiting = {system: _waiting(settings, system) for system, count in missing.items() if count}
    return Presence(len(active), len(set().union(*stopped.values())), missing, waiting)


def kept_back(settings: Settings) -> dict[str, set[str]]:
    """system -> entities of which an open finding holds back the view, or withdraws it."""
    stopped: dict[str, set[str]] = {system: set() for system in ADAPTED}
    for finding in read_open(settings):
        rule = CODES.get(finding["code"])
        for system in stopped:
            if rule is not None and rule.effect_on(system) in (HOLD, WITHDRAW):
                stopped[system].add(finding["entity_id"])
    return stopped


def counts(settings: Settings) -> dict[str, dict[str, int]]:
    """Rows of each system's main tables."""
    return {system: _counts(settings, system, tables) for system, tables in TABLES.items()}


def _people(settings: Settings, system: str) -> set[str]:
    table, column = PEOPLE[system]
    return _ids(settings, system, f"select {column}::text from {table} where {column} is not null")  # noqa: S608


def _ids(settings: Settings, system: str, query: str) -> set[str]:
    with psycopg.connect(dsn(settings, system)) as connection:
        return {row[0] for row in connection.execute(query).fetchall()}


def _counts(settings: Settings, system: str, tables: tuple[str, ...]) -> dict[str, int]:
    listed = ", ".join(f"(select count(*) from {table})" for table in tables)  # noqa: S608 (names of this file)
    with psycopg.connect(dsn(settings, system)) as connection:
        row = connection.execute(f"select {listed}").fetchone()
    return dict(zip(tables, row or (), strict=True))


def _waiting(settings: Settings, system: str) -> dict[str, int]:
    query = "select waits_for, count(*) from concord_pending where waits_for <> '' group by 1 order by 2 desc limit 5"
    with psycopg.connect(dsn(settings, system)) as connection:
        return dict(connection.execute(query).fetchall())
