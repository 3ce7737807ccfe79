"""Proposals for people: which are open, who must sign, and one person's word on one of them.

    stewardship database <--read, or one transaction: approval, ruling, audit--> `concord proposals`

A word that doesn't count is refused with its reason and stands in the audit all the same. What counts is a row, and
takes effect by its change event like anything else; nothing here decides what is true. Values are shown to whoever may
read the stewardship database; restricted ones are masked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connectors.stewardship.verdict import Refusal, Word, judge, left
from schemas.catalog import load_catalog
from streams.core.entity import STEWARDSHIP
from streams.core.ruling import APPROVED, AWAITING, AWAITING_MORE
from streams.errors import EnvironmentFault, InvalidInput
from streams.settings import Settings, need

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Row]

OPEN = (AWAITING, AWAITING_MORE, APPROVED)
MOST = 500
LIST = """
select * from proposal where %(all)s or state = any(%(open)s) order by submitted_at, proposal_id limit %(most)s
"""
ONE = "select * from proposal where proposal_id = %s"
SIGNED = "select * from approval where proposal_id = %s order by decided_at, approval_id"
RULED = "select * from ruling where proposal_id = %s order by ruled_at, ruling_id"
LAST_HASH = "select hash from audit order by audit_id desc limit 1"
AUDIT = """
insert into audit (actor, action, kind, entity_id, detail, previous_hash, hash) values (%s, %s, %s, %s, %s, %s, %s)
"""
LOCK = "select pg_advisory_xact_lock(hashtext('concord stewardship audit'))"
MASKED = "(restricted)"


def listed(settings: Settings, *, everything: bool = False) -> list[Row]:
    """The open proposals, oldest first, or all of them."""
    with _connected(settings) as connection:
        rows = connection.execute(LIST, {"all": everything, "open": list(OPEN), "most": MOST}).fetchall()
    return [_shown(row) for row in rows]


def show(settings: Settings, number: int) -> Row:
    """One proposal, what was signed and ruled, and who must sign yet."""
    with _connected(settings) as connection:
        proposal = _found(connection, number)
        signed = connection.execute(SIGNED, [number]).fetchall()
        ruled = connection.execute(RULED, [number]).fetchall()
    waits = proposal["state"] in (AWAITING, AWAITING_MORE)
    return {
        **_shown(proposal),
        "approvals": [
            {name: _plain(a[name]) for name in ("approver", "role", "verdict", "decided_at")} for a in signed
        ],
        "rulings": [
            {name: _plain(r[name]) for name in ("decision", "ruled_by", "reason", "ruled_at")} for r in ruled
        ],
        "missing": [list(roles) for roles in left(proposal, signed)] if waits else [],
    }


def say(settings: Settings, number: int, word: Word) -> Row:
    """One person's word: its rows and its audit in one transaction; InvalidInput when it doesn't count."""
    with _connected(settings) as connection:
        with connection.transaction():
            refusal = _say(connection, number, word)
        if refusal is not None:
            raise InvalidInput(refusal.code, f"proposal {number}: {refusal.message}", refusal.next_step)
    return show(settings, number)


def _say(connection: Connection, number: int, word: Word) -> Refusal | None:
    connection.execute(
        LOCK
    )  # one word at a time: two signatures at once must see each other, and hashes form a chain
    proposal = connection.execute(ONE, [number]).fetchone()
    if proposal is None:
        _audit(connection, word, "refused", {"proposal_id": number, "code": _UNKNOWN.code})
        return _UNKNOWN
    found = judge(proposal, connection.execute(SIGNED, [number]).fetchall(), word)
    about = {
        name: proposal[name] for name in ("proposal_id", "system", "record", "row_id", "field", "position")
    }
    detail = {**about, "role": word.role, "reason": word.reason}
    if isinstance(found, Refusal):
        _audit(connection, word, "refused", {**detail, "code": found.code, "why": found.message}, proposal)
        return found
    for table, row in found:
        _insert(connection, table, row)
    _audit(connection, word, word.decision, {**detail, "wrote": [table for table, _ in found]}, proposal)
    return None


_UNKNOWN = Refusal("proposal.unknown", "there is no such proposal", "concord proposals list")


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    values = [Jsonb(value) if name == "value" and value is not None else value for name, value in row.items()]
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    connection.execute(statement, values)


def _audit(
    connection: Connection, word: Word, action: str, detail: Mapping[str, Any], proposal: Row | None = None
) -> None:
    """One more link of the chain: it names the hash of the one before. Never a value, only where it stands."""
    last = connection.execute(LAST_HASH).fetchone()
    before = last["hash"] if last else None
    said = "refused" if action == "refused" else word.decision
    kind, entity_id = (proposal["kind"], proposal["entity_id"]) if proposal else (None, None)
    whole = {**detail, "decision": word.decision}
    text = json.dumps([before, word.by, said, kind, entity_id, whole], sort_keys=True, default=str)
    link = hashlib.sha256(text.encode()).hexdigest()
    connection.execute(AUDIT, [word.by, said, kind, entity_id, Jsonb(whole), before, link])


def _found(connection: Connection, number: int) -> Row:
    proposal = connection.execute(ONE, [number]).fetchone()
    if proposal is None:
        raise InvalidInput(_UNKNOWN.code, f"proposal {number}: {_UNKNOWN.message}", _UNKNOWN.next_step)
    return proposal


def _shown(row: Row) -> Row:
    """A proposal as plain data; what the catalogue restricts is masked (invariant 11)."""
    field = load_catalog().field(row["record"], row["field"])
    public = field is not None and field.cls == "public"
    values = {
        name: row[name] if public or row[name] is None else MASKED for name in ("value", "current_value")
    }
    return {name: _plain(value) for name, value in {**row, **values}.items()}


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


@contextmanager
def _connected(settings: Settings) -> Iterator[Connection]:
    dsn = need(settings.databases.get(STEWARDSHIP), "CONCORD_DATABASE_STEWARDSHIP")
    try:
        with psycopg.connect(dsn, autocommit=True, row_factory=dict_row, connect_timeout=5) as connection:
            yield connection
    except psycopg.OperationalError as fault:
        what = f"the stewardship database does not answer: {type(fault).__name__}"
        raise EnvironmentFault("stewardship.unavailable", what, "concord status") from fault


def signatures_text(missing: Sequence[Sequence[str]]) -> str:
    """Who must sign yet, for people."""
    return "; ".join(" or ".join(roles) for roles in missing) or "nobody"
