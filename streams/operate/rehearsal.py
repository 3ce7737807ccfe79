"""Systems in memory, for the sandbox: they take their views as the real adapters do, and people edit their rows.

    view --connectors.<system>.request--> rows, concord_applied first --connectors.envelope--> records of cdc.<system>

The request builders and the table descriptions are the real ones; PostgreSQL and Debezium are not. Only root rows are
kept: what stands below them needs the target's own SQL. Never touches a running system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.described import DESCRIBED
from connectors.envelope import Change, Message, Source
from connectors.resolve import view_hash
from connectors.sink import View
from connectors.table import Root, System
from streams.errors import InvalidInput

TARGETS: Mapping[str, System] = DESCRIBED


class Target:
    """One system that receives views, with its own ids and its own log."""

    def __init__(self, name: str) -> None:
        self.system = TARGETS[name]
        self.source = Source(name)
        self.rows: dict[tuple[str, int], dict[str, Any]] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], int] = {}
        self.triggers: dict[str, dict[str, Any]] = {}
        """table -> columns that a trigger there writes over every write"""

    def apply(self, kind: str, entity_id: str, content: dict[str, Any]) -> list[Message]:
        """One transaction of its adapter: what it wrote, as captured; nothing when it holds this revision already."""
        view = View(kind, entity_id, content["revision"], content)
        if self._held.get(view.identity, -1) >= view.revision:
            return []
        self._held[view.identity] = view.revision
        root, request = self.system.roots[kind], self.system.build(view)
        local_id = self._ids.get(view.identity) or self._known(root, entity_id, content)
        if local_id is None:
            if view.withdrawn:
                return []
            local_id = self._ids[view.identity] = self._free(root)
        changes = [self._mark(view, local_id)]
        if request.root is not None:
            changes += self._write(root, local_id, request.root)
        return self.source.transaction(changes)

    def edit(self, table: str, row: dict[str, Any], *, delete: bool = False) -> Change:
        """What somebody there does to a row: named by its own id, or by its cross reference to the master."""
        root = next((r for r in self.system.roots.values() if r.table == table), None)
        if root is None:
            return Change(table, row, "d" if delete else "u")
        named = row.get(root.key) or self._known(root, str(row.get(root.reference)), row) or self._free(root)
        before = self.rows.get((table, named))
        after = {**(before or {}), **row, root.key: named}
        self.rows[table, named] = after
        if delete:
            del self.rows[table, named]
        return Change(table, after, "d" if delete else "u" if before else "c")

    def held(self, name: str) -> dict[str, Any]:
        """The root row it has of `kind/id`; empty when it has none."""
        kind, _, entity_id = name.partition("/")
        root = self.system.roots[kind]
        found = [row for (table, _), row in self.rows.items() if table == root.table]
        return next((row for row in found if row.get(root.reference) == entity_id), {})

    def _mark(self, view: View, local_id: int) -> Change:
        row: dict[str, Any] = {"kind": view.kind, "entity_id": view.entity_id, "local_id": str(local_id)}
        row |= {"revision": view.revision, "view_hash": view_hash(view), "applied_at": None}
        return Change("concord_applied", row)

    def _write(self, root: Root, local_id: int, columns: dict[str, Any]) -> list[Change]:
        """The root row, unless it would not change: PostgreSQL would not write it either."""
        before = self.rows.get((root.table, local_id))
        after = {**(before or {}), **columns, root.key: local_id}
        if after == before:
            return []
        after |= self.triggers.get(root.table, {})
        self.rows[root.table, local_id] = after
        return [Change(root.table, after, "u" if before else "c")]

    def _known(self, root: Root, entity_id: str, content: Mapping[str, Any]) -> int | None:
        """By cross reference, else by NPI while the row is nobody's: as connectors/statement.py looks."""
        by_npi = None
        for (table, local_id), row in self.rows.items():
            if table != root.table:
                continue
            if row.get(root.reference) == entity_id:
                return local_id
            if root.npi and not row.get(root.reference) and row.get(root.npi) == content.get("npi"):
                by_npi = local_id
        return by_npi

    def _free(self, root: Root) -> int:
        return 1 + max((local_id for table, local_id in self.rows if table == root.table), default=0)


def target(name: str) -> Target:
    """The system of that name, empty; InvalidInput lists those there are."""
    if name not in TARGETS:
        raise InvalidInput(
            "scenario.system", f"no target is called {name!r}", f"use one of {', '.join(TARGETS)}"
        )
    return Target(name)
