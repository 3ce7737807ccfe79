"""A PostgreSQL system as a target: one transaction a batch, a constant number of statements.

    Batch --guard--> newer --build--> requests --locate--> local ids --> concord_applied, roots, children
                        \\--> superseded     \\--> deferred (concord_pending)         ... offsets, commit

Implements connectors.sink.Target for any `System`. concord_applied is written first: from that row on, rows
of the entity with the same transaction id are the platform's own (Invariant 8). Never writes a column the
system owns (Invariant 9) and never deletes a row of the system's own tables.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from connectors import statement
from connectors.fault import DOWN
from connectors.postgres import Cursor, store
from connectors.resolve import Held, applied_row, freeze, matched, ready_or_waiting, text, thaw, wanted
from connectors.shaped import ShapedTarget
from connectors.sink import Applied, Batch, Deferred, Outcome, Request, Row, Superseded, View
from connectors.table import Children, System
from streams.errors import Unavailable

Outcomes: TypeAlias = dict[tuple[str, str], Outcome]

NOWHERE = ""  # what a withdrawn view waits for when the target never had the entity: nothing, it only guards


class RelationalTarget(ShapedTarget):
    """See connectors.sink.Target for the contract."""

    def __init__(self, system: System, dsn: str) -> None:
        super().__init__(system.name, dsn, system.written())
        self._system = system

    def apply(self, batch: Batch) -> list[Outcome]:
        outcomes: Outcomes = {}
        with self.unaltered() as cursor:
            for kind, views in groupby(batch.views, lambda view: view.kind):
                outcomes |= Stage(cursor, self._system, kind).deliver(list(views))
            _discard(cursor, batch.discard)
            store(cursor, batch.offsets)
        return [outcomes[view.identity] for view in batch.views]

    def release(self) -> list[View]:
        with self.unaltered() as cursor:
            awaited = [reference for (reference,) in cursor.execute(statement.AWAITED)]
            there = find(cursor, self._system, awaited)
            if not there:
                return []
            rows = cursor.execute(statement.RELEASE, {"there": list(there)}).fetchall()
        return [thaw(*row) for row in rows]


class Stage:
    """The views of one kind within a batch's transaction, in the order of the docstring above."""

    def __init__(self, cursor: Cursor, system: System, kind: str) -> None:
        self._cursor = cursor
        self._system = system
        self._kind = kind
        self._root = system.roots[kind]

    def deliver(self, views: Sequence[View]) -> Outcomes:
        held = self._guard(views)
        outcomes: Outcomes = {view.identity: Superseded() for view in views}
        requests = [self._system.build(view) for view in views if held[view.entity_id].admits(view)]
        there = find(self._cursor, self._system, {ref for request in requests for ref in request.needs})
        ready, waiting = ready_or_waiting(requests, there)
        ids = self._local_ids(ready, held)
        outcomes |= {request.view.identity: Applied() for request in ready}
        outcomes |= {request.view.identity: Deferred(reference) for request, reference in waiting}
        self._write([request for request in ready if request.view.entity_id in ids], ids, there)
        self._defer(waiting + [(request, NOWHERE) for request in ready if request.view.entity_id not in ids])
        self._cursor.execute(statement.SETTLE, {"kind": self._kind, "ids": list(held)})
        return outcomes

    def _guard(self, views: Sequence[View]) -> dict[str, Held]:
        held = {view.entity_id: Held() for view in views}
        rows = self._cursor.execute(statement.GUARD, {"kind": self._kind, "ids": list(held)})
        for entity_id, local_id, revision, deferred in rows:
            known = held[entity_id]
            held[entity_id] = (
                Held(local_id, revision, known.deferred)
                if deferred is None
                else Held(known.local_id, known.revision, deferred)
            )
        return held

    def _local_ids(self, requests: Sequence[Request], held: Mapping[str, Held]) -> dict[str, int]:
        """Applied before, cross reference, NPI, else a new id; a withdrawn entity gets no new one."""
        ids = {key: int(known.local_id) for key, known in held.items() if known.local_id}
        strangers = [request for request in requests if request.view.entity_id not in ids]
        if strangers:
            ids |= self._located(strangers)
            ids |= self._allocated(
                [r.view.entity_id for r in strangers if r.view.entity_id not in ids and not r.view.withdrawn]
            )
        return ids

    def _located(self, requests: Sequence[Request]) -> dict[str, int]:
        npis = {request.view.entity_id: npi for request in requests if (npi := self._npi(request))}
        refs = [request.view.entity_id for request in requests]
        parameters = {"kind": self._kind, "refs": refs, "npis": list(npis.values())}
        rows = self._cursor.execute(statement.locate(self._root), parameters).fetchall()
        return matched([request.view.entity_id for request in requests], npis, rows)

    def _npi(self, request: Request) -> str | None:
        """Also of a withdrawn view, which has little else: what it withdraws may be a row we never wrote."""
        return request.view.content.get("npi") if self._root.npi else None

    def _allocated(self, keys: Sequence[str]) -> dict[str, int]:
        if not keys:
            return {}
        rows = self._cursor.execute(statement.allocate(self._root), {"count": len(keys)})
        return {key: local_id for key, (local_id,) in zip(keys, rows, strict=True)}

    def _write(self, requests: Sequence[Request], ids: Mapping[str, int], there: Mapping[str, int]) -> None:
        if not requests:
            return
        self._applied([applied_row(request.view, ids) for request in requests])
        roots = [{self._root.key: ids[r.view.entity_id], **r.root} for r in requests if r.root is not None]
        if roots:
            self._cursor.execute(statement.upsert(self._root), {"rows": text(roots)})
        if self._kind in self._system.children:
            self._children(self._system.children[self._kind], requests, ids, there)

    def _applied(self, rows: Sequence[Row]) -> None:
        """Invariant 8: this row comes first in the transaction, before any row it vouches for."""
        self._cursor.execute(statement.APPLIED, {"kind": self._kind, "rows": text(rows)})
        if self._cursor.rowcount != len(rows):
            raise Unavailable(DOWN, "another process created the same entity; the batch is tried again")

    def _children(
        self,
        below: Children,
        requests: Sequence[Request],
        ids: Mapping[str, int],
        there: Mapping[str, int],
    ) -> None:
        roots = [{"local_id": ids[r.view.entity_id], "withdrawn": r.view.withdrawn} for r in requests]
        roots += self._beside([r.view.entity_id for r in requests if r.view.withdrawn], set(ids.values()))
        rows = wanted(below, requests, ids, there)
        if below.key:
            self._cursor.execute(statement.lock(below), {"ids": [root["local_id"] for root in roots]})
        for sql in below.statements:
            self._cursor.execute(sql, {"roots": text(roots), "rows": text(rows)})

    def _beside(self, withdrawn: Sequence[str], known: Container[int]) -> list[Row]:
        """Rows that somebody made of a withdrawn entity beside the one it is known by: what stands below ends, too."""
        if not withdrawn:
            return []
        rows = self._cursor.execute(statement.refer(self._root), {"refs": list(withdrawn)}).fetchall()
        return [{"local_id": row_id, "withdrawn": True} for (row_id,) in rows if row_id not in known]

    def _defer(self, waiting: Sequence[tuple[Request, str]]) -> None:
        if waiting:
            rows = [freeze(request.view, reference) for request, reference in waiting]
            self._cursor.execute(statement.DEFER, {"kind": self._kind, "rows": text(rows)})


def find(cursor: Cursor, system: System, references: Iterable[str]) -> dict[str, int]:
    """The target's own id of every reference that is there: one statement per kind of reference."""
    by_kind: dict[str, list[Row]] = {}
    for reference in references:
        kind, _, name = reference.partition("/")
        names = json.loads(name) if name.startswith("[") else [name]
        by_kind.setdefault(kind, []).append({"ref": reference, "names": names})
    found: dict[str, int] = {}
    for kind, rows in by_kind.items():
        found.update(cursor.execute(system.lookups[kind], {"rows": text(rows)}).fetchall())
    return found


def _discard(cursor: Cursor, views: Sequence[View]) -> None:
    rows = [{"kind": v.kind, "entity_id": v.entity_id, "revision": v.revision} for v in views]
    if rows:
        cursor.execute(statement.DISCARD, {"rows": text(rows)})
