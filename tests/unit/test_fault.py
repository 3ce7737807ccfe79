"""What a database's error means: down, wrong, one bad view, or credentials that somebody must renew (P06, P07)."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from connectors.fault import meaning
from connectors.sink import Refused
from streams.errors import ConcordError, EnvironmentFault, Unavailable

FAILED = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: FATAL:  '
CASES: list[tuple[psycopg.Error, type[ConcordError], str]] = [
    (psycopg.OperationalError(f'{FAILED}password authentication failed for user "x"'), EnvironmentFault, "target.credentials"),
    (psycopg.OperationalError(f'{FAILED}role "x" does not exist'), EnvironmentFault, "target.credentials"),
    (psycopg.OperationalError(f'{FAILED}role "x" is not permitted to log in'), EnvironmentFault, "target.credentials"),
    (psycopg.OperationalError(f'{FAILED}no pg_hba.conf entry for host "127.0.0.1"'), EnvironmentFault, "target.credentials"),
    (psycopg.OperationalError("connection failed: fe_sendauth: no password supplied"), EnvironmentFault, "target.credentials"),
    (psycopg.OperationalError(f'{FAILED}permission denied for database "x"'), EnvironmentFault, "target.credentials"),
    (psycopg.OperationalError("connection failed: Connection refused"), Unavailable, "target.unavailable"),
    (psycopg.OperationalError(f"{FAILED}the database system is starting up"), Unavailable, "target.unavailable"),
    (psycopg.OperationalError(f"{FAILED}sorry, too many clients already"), Unavailable, "target.unavailable"),
    (psycopg.OperationalError(f'{FAILED}database "x" does not exist'), Unavailable, "target.unavailable"),
    (errors.AdminShutdown("terminating connection"), Unavailable, "target.unavailable"),
    (errors.InsufficientPrivilege("permission denied for table x"), EnvironmentFault, "target.forbidden"),
    (errors.UndefinedColumn("column x does not exist"), EnvironmentFault, "target.schema"),
    (errors.NumericValueOutOfRange("out of range"), Refused, "target.value"),
    (errors.UniqueViolation("duplicate key"), Refused, "target.constraint"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "kind", "code"), CASES, ids=[str(fault)[-40:] for fault, _, _ in CASES])
def test_a_databases_error_says_who_must_act(
    fault: psycopg.Error, kind: type[ConcordError], code: str
) -> None:
    found = meaning("directory", fault)
    assert (type(found), found.code) == (kind, code)
    assert found.next_step


def test_no_word_of_the_server_is_repeated() -> None:
    """It may quote a row, or a name of the DSN (invariant 11)."""
    for fault, _, _ in CASES:
        assert '"x"' not in meaning("directory", fault).message
