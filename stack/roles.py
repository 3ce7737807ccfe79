"""Creates the databases and roles of the stack, with passwords given from outside; idempotent.

The roles may connect and nothing else: what they may read and write in a system is granted with that system's
schema (connectors/). Used by `up` natively and by the one-shot `databases` service of docker-compose.yml.
"""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg import sql

from stack.settings import (
    ADAPTER_ROLES,
    AUDIT_ROLE,
    CANARY_ROLE,
    CAPTURE_ROLE,
    REGISTRY_DATABASE,
    REGISTRY_ROLE,
    STEWARD_DATABASE,
    STEWARD_ROLE,
)
from streams.systems import SYSTEMS


def create(dsn: str, passwords: Mapping[str, str]) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        _create_role(connection, CAPTURE_ROLE, passwords[CAPTURE_ROLE], "login replication")
        _create_role(connection, REGISTRY_ROLE, passwords[REGISTRY_ROLE], "login")
        for role in (CANARY_ROLE, STEWARD_ROLE, AUDIT_ROLE, *ADAPTER_ROLES.values()):
            _create_role(connection, role, passwords[role], "login")
        for system in SYSTEMS:
            create_system_database(connection, system, system)
        _create_database(connection, REGISTRY_DATABASE, REGISTRY_ROLE)


def create_system_database(connection: psycopg.Connection, name: str, system: str) -> None:
    """An empty database for capture, the canary and this system's adapter; stewardship's, for people too."""
    _create_database(connection, name, None)
    people = (STEWARD_ROLE, AUDIT_ROLE) if system == STEWARD_DATABASE else ()
    for role in (CAPTURE_ROLE, CANARY_ROLE, ADAPTER_ROLES[system], *people):
        grant = sql.SQL("grant connect on database {} to {}")
        connection.execute(grant.format(sql.Identifier(name), sql.Identifier(role)))


def _create_role(connection: psycopg.Connection, role: str, password: str, rights: str) -> None:
    known = connection.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone()
    statement = "alter role {} with {} password {}" if known else "create role {} with {} password {}"
    connection.execute(
        sql.SQL(statement).format(sql.Identifier(role), sql.SQL(rights), sql.Literal(password))
    )


def _create_database(connection: psycopg.Connection, name: str, owner: str | None) -> None:
    if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    connection.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
    if owner:
        statement = sql.SQL("alter database {} owner to {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Identifier(owner)))
