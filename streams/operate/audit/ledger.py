"""The audit as it stands in the stewardship database: which acts, one act, and whether the chain is whole.

Read as role concord_audit, through a cursor of the server where it is walked, so that memory doesn't grow with it.
Changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import databases
from streams.operate.audit.chain import Chain, Link, entry
from streams.settings import Settings, need

LINKS = "select audit_id, audit_text(audit), hash from audit"
BATCH = 5_000
PAGE = """
where (%(who)s = '' or actor = %(who)s) and (%(what)s = '' or action = %(what)s)
    and (%(entity)s = '' or %(entity)s in (entity_id, kind || '/' || entity_id))
    and (%(since)s = '' or at >= %(since)s::timestamptz)
    and (%(proposal)s::bigint is null or (detail ->> 'proposal_id')::bigint = %(proposal)s)
    and (not %(unfinished)s or (detail ->> 'phase' = 'intended' and not exists (select from audit ended
        where ended.detail ? 'act' and ended.detail ->> 'act' = audit.detail ->> 'act'
            and ended.detail ->> 'phase' <> 'intended')))
order by audit_id desc limit %(limit)s
"""
ACT = "where detail ? 'act' and detail ->> 'act' = %(act)s order by audit_id"
ONE = """
where audit_id = %(id)s or (detail ? 'act' and detail ->> 'act' =
    (select detail ->> 'act' from audit where audit_id = %(id)s)) order by audit_id
"""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which rows: what is empty doesn't matter."""

    who: str = ""
    what: str = ""
    entity: str = ""
    since: str = ""
    proposal: int | None = None
    unfinished: bool = False
    limit: int = 200


def listed(settings: Settings, asked: Asked) -> list[Entry]:
    """The newest of the rows asked for, the newest first."""
    names = {name: getattr(asked, name) for name in Asked.__slots__}
    with connected(settings) as connection:
        return [entry(link) for link in _links(connection, PAGE, names)]


def show(settings: Settings, which: str) -> list[Entry]:
    """One act, by its id or the number of one of its rows: what was intended, and what became of it."""
    where, names = (ONE, {"id": int(which)}) if which.isdigit() and len(which) < 19 else (ACT, {"act": which})
    with connected(settings) as connection:
        found = [entry(link) for link in _links(connection, where, names)]
    if not found:
        said = f"no row and no act of the audit is called {which!r}"
        raise InvalidInput("audit.unknown", said, "concord audit list")
    return found


def verify(settings: Settings, head: str = "") -> Chain:
    """Walk the whole chain; InvalidInput `audit.head` when it is whole, but does not hold this head any more."""
    with connected(settings) as connection:
        seen = [False]
        found = Chain().walk(_passing(walked(connection), head, seen))
    if head and found.broken is None and not seen[0]:
        said = f"no row has the hash {head[:12]}..., which a manifest has as its last"
        raise InvalidInput(
            "audit.head", said, "rows were taken off the end, or it is another audit's manifest"
        )
    return found


def walked(connection: psycopg.Connection[Any]) -> Iterator[Link]:
    """Every row, the oldest first, as it stood when the walk began."""
    with connection.cursor("audit") as cursor:
        cursor.itersize = BATCH
        cursor.execute(f"{LINKS} order by audit_id")
        for row in cursor:
            yield Link(*row)


def _passing(links: Iterator[Link], head: str, seen: list[bool]) -> Iterator[Link]:
    for link in links:
        seen[0] = seen[0] or link.hash == head
        yield link


def _links(connection: psycopg.Connection[Any], where: str, names: Mapping[str, Any]) -> Iterator[Link]:
    for row in connection.execute(f"{LINKS} {where}", names):
        yield Link(*row)


@contextmanager
def connected(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A reading transaction of the stewardship database."""
    dsn = need(settings.audit, "CONCORD_AUDIT")
    try:
        with databases.connected(dsn, 5) as connection:
            connection.read_only = True
            yield connection
    except psycopg.errors.DataError as fault:
        step = "a time is written as 2026-11-22 or 2026-11-22T14:00:00Z"
        raise InvalidInput("audit.asked", f"that can't be asked: {type(fault).__name__}", step) from fault
    except psycopg.Error as fault:
        said = f"the audit can't be read: {type(fault).__name__}"
        raise EnvironmentFault("audit.unavailable", said, "concord doctor") from fault
