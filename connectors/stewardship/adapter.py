"""Stewardship: an entity's proposals as rows of `proposal`, for people to rule on.

    sink.stewardship.<kind> --> concord_applied first, then proposals: new, changed, ended

What people write (reason, effective date, approvals, rulings, comments) is never touched (Invariant 9), and a proposal
that ended is marked, never deleted. Its author is the system that proposes: who typed it there, no system says. An
entity's id here is the master's. Never decides on a proposal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from connectors import statement
from connectors.fault import DOWN
from connectors.postgres import Cursor, store
from connectors.resolve import text, view_hash
from connectors.shaped import ShapedTarget
from connectors.sink import Applied, Batch, Outcome, Row, Superseded, View
from connectors.statement import listed, recordset
from streams.core.ruling import OPEN
from streams.errors import Unavailable

NAME = "stewardship"
COLUMNS = {
    "proposal_id": "bigint",
    "kind": "text",
    "entity_id": "text",
    "system": "text",
    "record": "text",
    "row_id": "text",
    "field": "text",
    "value": "jsonb",
    "position": "text",
    "author": "text",
    "state": "text",
    "expires_at": "date",
    "current_value": "jsonb",
    "owner": "text",
    "level": "text",
    "approvers": "text[]",
    "requires": "text[]",
    "way": "text",
    "rule": "text",
    "edited_by": "text",
    "edited_at": "timestamptz",
}
"""Every column the platform writes. What follows may change while a proposal is open."""
TOLD = ("owner", "level", "approvers", "requires", "way", "rule", "edited_by", "edited_at")
CHANGING = ("state", "expires_at", "current_value", *TOLD)

PROPOSE = f"""
insert into proposal as held ({listed(COLUMNS)})
select {listed(COLUMNS)} from {recordset(COLUMNS)} order by proposal_id
on conflict (proposal_id) do update set {", ".join(f"{c} = excluded.{c}" for c in CHANGING)}
where ({listed(CHANGING, "held.")}) is distinct from ({listed(CHANGING, "excluded.")})
"""  # noqa: S608  (the names come from the description above, values are parameters)

END = f"""
update proposal held set state = ended.state
from {recordset({"proposal_id": "bigint", "entity_id": "text", "state": "text"}, "ended")}
where held.proposal_id = ended.proposal_id and held.entity_id = ended.entity_id
  and held.state is distinct from ended.state
"""  # noqa: S608

# Once a ruling and reason: who wrote it past the tool reads there that nothing follows from it.
REFUSE = f"""
select audit_append(said.ruled_by, 'refused', said.kind, said.entity_id,
    jsonb_build_object('proposal_id', said.proposal_id, 'ruling_id', said.ruling_id, 'code', told.code))
from {recordset({"ruling_id": "bigint", "entity_id": "text", "code": "text"}, "told")}
join ruling said on said.ruling_id = told.ruling_id and said.entity_id = told.entity_id
where not exists (select from audit where kind = said.kind and entity_id = said.entity_id and action = 'refused'
    and detail @> jsonb_build_object('ruling_id', said.ruling_id, 'code', told.code))
"""  # noqa: S608

# Open, and in none of the view's lists: it ended so long ago that its end is shown no more.
LOSE = """
update proposal set state = 'voided'
where kind = %(kind)s and entity_id = any(%(ids)s) and state = any(%(open)s)
  and proposal_id <> all(%(known)s::bigint[])
"""


class StewardshipTarget(ShapedTarget):
    """See connectors.sink.Target for the contract."""

    def __init__(self, dsn: str) -> None:
        super().__init__(NAME, dsn, {"proposal": frozenset(COLUMNS)})

    def apply(self, batch: Batch) -> list[Outcome]:
        """One transaction: the mark of each newer view, then its proposals."""
        newer: set[tuple[str, str]] = set()
        with self.unaltered() as cursor:
            for kind, views in groupby(batch.views, lambda view: view.kind):
                newer |= {view.identity for view in _deliver(cursor, kind, list(views))}
            store(cursor, batch.offsets)
        return [Applied() if view.identity in newer else Superseded() for view in batch.views]


def _deliver(cursor: Cursor, kind: str, views: Sequence[View]) -> list[View]:
    rows = cursor.execute(statement.GUARD, {"kind": kind, "ids": [view.entity_id for view in views]})
    held = {entity_id: revision for entity_id, _, revision, _ in rows}
    newer = [view for view in views if view.revision > held.get(view.entity_id, -1)]
    if newer:
        _mark(cursor, kind, newer)
        _write(cursor, kind, newer)
    return newer


def _mark(cursor: Cursor, kind: str, views: Sequence[View]) -> None:
    """Invariant 8: this row comes first in the transaction, before any row it vouches for."""
    rows = [
        {
            "entity_id": view.entity_id,
            "local_id": view.entity_id,
            "revision": view.revision,
            "view_hash": view_hash(view),
        }
        for view in views
    ]
    cursor.execute(statement.APPLIED, {"kind": kind, "rows": text(rows)})
    if cursor.rowcount != len(rows):
        raise Unavailable(DOWN, "another process created the same entity; the batch is tried again")


def _write(cursor: Cursor, kind: str, views: Sequence[View]) -> None:
    proposals = [row for view in views for row in proposal_rows(view)]
    ended = [row for view in views for row in ended_rows(view)]
    cursor.execute(PROPOSE, {"rows": text(proposals)})
    cursor.execute(END, {"rows": text(ended)})
    cursor.execute(REFUSE, {"rows": text([row for view in views for row in refused_rows(view)])})
    known = [row["proposal_id"] for row in (*proposals, *ended)]
    about = {"kind": kind, "ids": [view.entity_id for view in views]}
    cursor.execute(LOSE, {**about, "open": list(OPEN), "known": known})


def proposal_rows(view: View) -> Iterator[Row]:
    """The open proposals of a view as rows."""
    for task in view.content["proposals"]:
        yield {
            "proposal_id": int(task["id"]),
            "kind": view.kind,
            "entity_id": view.entity_id,
            **{name: task[name] for name in ("system", "record", "row_id", "field", "position", "state")},
            **{name: task[name] for name in TOLD},
            "author": task["system"],
            "value": _document(task["value"]),
            "current_value": _document(task["current"]),
            "expires_at": task["expires"],
        }


def ended_rows(view: View) -> Iterator[Row]:
    """Those that ended lately, and how."""
    for ended in view.content["ended"]:
        yield {"proposal_id": int(ended["id"]), "entity_id": view.entity_id, "state": ended["state"]}


def refused_rows(view: View) -> Iterator[Row]:
    """Rulings from which nothing follows, and why."""
    for refused in view.content["refused"]:
        yield {"ruling_id": int(refused["id"]), "entity_id": view.entity_id, "code": refused["code"]}


def _document(value: str | None) -> Any:
    return json.loads(value) if value is not None else None


def target(dsn: str) -> StewardshipTarget:
    """The adapter's target."""
    return StewardshipTarget(dsn)
