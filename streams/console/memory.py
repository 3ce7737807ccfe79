"""The console's ports over invented data in memory: for its tests, and to try it without a platform.

Judges as the platform does: proposals by the stewardship's own verdict, findings by the same index and checks,
explanations by operate. What it does not do is write to anything.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import fastavro

from connectors.stewardship.verdict import Refusal, Word, judge, left
from schemas import registry
from schemas.authority import load_authority
from streams.console import sample
from streams.console.port import MOST_PROPOSALS, Desk, Entry, Look
from streams.core.ruling import OPEN, WAITING, lacking
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import proposals, trace
from streams.operate.explain import Explanation, explanation
from streams.operate.find import Located, Unknown, names
from streams.operate.findings import HEAD
from streams.operate.quarantine.ask import Listing, NotThere, Shown
from streams.operate.quarantine.chosen import Asked
from streams.operate.quarantine.handle import Handled
from streams.operate.quarantine.register import DISCARDED, REPLAYED, Item
from streams.operate.reveal import Place, value_of
from streams.operate.trace import Trace
from streams.operate.worklist import handling
from streams.operate.worklist.case import Case, Handling, Page, Progress, Sums, Wanted, key_of
from streams.operate.worklist.handling import Said
from streams.operate.worklist.index import Index


def desk(findings: int = 120, audit: Audit | None = None) -> Desk:
    """The sample's providers, and so many findings more."""
    made = sample.sample()
    more = sample.many(made.findings, findings, date.today())
    return Desk(
        Freshness(), Worklist([*made.findings, *more]), Providers(made.entities, made.as_of), Quarantine(),
        Proposals(made.tasks), audit or Audit(),
    )  # fmt: skip


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Freshness:
    """One look, at any moment."""

    def __init__(self) -> None:
        self.look = Look(1, time.time(), sample.status(), sample.parity(), handoffs=sample.handed())

    def newest(self) -> Look:
        return self.look


class Worklist:
    """The index of the platform over these findings."""

    def __init__(self, findings: Iterable[Mapping[str, Any]]) -> None:
        self.index = Index()
        self.index.take((key_of(found), record(found)) for found in findings)
        self.index.settle()
        self.index.progress = Progress(0, 0, True, "", time.time())
        self._number = 0

    def page(self, wanted: Wanted) -> Page:
        return self.index.page(wanted, date.today())

    def one(self, number: str) -> Case | None:
        return self.index.one(number)

    def sums(self) -> Sums:
        return self.index.sums(date.today())

    def say(self, cases: Sequence[Case], said: Said) -> None:
        for case in cases:
            now_ = self.index.one(case.id)
            if now_ is None or now_.handling.number != case.handling.number:
                raise handling.stale(case, now_.handling if now_ else None)
        self.index.hear([self._said(case, said) for case in cases])

    def _said(self, case: Case, said: Said) -> tuple[bytes, Handling]:
        self._number += 1
        assignee, until = handling.after(said, case.handling)
        word = Handling(self._number, assignee, until, said.by, said.reason, now())
        return key_of(case.finding), word


def record(found: Mapping[str, Any]) -> bytes:
    """A finding as its topic has it."""
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _schema(), dict(found))
    return bytes(HEAD) + body.getvalue()


@cache
def _schema() -> Any:
    return fastavro.parse_schema(
        json.loads([f for f in registry.schema_files() if f.topic == "finding"][-1].text)
    )


class Providers:
    """Stored entities, explained."""

    def __init__(self, entities: Mapping[str, Any], as_of: str) -> None:
        self._entities, self._as_of = entities, as_of

    def named(self, key: str) -> list[str]:
        return [located.name for located in self._found(key)]

    def explain(self, key: str) -> list[Explanation]:
        authority = load_authority()
        return [
            explanation(located, self._references(located), authority, self._as_of)
            for located in self._found(key)
        ]

    def trace(self, key: str) -> list[Trace]:
        return [trace.describe(located, {}, {}) for located in self._found(key)]

    def reveal(self, place: Place) -> str:
        return value_of(self._found(place.entity)[0].entity, place)

    def _references(self, located: Located) -> dict[str, Any]:
        return {n: self._entities[n] for n in located.entity.depends if n in self._entities}

    def _found(self, key: str) -> list[Located]:
        wanted = names(key)
        if wanted[0].startswith("npi/"):
            number = wanted[0].removeprefix("npi/")
            wanted = [f"provider/{who}" for who, npi in sample.NPIS.items() if npi == number]
        found = [Located(self._entities[name], "memory") for name in wanted if name in self._entities]
        if not found:
            step = "check the key; a new row may not be captured yet (concord status)"
            raise Unknown("entity.unknown", f"nothing is known under {key!r}", step)
        return found


class Quarantine:
    """A few records; what is replayed is marked and stays."""

    def __init__(self) -> None:
        self.items = sample.items()

    def listing(self, asked: Asked, limit: int) -> Listing:
        found = [item for item in self.items if _admits(asked, item)]
        counts: dict[str, dict[str, int]] = {}
        for item in found:
            states = counts.setdefault(item.code, {})
            states[item.state] = states.get(item.state, 0) + 1
        return Listing(len(found), counts, 0, found[-limit:])

    def show(self, origin: str) -> Shown:
        item = next((item for item in self.items if item.origin == origin), None)
        if item is None:
            raise NotThere(
                "quarantine.unknown", f"nothing in the quarantine came from {origin}", "look at the list"
            )
        envelope = {"op": "u", "source": {"table": "license"}, "after": {"license_id": "l1", "number": "•••"}}
        still = item.still or "nothing speaks against sending it back"
        return Shown(
            item,
            [item],
            "the value has another type than its column",
            "correct the row",
            still,
            [],
            412,
            envelope,
        )

    def replay(self, asked: Asked, by: str, *, apply: bool) -> Handled:
        return self._handle(asked, REPLAYED, by, "", apply)

    def discard(self, asked: Asked, reason: str, by: str, *, apply: bool) -> Handled:
        return self._handle(asked, DISCARDED, by, reason, apply)

    def _handle(self, asked: Asked, action: str, by: str, reason: str, apply: bool) -> Handled:
        told = Handled(action, apply)
        chosen = list(told.counting(item for item in self.items if _admits(asked, item)))
        if apply:
            self.items = [
                replace(item, state=action, by=by, reason=reason, handled_at=now())
                if item in chosen
                else item
                for item in self.items
            ]
            told.done = len(chosen)
        return told


def _admits(asked: Asked, item: Item) -> bool:
    return (
        asked.state in ("all", item.state)
        and (not asked.codes or item.code in asked.codes)
        and (not asked.systems or item.system in asked.systems)
        and (not asked.origins or item.origin in asked.origins)
    )


class Proposals:
    """Proposals, judged by the stewardship's own verdict."""

    def __init__(self, tasks: Iterable[Mapping[str, Any]]) -> None:
        self._rows = {int(task["id"]): _proposal(task) for task in tasks}
        self._said: dict[str, list[dict[str, Any]]] = {"approval": [], "ruling": [], "comment": []}

    def waiting(self) -> int:
        return sum(row["state"] in WAITING for row in self._rows.values())

    def listed(self, *, everything: bool, most: int = MOST_PROPOSALS) -> list[dict[str, Any]]:
        chosen = [row for row in self._rows.values() if everything or row["state"] in OPEN]
        return [proposals.shown(row) for row in chosen[:most]]

    def show(self, number: int) -> dict[str, Any]:
        row = self._row(number)
        said = {name: [w for w in rows if w["proposal_id"] == number] for name, rows in self._said.items()}
        waits = row["state"] in WAITING
        given = {name for approval in said["approval"] for name in approval["evidence"] or ()}
        return {
            **proposals.shown(row),
            "approvals": said["approval"],
            "rulings": said["ruling"],
            "comments": said["comment"],
            "missing": [list(roles) for roles in left(row, said["approval"])] if waits else [],
            "to_show": lacking(row["requires"], given, None) if waits else [],
        }

    def say(self, number: int, word: Word, seen: str) -> None:
        if seen != proposals.seen(self.show(number)):
            raise InvalidInput(
                "proposal.changed",
                f"proposal {number}: somebody has ruled or signed since",
                "look at it again",
            )
        found = judge(self._row(number), self.show(number)["approvals"], replace(word, at=now()))
        if isinstance(found, Refusal):
            raise InvalidInput(found.code, f"proposal {number}: {found.message}", found.next_step)
        for table, row in found:
            self._said[table].append({**row, "decided_at": now(), "ruled_at": now()})
            self._end(row) if table == "ruling" else None

    def comment(self, number: int, by: str, body: str) -> None:
        self._row(number)
        self._said["comment"].append({"proposal_id": number, "author": by, "body": body, "written_at": now()})

    def _end(self, ruling: Mapping[str, Any]) -> None:
        ends = {"approve": "approved", "withdraw": "withdrawn"}
        self._rows[ruling["proposal_id"]]["state"] = ends.get(ruling["decision"], "rejected")

    def _row(self, number: int) -> dict[str, Any]:
        if number not in self._rows:
            raise InvalidInput(
                "proposal.unknown", f"proposal {number}: there is no such proposal", "look at the list"
            )
        return self._rows[number]


def _proposal(task: Mapping[str, Any]) -> dict[str, Any]:
    row = {
        name: task.get(name)
        for name in ("kind", "entity_id", "system", "record", "row_id", "field", "position")
    }
    same = {
        name: task.get(name) for name in ("level", "approvers", "owner", "state", "requires", "way", "rule")
    }
    dates = {"submitted_at": task["opened"], "expires_at": task["expires"]}
    values = {"value": json.loads(task["value"]), "current_value": json.loads(task["current"] or "null")}
    nobody = dict.fromkeys(("author", "reason", "effective_date", "edited_by", "edited_at"))
    return {"proposal_id": int(task["id"]), **nobody, **row, **same, **dates, **values}


class Audit:
    """A list. `refuses`: entries can't be written, so nothing happens."""

    def __init__(self, refuses: bool = False) -> None:
        self.refuses = refuses
        self.written: list[Entry] = []

    @contextmanager
    def act(
        self, who: str, what: str, why: str, about: str, before: Mapping[str, Any], after: Mapping[str, Any]
    ) -> Iterator[None]:
        if self.refuses:
            message = "the audit can't be written, so nothing was done"
            raise EnvironmentFault("audit.unavailable", message, "concord status")
        detail = {"before": before, "after": after}
        self.written.append(Entry(len(self.written) + 1, now(), who, what, about, why, detail))
        yield

    def entries(self, who: str, limit: int) -> list[Entry]:
        return [e for e in reversed(self.written) if who in ("", e.who)][:limit]
