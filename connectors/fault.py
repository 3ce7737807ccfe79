"""What a database error means for a delivery: the target is down, the target is wrong, or one view is bad.

    a login that is refused                           EnvironmentFault   pause: somebody must renew it
    OperationalError, InternalError, InterfaceError   Unavailable        try the batch again, without limit
    DataError, IntegrityError, a trigger's RAISE      Refused            find the one view, write its receipt
    everything else (rights, missing columns)         EnvironmentFault   pause: nothing of this batch can work

Messages name the SQLSTATE, table, column and constraint, never a value (Invariant 11): the server's own text
would quote the row.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import errors

from connectors.sink import Refused
from streams.errors import ConcordError, EnvironmentFault, Unavailable

VALUE, CONSTRAINT, TRIGGER = "target.value", "target.constraint", "target.trigger"
DOWN, FORBIDDEN, SCHEMA = "target.unavailable", "target.forbidden", "target.schema"
CREDENTIALS = "target.credentials"
REFUSES_LOGIN = re.compile(
    r'password authentication failed|no password supplied|no pg_hba\.conf entry|role "[^"]*" does not exist'
    r'|role "[^"]*" is not permitted to log in|certificate authentication failed|permission denied for database'
)
"""What PostgreSQL says of a login that it refuses: of a connection that failed libpq tells no SQLSTATE."""


def meaning(system: str, fault: psycopg.Error) -> ConcordError:
    text = f"{system}: {describe(fault)}"
    match fault:
        case psycopg.DataError():
            return Refused(VALUE, text, "correct the value at its owner")
        case psycopg.IntegrityError():
            return Refused(CONSTRAINT, text, "correct the record at its owner, or the target's constraint")
        case errors.RaiseException() | errors.CardinalityViolation():
            return Refused(TRIGGER, text, "see what the target's trigger asks for")
        case psycopg.OperationalError() if REFUSES_LOGIN.search(str(fault)):
            step = "renew the password in the adapter's DSN, or the role and pg_hba.conf; the adapter goes on by itself"
            return EnvironmentFault(CREDENTIALS, f"{system}: the login is refused", step)
        case psycopg.OperationalError() | psycopg.InternalError() | psycopg.InterfaceError():
            return Unavailable(DOWN, text, "the adapter retries by itself; check that the database runs")
        case errors.InsufficientPrivilege():
            return EnvironmentFault(
                FORBIDDEN, text, f"run connectors/{system}/capture.sql: it grants the role"
            )
        case _:
            return EnvironmentFault(
                SCHEMA, text, "compare the target's tables with connectors/<system>/schema.sql"
            )


def describe(fault: psycopg.Error) -> str:
    diag = fault.diag
    named = {"table": diag.table_name, "column": diag.column_name, "constraint": diag.constraint_name}
    places = " ".join(f"{what}={name}" for what, name in named.items() if name)
    return " ".join(filter(None, (type(fault).__name__, fault.sqlstate, places)))
