"""Systems in memory, for the sandbox: they take their views as the real adapters do, and people edit their rows.

    view --connectors.<system>.request--> rows, concord_applied first --connectors.envelope--> records of cdc.<system>

The request builders and the table descriptions are the real ones; PostgreSQL and Debezium are not, and of the adapters'
SQL for the rows below a root one plain form stands here: a wanted row is written over the one it is the same as, else
begun; one that isn't wanted is ended. So a location that goes doesn't end the listings there before its providers'
views do, no constraint of the target is kept, and every network the platform names is there, where the real directory
makes a view wait for one. Never touches a running system.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from connectors.described import DESCRIBED
from connectors.envelope import Change, Message, Source
from connectors.resolve import view_hash, wanted
from connectors.sink import Request, View
from connectors.stewardship import adapter as stewardship
from connectors.stewardship.verdict import Refusal, Word, judge
from connectors.table import Children, Root, System
from schemas.catalog import load_mapping
from streams.core.entity import STEWARDSHIP
from streams.errors import InvalidInput

TARGETS: Mapping[str, System] = DESCRIBED
PERIODS: Mapping[str, tuple[str, str]] = {
    "dir_listing": ("listed_from", "listed_to"),
    "bil_affiliation": ("eff_dt", "end_dt"),
}
"""The child tables whose rows the platform begins and ends; of others it only writes over those that are there."""
EPOCH = date(1970, 1, 1)

Cells = dict[str, Any]


class Target:
    """One system that receives views, with its own ids and its own log."""

    def __init__(self, name: str) -> None:
        self.system = TARGETS[name]
        self.source = Source(name)
        self.rows: dict[tuple[str, int], Cells] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], int] = {}
        self._networks: dict[str, int] = {}
        self.triggers: dict[str, Cells] = {}
        """table -> columns that a trigger there writes over every write"""

    def apply(self, kind: str, entity_id: str, content: Cells) -> list[Message]:
        """One transaction of its adapter: what it wrote, as captured; nothing when it holds this revision already, or
        when the view waits for what it names."""
        view = View(kind, entity_id, content["revision"], content)
        root, request = self.system.roots[kind], self.system.build(view)
        there = self._there(request)
        if self._held.get(view.identity, -1) >= view.revision or request.needs - there.keys():
            return []
        self._held[view.identity] = view.revision
        local_id = self._ids.get(view.identity) or self._known(root, entity_id, content)
        if local_id is None:
            if view.withdrawn:
                return []
            local_id = self._free(root.table)
        self._ids[view.identity] = local_id
        changes = [_mark(view, str(local_id))]
        if request.root is not None:
            changes += self._write(root.table, root.key, local_id, request.root)
        changes += self._below(request, local_id, there)
        for other in self._beside(root, view, local_id):
            changes += self._below(request, other, there)
        return self.source.transaction(changes)

    def _beside(self, root: Root, view: View, local_id: int) -> list[int]:
        """As connectors/relational.py: rows of a withdrawn entity beside the one it is known by."""
        rows = self._of(root.table).items() if view.withdrawn else ()
        return [i for i, row in rows if row.get(root.reference) == view.entity_id and i != local_id]

    def edit(self, table: str, row: Cells, *, delete: bool = False) -> Change:
        """What somebody there does to a row: named by its own id, or by its cross reference to the master."""
        root = next((r for r in self.system.roots.values() if r.table == table), None)
        key = root.key if root is not None else load_mapping(self.system.name).tables[table].row
        named = row.get(key)
        if named is None and root is not None:
            named = self._known(root, str(row.get(root.reference)), row)
        if named is None:
            named = self._free(table)
        before = self.rows.get((table, named))
        after = {**(before or {}), **row, key: named}
        self.rows[table, named] = after
        if delete:
            del self.rows[table, named]
        return Change(table, after, "d" if delete else "u" if before else "c")

    def held(self, name: str) -> Cells:
        """The root row it has of `kind/id`, or the row `table/id`; empty when it has none."""
        kind, _, row_id = name.partition("/")
        if kind not in self.system.roots:
            return self.rows.get((kind, int(row_id)), {})
        root = self.system.roots[kind]
        found = [row for (table, _), row in self.rows.items() if table == root.table]
        return next((row for row in found if row.get(root.reference) == row_id), {})

    def everything(self) -> list[Change]:
        """Every row there is, as a snapshot reads them: what its adapter applied first."""
        applied = [
            Change(
                "concord_applied",
                {"kind": kind, "entity_id": name, "local_id": str(self._ids[kind, name]), "revision": revision,
                 "view_hash": "", "applied_at": None},
            )
            for (kind, name), revision in self._held.items()
            if (kind, name) in self._ids
        ]  # fmt: skip
        return applied + [Change(table, row) for (table, _), row in self.rows.items()]

    def _write(self, table: str, key: str, row_id: int, columns: Cells) -> list[Change]:
        """A row, unless it would not change: PostgreSQL would not write it either."""
        before = self.rows.get((table, row_id))
        after = {**(before or {}), **columns, key: row_id}
        if after == before:
            return []
        after |= self.triggers.get(table, {})
        self.rows[table, row_id] = after
        return [Change(table, after, "u" if before else "c")]

    def _there(self, request: Request) -> dict[str, int]:
        """Its own id of every reference it has; of networks it has every one."""
        found: dict[str, int] = {}
        for reference in request.needs:
            kind, _, name = reference.partition("/")
            if kind == "network":
                found[reference] = self._networks.setdefault(name, len(self._networks) + 1)
            elif (local_id := self._known(self.system.roots[kind], name, {})) is not None:
                found[reference] = local_id
        return found

    def _below(self, request: Request, local_id: int, there: Mapping[str, int]) -> list[Change]:
        """The rows below the root row: ended, written over, begun."""
        below = self.system.children.get(request.view.kind)
        if below is None or not below.fields:
            return []
        key = load_mapping(self.system.name).tables[below.table].row
        held = {row_id: row for row_id, row in self._of(below.table).items() if row[below.parent] == local_id}
        rows = wanted(below, [request], {request.view.entity_id: local_id}, there)
        matches = [(row, self._same(below, held, row)) for row in rows]
        kept = {row_id for _, found in matches for row_id in found}
        changes = [*self._end(below, key, {i: row for i, row in held.items() if i not in kept})]
        for row, found in matches:
            changes += self._put(below, key, row, found)
        return changes

    def _same(self, below: Children, held: Mapping[int, Cells], row: Cells) -> list[int]:
        """The held rows that are the wanted one; an ended listing stays ended, a billing period may be reopened."""
        ends = PERIODS.get(below.table)
        return [
            row_id
            for row_id, had in held.items()
            if all(had.get(name) == row[name] for name in below.key)
            and (ends is None or ends[1] in below.fields or self._is_open(had.get(ends[1])))
        ]

    def _put(self, below: Children, key: str, row: Cells, found: list[int]) -> Iterator[Change]:
        begins, ends = PERIODS.get(below.table, ("", ""))
        if begins and not found:
            found = [self._free(below.table)]
            row = {**row, begins: row.get(begins) or self.today}
        for row_id in found:
            had = self.rows.get((below.table, row_id), {})
            columns = {**row, **{name: had[name] for name in below.once if had.get(name) is not None}}
            if begins:
                columns |= {begins: row.get(begins) or had.get(begins), ends: row.get(ends)}
            yield from self._write(below.table, key, row_id, columns)

    def _end(self, below: Children, key: str, held: Mapping[int, Cells]) -> Iterator[Change]:
        if below.table not in PERIODS:
            return
        begins, ends = PERIODS[below.table]
        for row_id, row in held.items():
            if self._is_open(row.get(ends)):
                yield from self._write(
                    below.table, key, row_id, {ends: max(self.today, row.get(begins) or self.today)}
                )

    def _is_open(self, end: str | None) -> bool:
        return end is None or end > self.today

    @property
    def today(self) -> str:
        """The date of its commits."""
        return (EPOCH + timedelta(days=self.source.day)).isoformat()

    def _known(self, root: Root, entity_id: str, content: Mapping[str, Any]) -> int | None:
        """By cross reference, else by NPI while the row is nobody's: as connectors/statement.py looks."""
        by_npi = None
        for local_id, row in self._of(root.table).items():
            if row.get(root.reference) == entity_id:
                return local_id
            if root.npi and not row.get(root.reference) and row.get(root.npi) == content.get("npi"):
                by_npi = local_id
        return by_npi

    def _of(self, table: str) -> dict[int, Cells]:
        return {row_id: row for (name, row_id), row in self.rows.items() if name == table}

    def _free(self, table: str) -> int:
        return 1 + max(self._of(table), default=0)


def _mark(view: View, local_id: str) -> Change:
    row: dict[str, Any] = {"kind": view.kind, "entity_id": view.entity_id, "local_id": local_id}
    row |= {"revision": view.revision, "view_hash": view_hash(view), "applied_at": None}
    return Change("concord_applied", row)


class Desk:
    """The stewardship database: proposals come to it as its adapter writes them, people rule on them."""

    def __init__(self) -> None:
        self.source = Source(STEWARDSHIP)
        self.triggers: dict[str, dict[str, Any]] = {}
        self._rows: dict[str, dict[int, dict[str, Any]]] = {
            "proposal": {},
            "approval": {},
            "ruling": {},
            "comment": {},
        }
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
        found = judge(proposal, signed, word)
        if isinstance(found, Refusal):
            raise ValueError(f"{found.code}: {found.message}")
        return self.source.transaction([self._write(table, row) for table, row in found])

    def edit(self, table: str, row: dict[str, Any], *, delete: bool = False) -> Change:
        """A row that somebody writes there without asking whether it may count; a proposal is named by its subject."""
        named = row.get("proposal_id")
        row = {**row, "proposal_id": int(self.number(named)) if isinstance(named, str) else named}
        return self._write(table, row)

    def number(self, subject: str) -> str:
        """The number of the newest proposal of `system/record/row/field`; what is none is a number already."""
        numbers = {_subject(p): number for number, p in self._rows["proposal"].items()}
        return str(numbers.get(subject, subject))

    def held(self, name: str) -> dict[str, Any]:
        """What became of the proposals of `kind/id`: subject -> state."""
        mine = [p for p in self._rows["proposal"].values() if f"{p['kind']}/{p['entity_id']}" == name]
        return {_subject(p): p["state"] for p in mine}

    def everything(self) -> list[Change]:
        """Every row there is, as a snapshot reads them; concord_applied names no other id than the entity's own."""
        applied = [
            Change(
                "concord_applied",
                {"kind": kind, "entity_id": name, "local_id": name, "revision": revision, "view_hash": "",
                 "applied_at": None},
            )
            for (kind, name), revision in self._revisions.items()
        ]  # fmt: skip
        return applied + [Change(table, row) for table, rows in self._rows.items() for row in rows.values()]

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
