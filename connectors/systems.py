"""The systems' databases: which SQL makes each of them, and applying it.

Stands before everything else: the stack starts a server, `apply` gives each database the system's own tables
(schema.sql), Concord's tables (concord.sql), what leaves it and who may touch what (capture.sql), and rows
that every installation starts with (seed.sql). Each file is one transaction and may be applied again.
Never drops anything, never holds a password: roles get theirs from the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from streams.errors import EnvironmentFault, InvalidInput
from streams.systems import SYSTEMS as NAMES

Progress = Callable[[str], None]

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class System:
    """One system: its name is that of its folder, its reference database and its roles."""

    name: str

    @property
    def adapter_role(self) -> str:
        return f"concord_adapter_{self.name}"

    @property
    def scripts(self) -> list[Path]:
        own = HERE / self.name
        files = [own / "schema.sql", HERE / "concord.sql", own / "capture.sql", own / "seed.sql"]
        return [file for file in files if file.exists()]


SYSTEMS: dict[str, System] = {name: System(name) for name in NAMES}


def system_of(name: str) -> System:
    """The system of that name, or an error that lists the known ones."""
    if name not in SYSTEMS:
        raise InvalidInput(
            "systems.unknown", f"no system is called {name!r}", f"use one of: {', '.join(SYSTEMS)}"
        )
    return SYSTEMS[name]


def apply(dsn: str, system: str, progress: Progress | None = None) -> list[str]:
    """Apply the system's SQL to the database behind `dsn`; returns the files applied, in order."""
    applied = []
    with _connect(dsn) as connection:
        for script in system_of(system).scripts:
            _run(connection, script)
            applied.append(f"{script.parent.name}/{script.name}")
            if progress:
                progress(f"{system}: applied {script.name}")
    return applied


def create_database(dsn: str, name: str) -> bool:
    """Create database `name` on the server behind `dsn`; False when it is there already."""
    with _connect(dsn, autocommit=True) as connection:
        if connection.execute("select from pg_database where datname = %s", [name]).fetchone():
            return False
        try:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        except psycopg.errors.DuplicateDatabase:
            return False  # another caller was quicker
        except psycopg.errors.InsufficientPrivilege as refused:
            raise EnvironmentFault(
                "systems.create_refused",
                f"this role may not create database {name!r}",
                "use a superuser's DSN",
            ) from refused
    return True


def _connect(dsn: str, autocommit: bool = False) -> psycopg.Connection[tuple[object, ...]]:
    try:
        return psycopg.connect(dsn, autocommit=autocommit)
    except psycopg.OperationalError as failure:
        raise EnvironmentFault(
            "systems.unreachable", f"cannot connect to the database: {failure}", "is the stack up? (make up)"
        ) from failure


def _run(connection: psycopg.Connection[tuple[object, ...]], script: Path) -> None:
    """One file, one transaction; one caller a database at a time (PostgreSQL refuses concurrent GRANTs)."""
    try:
        with connection.transaction():
            connection.execute("set local client_min_messages = warning")
            connection.execute("select pg_advisory_xact_lock(hashtext('concord systems apply'))")
            connection.execute(script.read_text(encoding="utf-8"))
    except psycopg.Error as failure:
        raise EnvironmentFault(
            "systems.apply_failed",
            f"{script.parent.name}/{script.name}: {failure.diag.message_primary or failure}",
            "nothing of this file was kept; use a superuser's DSN of a database this system owns",
        ) from failure
