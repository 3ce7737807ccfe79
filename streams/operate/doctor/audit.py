"""The audit: may its role log in where CONCORD_AUDIT says, read what was written down, and add to it.

    stewardship database, as that role --look--> Audit --judge--> audit

What can't be written down is not done: without it no operator's command that changes something is carried out, and
the guard mends nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from connectors import granted
from connectors.fault import REFUSES_LOGIN
from connectors.granted import Right
from connectors.mapping_check import quoted
from stack.settings import AUDIT_ROLE
from streams.errors import ConcordError, Unavailable
from streams.operate.doctor.result import Result, error, finding, judged
from streams.settings import Settings, need

SUBJECT = "audit"
CHECKS = ("audit",)
PATIENCE = 5
WHY = "what can't be written down is not done: commands that change something are refused, the guard mends nothing"


@dataclass(frozen=True, slots=True)
class Audit:
    """What was seen. `refused`: why the role may not log in; then nothing else is known."""

    database: str
    role: str
    refused: str = ""
    lacking: tuple[Right, ...] = ()
    absent: tuple[Right, ...] = ()


def look(settings: Settings) -> Audit:
    """The audit now, as its role; Unavailable when nobody could look."""
    dsn = need(settings.audit, "CONCORD_AUDIT")
    named = conninfo_to_dict(dsn)
    database, role = str(named.get("dbname", "")), str(named.get("user", AUDIT_ROLE))
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=PATIENCE) as connection:
            rights = granted.granted("stewardship", AUDIT_ROLE)
            lacking, absent = granted.missing(connection, role, rights)
    except psycopg.Error as fault:
        reason = (fault.diag.message_primary or str(fault)).splitlines()[0].strip()
        if REFUSES_LOGIN.search(str(fault)):
            return Audit(database, role, refused=reason)
        raise Unavailable("doctor.audit", reason, "") from None
    # Who may not use the schema sees nothing of it: what seems absent may be there.
    blind = any(right.kind == "schema" for right in lacking)
    return Audit(database, role, lacking=tuple(lacking), absent=() if blind else tuple(absent))


def unreachable(fault: ConcordError) -> list[Result]:
    """Nobody could look."""
    step = "# check that the stewardship database runs and what CONCORD_AUDIT says, then:\nconcord doctor --only audit"
    return [error("audit", SUBJECT, fault.message, step)]


def judge(seen: Audit) -> list[Result]:
    """Pure."""
    return judged("audit", SUBJECT, _wrong(seen), f"{seen.role} reads it in {seen.database} and adds to it")


def _wrong(seen: Audit) -> Iterator[Result]:
    role = quoted(seen.role)
    if seen.refused:
        fix = (
            f"alter role {role} login;\ngrant connect on database {quoted(seen.database)} to {role};\n"
            f"-- and if that was not it, set the password anew: \\password {seen.role}"
        )
        yield finding("audit", SUBJECT, f"role {seen.role} can't log in: {seen.refused}", WHY, fix)
    if seen.lacking:
        told = ", ".join(f"{right.act} on {right.kind} {right.name}" for right in sorted(seen.lacking))
        fix = "\n".join(granted.statements(seen.role, seen.lacking))
        yield finding("audit", SUBJECT, f"{seen.role} may not {told}", WHY, fix)
    for right in seen.absent:
        fix = "concord systems apply   # or connectors/stewardship/schema.sql, by the table's owner"
        yield finding("audit", SUBJECT, f"the {right.kind} {right.name} is not there", WHY, fix)
