"""Where each value in each system came from, and why: the answer to `concord explain`.

    Located (entity + references it looked at) --explain--> claims, verdict, findings, and per sink every value's origin

`explanation` is pure: it derives everything from the stored entities by the core's own functions. Values of class S1
are masked before they enter the answer, and a refused value of class S1 or S2 is never shown at all (invariant 11).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.authority import load_authority
from streams.core import canonical, finding, gate
from streams.core import entity as core_entity
from streams.core.advance import World, decide
from streams.core.authority import Authority
from streams.core.change import position_text
from streams.core.entity import Claim, Entity, Golden, golden
from streams.core.formats import refusal_code
from streams.core.view import VIEWS
from streams.operate import applied
from streams.operate.announced import Answer
from streams.operate.applied import Held
from streams.operate.contest import Field, fields
from streams.operate.counterparts import Standing, belongs, standings
from streams.operate.find import Finder, Located
from streams.operate.masking import HIDDEN, field_class, shown
from streams.operate.ruled import Decision, decisions
from streams.operate.told import Sink, Telling
from streams.operate.wording import column_of, has_tables, table_of, time_text
from streams.settings import Settings

Find = Callable[[Iterable[str]], Iterable[Located]]
"""entities by `kind/id`; those that are unknown are left out"""
PLATFORM = "platform"
"""The claimant of what the platform itself knows: who holds an NPI."""


@dataclass(frozen=True, slots=True)
class Value:
    """One field of a claim. `admitted`: the claim's system has a say on the field, so the golden record hears it."""

    field: str
    column: str
    value: Any
    owner: str
    admitted: bool
    refused: str = ""
    """why the newest value was refused; `value` is then the last good one"""
    refused_value: Any = None


@dataclass(frozen=True, slots=True)
class Row:
    """What one system says of one row, and as of when."""

    system: str
    record: str
    table: str
    row: str
    position: str
    txid: int
    committed_at: str
    deleted: bool
    values: list[Value]
    gaps: list[str]


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """What is wrong, its effect, and what to do."""

    code: str
    subject: str
    severity: str
    effect: str
    message: str
    action: str
    opened_position: str
    actor: str = ""
    due: str = ""
    evidence: list[str] = field(default_factory=list)
    """the claims it rests on: `system record/row position`"""


@dataclass(frozen=True, slots=True)
class Verdict:
    """active, held (sinks keep their last view) or withdrawn, and because of what; local: rows under a system's own
    id, which are decided on where they belong."""

    state: str
    because: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything the platform knows of one entity, and what it told whom."""

    kind: str
    id: str
    npi: str | None
    name: str | None
    found_in: str
    revision: int
    as_of: str
    verdict: Verdict
    findings: list[OpenFinding]
    sinks: list[Sink]
    claims: list[Row]
    references: list[str]
    by_sink: Mapping[str, Verdict] = field(default_factory=dict)
    """each system's verdict, where they are not all the same"""
    targets: Mapping[str, Held] = field(default_factory=dict)
    """what each target holds now"""
    authority: int = 0
    """version of the authority file that chose the values"""
    fields: list[Field] = field(default_factory=list)
    """each value of the golden record: who won and who lost, and why"""
    standings: list[Standing] = field(default_factory=list)
    """each system: what it was sent last, what it confirmed"""
    belongs: str = ""
    """of rows under a system's own id: whose they are, or why nobody's"""
    decisions: list[Decision] = field(default_factory=list)
    """what was proposed, and who decided it, when and why"""
    supposed: bool = False
    """asked for another day: the views are what would be sent, not what was"""


def explain(
    settings: Settings, key: str, as_of: str | None = None, known: list[Answer] | None = None
) -> list[Explanation]:
    """Explain what a key stands for; an NPI with several holders gets one answer each.

    as_of  an ISO date: not what was sent, but what would be on that day, from what is known now
    known  the workers that live, where somebody keeps an eye on it
    """
    with Finder(settings, known) as finder:
        return [_explained(settings, finder, located, as_of) for located in finder.find(key)]


def _explained(settings: Settings, finder: Finder, located: Located, as_of: str | None) -> Explanation:
    entity, authority = located.entity, load_authority()
    if as_of is not None:
        located = replace(located, entity=decided_on(as_of, entity, finder.get_many, authority))
    references = {found.name: found.entity for found in finder.get_many(located.entity.depends)}
    made = explanation(located, references, authority, as_of or finder.as_of(entity.id))
    targets = applied.held(settings, entity)
    return replace(made, targets=targets, supposed=as_of is not None)


def decided_on(as_of: str, entity: Entity, find: Find, authority: Authority) -> Entity:
    """The entity as it would be decided on a day: a copy, nothing is sent."""
    goldens: dict[str, Golden | None] = {}

    def look(kind: str, entity_id: str) -> Golden | None:
        name = f"{kind}/{entity_id}"
        if name not in goldens:
            found = [golden(item.entity, authority) for item in find([name])]
            goldens[name] = found[0] if found else None
        return goldens[name]

    copy = core_entity.decode(core_entity.encode(entity))
    decide(copy, World(authority, look, as_of, copy.awaited), 0)
    return copy


def explanation(
    located: Located, references: Mapping[str, Entity], authority: Authority, as_of: str
) -> Explanation:
    """Explain one entity with the references its decision looked at."""
    entity = located.entity
    record = golden(entity, authority)
    root = record.root
    return Explanation(
        entity.kind,
        entity.id,
        getattr(root, "npi", None),
        next((found for name in _NAMES if (found := getattr(root, name, None))), None),
        located.where,
        entity.revision,
        as_of,
        Verdict("local") if "." in entity.kind else verdict(entity, record),
        [_open(key, item) for key, item in entity.findings.items()],
        Telling(entity, record, references, authority, as_of).sinks(),
        list(claims(entity, authority)),
        entity.depends,
        by_sink(entity, record),
        authority=authority.version,
        fields=fields(entity, record, authority),
        standings=standings(entity),
        belongs=belongs(entity),
        decisions=decisions(entity),
    )


_NAMES = ("last_name", "legal_name", "name")

# ---- claims ----


def claims(entity: Entity, authority: Authority) -> Iterator[Row]:
    """Every claim of every system, value by value."""
    for system, tables in sorted(entity.claims.items()):
        for record, by_id in sorted(tables.items()):
            for row_id, claim in sorted(by_id.items()):
                yield _row(authority, system, record, row_id, claim)


def _row(authority: Authority, system: str, record: str, row_id: str, claim: Claim) -> Row:
    return Row(
        system,
        record,
        table_of(system, record),
        row_id,
        position_text(claim.position),
        claim.txid,
        time_text(claim.committed_us),
        claim.is_deleted,
        list(_values(authority, system, record, claim)),
        claim.gaps,
    )


def _values(authority: Authority, system: str, record: str, claim: Claim) -> Iterator[Value]:
    """The fields the system has a column for; witnesses and the platform itself have no tables."""
    row = claim.claims(record)
    if row is None:
        return
    for name in row.__struct_fields__:
        if not has_tables(system) or column_of(system, record, name):
            yield _value(authority, system, record, name, claim, row)


def _value(
    authority: Authority, system: str, record: str, name: str, claim: Claim, row: canonical.Row
) -> Value:
    owner = authority.owners.get(record, {}).get(name, system if system == PLATFORM else "")
    rule = authority.rules.get(record, {}).get(name)
    now = getattr(row, name)
    effective = claim.refused.get(name, now)
    code = refusal_code(record, name, row) if name in claim.refused else ""
    return Value(
        name,
        column_of(system, record, name),
        shown(record, name, effective),
        owner,
        owner == system or (rule is not None and system in rule.owners),
        code,
        _refused_value(record, name, now) if code else None,
    )


def _refused_value(record: str, name: str, value: Any) -> Any:
    return value if field_class(record, name) == "public" else HIDDEN


# ---- verdict and findings ----


def verdict(entity: Entity, record: Golden) -> Verdict:
    """The gates' verdict on the entity as it stands, by the gates themselves."""
    return _said(_judged(entity, record))


def by_sink(entity: Entity, record: Golden) -> dict[str, Verdict]:
    """Each sink's verdict where they differ, else nothing."""
    verdicts = gate.by_sink(record, _found(entity), _judged(entity, record), VIEWS.get(entity.kind, ()))
    said = {sink: _said(judged) for sink, judged in verdicts.items()}
    return said if any(each != verdict(entity, record) for each in said.values()) else {}


def _found(entity: Entity) -> list[finding.Found]:
    return [finding.Found(*key.split(" ", 1)) for key in entity.findings]


def _judged(entity: Entity, record: Golden) -> gate.Verdict:
    known = any(entity.kind in tables and tables[entity.kind] for tables in entity.claims.values())
    return gate.judge(record, _found(entity), was_known=known)


def _said(judged: gate.Verdict) -> Verdict:
    match judged:
        case gate.Hold(codes):
            return Verdict("held", list(codes))
        case gate.Withdraw(reason):
            return Verdict("withdrawn", [reason])
        case _:
            return Verdict("active")


def _open(key: str, item: Any) -> OpenFinding:
    code, _, subject = key.partition(" ")
    return OpenFinding(
        code,
        subject,
        item.severity,
        item.effect,
        item.message,
        item.action,
        position_text(item.position),
        item.actor,
        item.due,
        [f"{e.system} {e.record}/{e.row_id} {position_text(e.position)}" for e in item.evidence],
    )
