"""Proposals for people: which are open, who must sign, and one person's word on one of them.

    stewardship database <--read, or one transaction: approval, ruling, comment--> `concord proposals`

A word that doesn't count is refused with its reason and stands in the audit all the same. What counts is a row, which
its table audits, and takes effect by its change event like anything else; nothing here decides what is true. Works as
role concord_steward, which may add rows and change none. Values are shown to whoever may read the stewardship
database; restricted ones are masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from connectors.stewardship.verdict import Refusal, Word, judge, left
from schemas.catalog import load_catalog
from streams.core.ruling import OPEN, WAITING, lacking
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import databases
from streams.operate.audit import ledger
from streams.settings import Settings, need

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Row]

MOST = 500
LIST = """
select * from proposal where %(all)s or state = any(%(open)s) order by submitted_at, proposal_id limit %(most)s
"""
OPEN_BY_DAY = """
select system, state, submitted_at::date as day, count(*), extract(epoch from min(submitted_at))::float8 as oldest
from proposal where state = any(%s) group by system, state, submitted_at::date
"""
RULED_SINCE = """
select coalesce(proposal.level, '') as level, ruling.decision, count(*) as count, avg(took)::float8 as mean,
    percentile_disc(0.5) within group (order by took) as p50,
    percentile_disc(0.95) within group (order by took) as p95, max(took) as longest
from ruling join proposal on proposal.proposal_id = ruling.proposal_id,
    lateral (select greatest(extract(epoch from ruled_at - submitted_at), 0)::float8 as took) as spent
where ruling.ruled_at >= %s::timestamptz
group by 1, 2 order by 1, 2
"""
ONE = "select * from proposal where proposal_id = %s"
SIGNED = "select * from approval where proposal_id = %s order by decided_at, approval_id"
RULED = "select * from ruling where proposal_id = %s order by ruled_at, ruling_id"
COMMENTED = "select * from comment where proposal_id = %s order by written_at, comment_id"
AUDIT = "select audit_append(%s, 'refused', %s, %s, %s)"
NOW = "select now()"
LOCK = "select pg_advisory_xact_lock(hashtext('concord stewardship audit'))"
MASKED = "(restricted)"


def listed(settings: Settings, *, everything: bool = False, most: int = MOST) -> list[Row]:
    """The open proposals, oldest first, or all of them."""
    with connected(settings) as connection:
        rows = connection.execute(LIST, {"all": everything, "open": list(OPEN), "most": most}).fetchall()
    return [shown(row) for row in rows]


def waiting(settings: Settings) -> list[Row]:
    """How many are open: by system, state and the day on which they came, with the oldest of each."""
    with connected(settings) as connection:
        return connection.execute(OPEN_BY_DAY, [list(OPEN)]).fetchall()


def ruled_since(settings: Settings, begun: str) -> list[Row]:
    """How long proposals waited for their rulings, in seconds: by level and decision."""
    with connected(settings) as connection:
        return connection.execute(RULED_SINCE, [begun]).fetchall()


def show(settings: Settings, number: int) -> Row:
    """One proposal, what was signed, ruled and said of it, who must sign yet and what must be shown."""
    with connected(settings) as connection:
        proposal = _found(connection, number)
        signed = connection.execute(SIGNED, [number]).fetchall()
        ruled = connection.execute(RULED, [number]).fetchall()
        comments = connection.execute(COMMENTED, [number]).fetchall()
    waits = proposal["state"] in WAITING
    given = {name for approval in signed for name in approval["evidence"] or ()}
    return {
        **shown(proposal),
        "approvals": [
            {name: _plain(a[name]) for name in ("approver", "role", "verdict", "evidence", "decided_at")}
            for a in signed
        ],
        "rulings": [
            {
                name: _plain(r[name])
                for name in ("decision", "ruled_by", "reason", "effective_date", "expires_at", "ruled_at")
            }
            for r in ruled
        ],
        "comments": [{name: _plain(c[name]) for name in ("author", "body", "written_at")} for c in comments],
        "missing": [list(roles) for roles in left(proposal, signed)] if waits else [],
        "to_show": lacking(proposal["requires"] or (), given, None) if waits else [],
    }


def comment(settings: Settings, number: int, by: str, body: str) -> Row:
    """One person's remark on a proposal, open or not; it is also how somebody says that its end was looked at."""
    with connected(settings) as connection:
        about = _found(connection, number)
        row = {"kind": about["kind"], "entity_id": about["entity_id"], "proposal_id": number}
        _insert(connection, "comment", {**row, "author": by, "body": body})
    return show(settings, number)


def audited(settings: Settings, number: int | None = None) -> Row:
    """What was said and done, the newest first, of one proposal or of all; and whether the chain is whole."""
    reader = settings.model_copy(update={"audit": need(settings.steward, "CONCORD_STEWARD")})
    broken = ledger.verify(reader).broken
    entries = ledger.listed(reader, ledger.Asked(proposal=number, limit=MOST))
    return {"whole": broken is None, "broken_at": broken and broken.audit_id, "entries": entries}


def seen(proposal: Row) -> str:
    """What somebody who looks at a proposal, as shown, has seen: its state and how many have signed."""
    return f"{proposal['state']} {len(proposal['approvals'])}"


def say(settings: Settings, number: int, word: Word, seen: str | None = None) -> Row:
    """One person's word: its rows and its audit in one transaction; InvalidInput when it doesn't count.

    seen  what its author saw of the proposal (`seen`): where somebody has ruled or signed since, it doesn't count
    """
    with connected(settings) as connection:
        with connection.transaction():
            refusal = _say(connection, number, word, seen)
        if refusal is not None:
            raise InvalidInput(refusal.code, f"proposal {number}: {refusal.message}", refusal.next_step)
    return show(settings, number)


def _say(connection: Connection, number: int, word: Word, seen: str | None) -> Refusal | None:
    connection.execute(
        LOCK
    )  # one word at a time: two signatures at once must see each other, and hashes form a chain
    proposal = connection.execute(ONE, [number]).fetchone()
    if proposal is None:
        _refused(connection, word, _UNKNOWN, {"proposal_id": number})
        return _UNKNOWN
    now = connection.execute(NOW).fetchone()
    word = replace(word, at=_plain(now["now"]) if now else "")
    signed = connection.execute(SIGNED, [number]).fetchall()
    stale = seen is not None and seen != f"{proposal['state']} {len(signed)}"
    found = _CHANGED if stale else judge(proposal, signed, word)
    if isinstance(found, Refusal):
        _refused(connection, word, found, proposal)
        return found
    for table, row in found:
        _insert(connection, table, row)
    return None


_CHANGED = Refusal(
    "proposal.changed", "somebody has ruled or signed since it was looked at", "look at it again, then decide"
)
_UNKNOWN = Refusal("proposal.unknown", "there is no such proposal", "concord proposals list")


def _insert(connection: Connection, table: str, row: Mapping[str, Any]) -> None:
    values = [
        Jsonb(value) if name in ("value", "evidence") and value is not None else value
        for name, value in row.items()
    ]
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(table),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join([sql.Placeholder()] * len(row)),
    )
    connection.execute(statement, values)


def _refused(connection: Connection, word: Word, why: Refusal, about: Mapping[str, Any]) -> None:
    """A word that doesn't count leaves no row but this one. Never a value, only where it stands."""
    place = ("proposal_id", "system", "record", "row_id", "field", "position")
    detail = {
        **{name: about.get(name) for name in place},
        **{"role": word.role, "reason": word.reason, "decision": word.decision},
        **{"code": why.code, "why": why.message},
    }
    connection.execute(AUDIT, [word.by, about.get("kind"), about.get("entity_id"), Jsonb(detail)])


def _found(connection: Connection, number: int) -> Row:
    proposal = connection.execute(ONE, [number]).fetchone()
    if proposal is None:
        raise InvalidInput(_UNKNOWN.code, f"proposal {number}: {_UNKNOWN.message}", _UNKNOWN.next_step)
    return proposal


def shown(row: Row) -> Row:
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
def connected(settings: Settings) -> Iterator[Connection]:
    dsn = need(settings.steward, "CONCORD_STEWARD")
    try:
        with databases.connected(dsn, 5, autocommit=True, row_factory=dict_row) as connection:
            yield connection
    except psycopg.OperationalError as fault:
        what = f"the stewardship database does not answer: {type(fault).__name__}"
        raise EnvironmentFault("stewardship.unavailable", what, "concord status") from fault


def signatures_text(missing: Sequence[Sequence[str]]) -> str:
    """Who must sign yet, for people."""
    return "; ".join(" or ".join(roles) for roles in missing) or "nobody"
