"""Credentialing: approved changes, asked of the master and made only while it still holds the value they are bound to.

    sink.credentialing.request --> concord_request (once), then one column of one row: compare and set

The one place where the platform writes into the master. Its rows carry no concord_applied: the change must come back as
the owner's own claim, else nobody would believe it. A miss changes nothing, is remembered and told on topic `receipt`.
Which column a field is in says the mapping alone. Never creates or deletes a row, and never decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from psycopg import sql

from connectors.asked import missed
from connectors.postgres import Cursor, store
from connectors.receipt import Receipts, refused
from connectors.shape import Written
from connectors.shaped import ShapedTarget
from connectors.sink import Applied, Batch, Failed, Outcome, Row, View
from schemas.catalog import load_mapping

NAME = "credentialing"
APPLIED, MISSED = "applied", "missed"

ASKED: Written = {
    "provider": frozenset(
        "first_name middle_name last_name name_suffix degree sex caqh_id languages".split()
    ),
    "organization": frozenset("dba tin tin_type org_type parent_id delegated_flag".split()),
    "practice_location": frozenset(
        "org_id name line1 line2 city state zip phone fax hours accessibility telehealth".split()
    ),
    "license": frozenset("state number expires".split()),
    "affiliation": frozenset({"effective_to"}),
}
"""The columns that others may propose a value of: capture.sql grants the same (Invariant 9)."""

TAKE = """
insert into concord_request (request_id, kind, entity_id, field, outcome)
values (%s, %s, %s, %s, 'taken') on conflict do nothing
"""
SETTLE = "update concord_request set outcome = %s, at = clock_timestamp() where request_id = %s"

TYPE = """
select atttypid::regtype::text from pg_attribute where attrelid = %s::regclass and attname = %s
"""


@dataclass(frozen=True, slots=True)
class Column:
    """Where the master keeps a canonical field."""

    table: str
    name: str
    entity: str
    row: str


class RequestTarget(ShapedTarget):
    """See connectors.sink.Target for the contract; a request that misses has its receipt before the commit."""

    def __init__(self, dsn: str, receipts: Receipts) -> None:
        super().__init__(NAME, dsn, ASKED, inserts=False)
        self._receipts = receipts

    def apply(self, batch: Batch) -> list[Outcome]:
        """One transaction. A request is made once, whatever is sent again; what is older asks for nothing new."""
        with self.unaltered() as cursor:
            outcomes = [_settle(cursor, view) for view in batch.views]
            failed = [(v, o) for v, o in zip(batch.views, outcomes, strict=True) if isinstance(o, Failed)]
            self._receipts.write(refused(NAME, view, outcome) for view, outcome in failed)
            store(cursor, batch.offsets)
        return outcomes


def _settle(cursor: Cursor, view: View) -> Outcome:
    left = [request for request in view.content["requests"] if _make(cursor, view, request) == MISSED]
    return missed(left) if left else Applied()


def _make(cursor: Cursor, view: View, request: Row) -> str:
    """What became of it now; empty: it was settled before."""
    entity_id = view.entity_id
    cursor.execute(TAKE, (request["id"], view.content["kind"], entity_id, request["field"]))
    if not cursor.rowcount:
        return ""
    column = column_of(request["record"], request["field"])
    made = column is not None and _set(cursor, column, entity_id, request)
    outcome = APPLIED if made else MISSED
    cursor.execute(SETTLE, (outcome, request["id"]))
    return outcome


def _set(cursor: Cursor, column: Column, entity_id: str, request: Row) -> bool:
    statement = sql.SQL(
        "update {table} set {name} = %(value)s where {entity} = %(entity)s and {row} = %(row)s"
        " and {name} is not distinct from %(expected)s"
    ).format(
        table=sql.Identifier(column.table),
        name=sql.Identifier(column.name),
        entity=sql.Identifier(column.entity),
        row=sql.Identifier(column.row),
    )
    kind = _type(cursor, column)
    value, expected = (_parameter(request[name], kind) for name in ("value", "expected"))
    about = {"entity": entity_id, "row": request["row_id"], "value": value, "expected": expected}
    return cursor.execute(statement, about).rowcount == 1


def _type(cursor: Cursor, column: Column) -> str:
    found = cursor.execute(TYPE, (column.table, column.name)).fetchone()
    return str(found[0]) if found else ""


def _parameter(document: str | None, kind: str) -> Any:
    """A value of the topic as its column takes it: a document stays JSON, a list is an array, the rest a text."""
    return document if document is None or kind in ("json", "jsonb") else json.loads(document)


@cache
def column_of(record: str, field: str) -> Column | None:
    """The master's column of a canonical field; None: it has none, so nothing is written."""
    for table in load_mapping(NAME).tables.values():
        for name in table.columns:
            if table.record == record and table.target(name) == (record, field):
                return Column(table.name, name, table.entity, table.row)
    return None


def target(dsn: str, receipts: Receipts) -> RequestTarget:
    """The adapter's target."""
    return RequestTarget(dsn, receipts)
