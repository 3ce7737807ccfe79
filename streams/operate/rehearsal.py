"""Systems in memory, for the sandbox: they take their views as the real adapters do, and people edit their rows.

    view --connectors.<system>.request--> rows, concord_applied first --connectors.envelope--> records of cdc.<system>

The request builders and the table descriptions are the real ones; PostgreSQL and Debezium are not. Only root rows are
kept: what stands below them needs the target's own SQL. Never touches a running system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.billing.adapter import BILLING
from connectors.directory.adapter import DIRECTORY
from connectors.enrollment.adapter import ENROLLMENT
from connectors.envelope import Change, Message, Source
from connectors.resolve import view_hash
from connectors.sink import View
from connectors.stewardship import adapter as stewardship
from connectors.stewardship.verdict import Refusal, Word, judge
from connectors.table import Root, System
from streams.core.entity import STEWARDSHIP
from streams.errors import InvalidInput

TARGETS: Mapping[str, System] = {s.name: s for s in (DIRECTORY, ENROLLMENT, BILLING)}


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
        changes = [_mark(view, str(local_id))]
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


def _mark(view: View, local_id: str) -> Change:
    row: dict[str, Any] = {"kind": view.kind, "entity_id": view.entity_id, "local_id": local_id}
    row |= {"revision": view.revision, "view_hash": view_hash(view), "applied_at": None}
    return Change("concord_applied", row)


class Desk:
    """The stewardship database: proposals come to it as its adapter writes them, people rule on them."""

    def __init__(self) -> None:
        self.source = Source(STEWARDSHIP)
        self.triggers: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, dict[int, dict[str, Any]]] = {"proposal": {}, "approval": {}, "ruling": {}}
        self._revisions: dict[tuple[str, str], int] = {}

    def apply(self, kind: str, entity_id: str, content: dict[str, Any]) -> list[Message]:
        """One transaction of its adapter; nothing when it holds this revision already."""
        view = View(kind, entity_id, content["revision"], content)
        if self._revisions.get(view.identity, -1) >= view.revision:
            return []
        self._revisions[view.identity] = view.revision
        known = self._rows["proposal"]
        rows = [*stewardship.proposal_rows(view)]
        rows += [
            known[r["proposal_id"]] | r for r in stewardship.ended_rows(view) if r["proposal_id"] in known
        ]
        changes = [Change("proposal", row, "c") for row in rows if known.get(row["proposal_id"]) != row]
        known |= {row["proposal_id"]: row for row in rows}
        return self.source.transaction([_mark(view, entity_id), *changes])

    def rule(self, name: str, subject: str, word: Word) -> list[Message]:
        """Somebody's word on the newest proposal of `system/record/row/field`; ValueError when it doesn't count."""
        about = {
            "/".join((p["kind"], p["entity_id"])) + " " + _subject(p): p
            for p in self._rows["proposal"].values()
        }
        proposal = about[f"{name} {subject}"]
        number = proposal["proposal_id"]
        signed = [a for a in self._rows["approval"].values() if a["proposal_id"] == number]
        found = judge({"author": None, **proposal}, signed, word)
        if isinstance(found, Refusal):
            raise ValueError(f"{found.code}: {found.message}")
        return self.source.transaction([self._write(table, row) for table, row in found])

    def edit(self, table: str, row: dict[str, Any], *, delete: bool = False) -> Change:
        """A row that somebody writes there without asking whether it may count; a proposal is named by its subject."""
        numbers = {_subject(p): number for number, p in self._rows["proposal"].items()}
        row = {**row, "proposal_id": numbers.get(row.get("proposal_id", ""), row.get("proposal_id"))}
        return self._write(table, row)

    def held(self, name: str) -> dict[str, Any]:
        """What became of the proposals of `kind/id`: subject -> state."""
        mine = [p for p in self._rows["proposal"].values() if f"{p['kind']}/{p['entity_id']}" == name]
        return {_subject(p): p["state"] for p in mine}

    def _write(self, table: str, row: dict[str, Any]) -> Change:
        number = row.get(f"{table}_id") or len(self._rows[table]) + 1
        self._rows[table][number] = after = {**row, f"{table}_id": number}
        return Change(table, after, "c")


def _subject(proposal: Mapping[str, Any]) -> str:
    return "/".join(str(proposal[name]) for name in ("system", "record", "row_id", "field"))


def target(name: str) -> Target | Desk:
    """The system of that name, empty; InvalidInput lists those there are."""
    if name == STEWARDSHIP:
        return Desk()
    if name not in TARGETS:
        raise InvalidInput(
            "scenario.system", f"no target is called {name!r}", f"use one of {', '.join(TARGETS)}"
        )
    return Target(name)
