"""Who won each field, by which rule, and what became of everybody else's value.

    entity + authority --fields--> value, the claims that won, those that lost and why

Pure, and a part of `explain`: everything is read from the stored entity, nothing is asked of anybody. Values of class
S1 are masked (invariant 11).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from streams.core import edit, held, ruling
from streams.core.authority import Authority, Rule
from streams.core.change import position_text
from streams.core.combine import combine
from streams.core.edit import Edit
from streams.core.entity import Claim, Entity, Golden, Judged
from streams.core.equivalent import equivalent
from streams.core.formats import refusal_code
from streams.core.parity import IN_FLIGHT
from streams.core.view import VIEWS, WITHDRAWN
from streams.operate.masking import HIDDEN, field_class, shown
from streams.operate.wording import column_of, has_tables, time_text

WORDS: Mapping[str, str] = {
    "revert": "not its to say: our value was sent again",
    "propose": "proposed, and our value was sent again",
    "auto_accept": "taken over where it is owned, and our value was sent again",
    "conflict": "in conflict: both stay as they are until somebody decides",
    "altered": "our own write came out different there, and was sent again",
    "departed": "left as it is: the entity was withdrawn there, and nothing is written over it",
    "observe": "observed only",
    "ignore": "let be",
}
"""What became of an edit, by what it was judged to be."""


@dataclass(frozen=True, slots=True)
class Said:
    """One system's word on a field. `why`: what keeps it from being the value; empty when it is."""

    system: str
    row: str
    column: str
    value: Any
    position: str = ""
    committed_at: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """A field's value, the rule that chose it, who won and who lost."""

    record: str
    row: str
    field: str
    value: Any
    rule: str
    owners: list[str]
    source: str
    """row of the authority matrix"""
    won: list[Said] = attribute(default_factory=list)
    lost: list[Said] = attribute(default_factory=list)


def fields(entity: Entity, record: Golden, authority: Authority) -> list[Field]:
    """Every field of the golden record that somebody says something of, then what systems hold below that."""
    return [*_Contest(entity, authority).fields(record)]


def winners(entity: Entity, record: str, row_id: str, path: str, rule: Rule) -> list[tuple[str, str, Claim]]:
    """(system, row, claim) of the owner whose word the rule takes; of a union everybody who says something."""
    rows = list(_rows(entity, record, row_id))
    spoken = [
        (system, row, claim, said)
        for owner in rule.owners
        for system, row, claim in rows
        if system == owner and (said := word(claim, record, path)) is not None
    ]
    value = combine(rule.kind, path, [(system, said) for system, _, _, said in spoken])
    won = [
        (system, row, claim) for system, row, claim, said in spoken if rule.kind == "union" or said == value
    ]
    return won if rule.kind == "union" else won[:1]


def word(claim: Claim, record: str, path: str) -> Any:
    """What a claim says of a field, its last good value where the newest was refused."""
    return getattr(claim.row(record), path, None)


def _rows(entity: Entity, record: str, row_id: str) -> Iterator[tuple[str, str, Claim]]:
    """Each system's row of the same thing: its root row whatever its id, else the row of that id."""
    for system, tables in sorted(entity.claims.items()):
        for row, claim in sorted(tables.get(record, {}).items()):
            if row == row_id or record == entity.kind:
                yield system, row, claim


class _Contest:
    """The claims of one entity against its golden record."""

    def __init__(self, entity: Entity, authority: Authority) -> None:
        self._entity = entity
        self._authority = authority
        views = {s: VIEWS[entity.kind][s] for s in entity.sent if s in VIEWS.get(entity.kind, ())}
        wanted = {system: found.decode(entity.sent[system].content) for system, found in views.items()}
        self._wanted = {
            (system, record, path): held.shown(view, name, path)
            for system, view in wanted.items()
            if view.status != WITHDRAWN  # it says nothing of the row
            for name, record, path, _ in held.written(entity.kind, system, authority)
        }
        self._edits = {e.subject: e for e in edit.standing(entity, wanted, authority)}
        self._told: set[str] = set()

    def fields(self, record: Golden) -> Iterator[Field]:
        for name in sorted(record.records):
            rules = self._authority.rules.get(name, {})
            for row_id, row in sorted(record.named(name).items()):
                for path, rule in rules.items():
                    found = self._field(name, row_id, path, getattr(row, path, None), rule)
                    if found.value is not None or found.lost:
                        yield found
        yield from self._below()

    def _field(self, record: str, row_id: str, path: str, value: Any, rule: Rule) -> Field:
        rows = list(_rows(self._entity, record, row_id))
        won = [
            self._said(system, record, row, path, claim, word(claim, record, path))
            for system, row, claim in winners(self._entity, record, row_id, path, rule)
        ]
        lost = [*self._refused(rows, record, path), *self._others(rows, record, path, value, rule)]
        return self._made(record, row_id, path, value, rule, won, lost)

    def _made(
        self, record: str, row_id: str, path: str, value: Any, rule: Rule, won: list[Said], lost: list[Said]
    ) -> Field:
        told = shown(record, path, value)
        return Field(record, row_id, path, told, rule.kind, list(rule.owners), rule.source, won, lost)

    def _refused(self, rows: list[tuple[str, str, Claim]], record: str, path: str) -> Iterator[Said]:
        for system, row, claim in rows:
            now = claim.claims(record) if path in claim.refused else None
            if now is not None:
                value = getattr(now, path) if field_class(record, path) == "public" else HIDDEN
                why = f"refused: {refusal_code(record, path, now)}; the last good value is kept"
                yield self._said(system, record, row, path, claim, value, why)

    def _others(
        self, rows: list[tuple[str, str, Claim]], record: str, path: str, value: Any, rule: Rule
    ) -> Iterator[Said]:
        """Who holds something else; what was proposed; what was answered and stands no more."""
        for system, row, claim in rows:
            subject = f"{system}/{record}/{row}/{path}"
            self._told.add(subject)
            if (proposed := self._proposed(subject)) is not None:
                yield proposed
            elif self._holds_another(system, record, path, value, claim, rule):
                held = claim.row(record) if system in rule.owners else claim.image(record)
                yield self._said(
                    system,
                    record,
                    row,
                    path,
                    claim,
                    shown(record, path, getattr(held, path)),
                    self._why(subject, rule),
                )
            elif subject in self._entity.judged and subject not in self._edits:
                yield self._said(
                    system, record, row, path, claim, None, _answered(self._entity.judged[subject])
                )

    def _holds_another(
        self, system: str, record: str, path: str, value: Any, claim: Claim, rule: Rule
    ) -> bool:
        """An owner is asked what it says, everybody else what it holds: against its view, where we write it."""
        if path in claim.refused or (has_tables(system) and not column_of(system, record, path)):
            return False
        if system in rule.owners:
            said = word(claim, record, path)
            return said is not None and rule.kind != "union" and not equivalent(path, value, said)
        held = getattr(claim.image(record), path, None)
        wanted = self._wanted.get((system, record, path), value)
        return held is not None and not equivalent(path, wanted, held)

    def _proposed(self, subject: str) -> Said | None:
        for p in self._entity.proposals:
            if p.subject == subject:
                why = f"proposed on {p.day} ({p.id}), {_STATES[p.state]}; until then our value was sent again"
                value = shown(p.record, p.field, p.value)
                column = column_of(p.system, p.record, p.field)
                return Said(p.system, p.row_id, column, value, position_text(p.position), "", why)
        return None

    def _why(self, subject: str, rule: Rule) -> str:
        system = subject.partition("/")[0]
        known = self._entity.judged.get(subject)
        if known is not None:
            return WORDS[known.policy]
        if system in rule.owners:
            return f"{', '.join(rule.owners)} speak in this order"
        standing = self._entity.parity.get(system)
        if standing is not None and standing.state == IN_FLIGHT:
            return "our value is on its way there"
        return f"not admitted: {', '.join(rule.owners) or 'the platform'} says it"

    def _said(
        self, system: str, record: str, row: str, path: str, claim: Claim, value: Any, why: str = ""
    ) -> Said:
        told = value if why else shown(record, path, value)
        column = column_of(system, record, path)
        at, when = position_text(claim.position), time_text(claim.committed_us)
        return Said(system, row, column, told, at, when, why)

    def _below(self) -> Iterator[Field]:
        """What systems hold against their views in rows that no golden record has: their own rows' words."""
        for subject, found in sorted(self._edits.items()):
            if subject not in self._told:
                yield self._of_edit(found)
        for subject, judged in sorted(self._entity.judged.items()):
            if subject not in self._told and subject not in self._edits:
                system, record, row, path = subject.split("/", 3)
                rule = self._authority.rules[record][path]
                said = Said(system, row, column_of(system, record, path), None, "", "", _answered(judged))
                yield self._made(record, row, path, None, rule, [], [said])

    def _of_edit(self, found: Edit) -> Field:
        value = shown(found.record, found.field, found.offered)
        said = self._proposed(found.subject) or Said(
            found.system, found.row_id, column_of(found.system, found.record, found.field), value,
            position_text(found.position), "", self._why(found.subject, found.rule),
        )  # fmt: skip
        return self._made(found.record, found.row_id, found.field, found.current, found.rule, [], [said])


_STATES: Mapping[str, str] = {
    **dict.fromkeys(ruling.WAITING, "waits for a ruling"),
    ruling.SCHEDULED: "approved for a later date",
    **dict.fromkeys(ruling.IN_WORK, "its owner is to make it"),
}


def _answered(judged: Judged) -> str:
    times = f", {judged.times} times that day" if judged.times > 1 else ""
    return f"edited on {judged.day}{times}: {WORDS[judged.policy]}; it holds our value again"
