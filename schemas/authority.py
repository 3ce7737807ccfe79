"""Loads `authority.toml`: who owns each canonical field, what becomes of others' edits, who approves, what is written.

    text --strict--> AuthorityFile --entries--> Entry --authority_total, authority_check--> Matrix --> core's Authority

Outside input: every canonical field must stand in exactly one row, every name be known, nothing be contradictory.
It decides nothing about values; `streams.core.entity.golden` does (invariant 4).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from msgspec import structs

from schemas import authority_total, strict
from schemas.authority_check import CHECKS, Holders
from schemas.authority_file import (
    EDITORS,
    AuthorityFile,
    Effective,
    Entry,
    Level,
    Policy,
    Role,
    Rule,
    Severity,
    Write,
    entries,
)
from schemas.catalog import Catalog, load_catalog, load_mappings
from schemas.place import Places
from schemas.problem import Problem, refuse
from streams.core.authority import Authority, compile_authority
from streams.core.authority import Rule as CoreRule
from streams.errors import InvalidInput
from streams.systems import SYSTEMS

V = TypeVar("V")
NAME = "authority.toml"


@dataclass(frozen=True, slots=True)
class FieldAuthority:
    """All that the file says of one canonical field, inheritance done.

    owners        who says the value, in order of precedence; `platform`: Concord computes it
    evidence      what proves it, the strongest first
    others        what becomes of an edit by whom no policy names
    policies      every editor but the owners -> what becomes of its edit
    severity      of a conflict
    approval_for  case (release, removal, relocation, ...) -> the level it needs instead of `approval`
    approvers     roles of the second signature (A2); the first is a data steward's, a third (A3) compliance's
    requires      what an approval needs beside signatures
    write         every system whose mapping holds the field -> may an adapter write it there
    note          in what case, in words
    source        section and row of the authority matrix; line: of the row in the file
    """

    record: str
    field: str
    rule: Rule
    owners: tuple[str, ...]
    k: int | None
    evidence: tuple[str, ...]
    others: Policy
    policies: Mapping[str, Policy]
    severity: Severity
    approval: Level
    approval_for: Mapping[str, Level]
    approvers: tuple[Role, ...]
    requires: tuple[str, ...]
    write: Mapping[str, Write]
    effective: Effective
    note: str
    source: str
    line: int

    @property
    def name(self) -> str:
        return f"{self.record}.{self.field}"


@dataclass(frozen=True, slots=True)
class Matrix:
    """The file as a whole. `keepers`: record -> the system that says which rows there are."""

    version: int
    owner: Role
    approver: Role
    reviewed_on: date
    review_due: date
    records: Mapping[str, Mapping[str, FieldAuthority]]
    keepers: Mapping[str, str]

    def __iter__(self) -> Iterator[FieldAuthority]:
        return (field for fields in self.records.values() for field in fields.values())

    def authority(self) -> Authority:
        """What the core reads: the owners it can hear, and what becomes of everybody else's edit."""
        catalog = load_catalog()
        rules = {
            record: {name: _rule(field, catalog) for name, field in fields.items()}
            for record, fields in self.records.items()
        }
        compiled = compile_authority(self.version, rules, self.keepers)
        return structs.replace(compiled, review_due=self.review_due.isoformat(), answers=self.owner)


def _rule(field: FieldAuthority, catalog: Catalog) -> CoreRule:
    known = catalog.field(field.record, field.field)
    return CoreRule(
        field.rule,
        tuple(owner for owner in field.owners if owner != "platform"),
        field.others,
        field.policies,
        field.write,
        field.severity,
        field.source,
        known is not None and known.cls == "public",
        _level(field),
        field.approvers,
        field.requires,
    )


def _level(field: FieldAuthority) -> Level:
    """At which level another's proposal is ruled on: to follow it where the field holds is to release it."""
    level = field.approval_for.get("proposal", field.approval)
    return field.approval_for.get("release", "A2") if level == "HOLD" else level


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that was read: what it says, unless something is wrong."""

    file: str
    matrix: Matrix | None
    problems: tuple[Problem, ...]


def load_authority(path: Path | None = None, catalog: Catalog | None = None) -> Authority:
    """The packaged authority, or that of `path`, as the core reads it; InvalidInput says what is wrong and where."""
    if path is None and catalog is None:
        return _packaged_authority()
    return load_rules(path, catalog).authority()


@cache
def _packaged_authority() -> Authority:
    """Five milliseconds of work, and every page of the console that explains something asks."""
    return _packaged().authority()


def load_rules(path: Path | None = None, catalog: Catalog | None = None) -> Matrix:
    """Everything the file says; a worker that is given a wrong file refuses to start."""
    if path is None and catalog is None:
        return _packaged()
    return _sound(read(path, catalog))


@cache
def _packaged() -> Matrix:
    return _sound(read())


def _sound(reading: Reading) -> Matrix:
    if reading.matrix is None:
        refuse(reading.problems)
    return reading.matrix


def read(path: Path | None = None, catalog: Catalog | None = None, today: date | None = None) -> Reading:
    """The file with all its problems; `today` also says whether its review is overdue."""
    file = str(path or NAME)
    catalog = catalog or load_catalog()
    parsed, places, problems = strict.parse(AuthorityFile, _text(path), file, "authority")
    if parsed is None:
        return Reading(file, None, tuple(problems))
    found, held = list(entries(parsed)), holders()
    problems = [
        *authority_total.head(parsed, places, file),
        *authority_total.records(parsed, catalog, places, file),
        *authority_total.fields(found, catalog, places, file),
        *_contradictions(found, held, catalog, places, file),
    ]
    matrix = None if problems else _matrix(parsed, found, held, places)
    if today is not None:
        problems += authority_total.overdue(parsed.review_due, places.of(("review_due",)), file, today)
    return Reading(file, matrix, tuple(problems))


def shape(path: Path | None = None) -> list[Problem]:
    """What is wrong with the file by itself, whatever the catalogue says."""
    return strict.parse(AuthorityFile, _text(path), str(path or NAME), "authority")[2]


def _text(path: Path | None) -> str:
    try:
        return path.read_text("utf-8") if path else files("schemas").joinpath(NAME).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        what = f"{path}: {getattr(fault, 'strerror', None) or fault}"
        raise InvalidInput("authority.unreadable", what, "name a file of UTF-8 text") from fault


@cache
def holders() -> Holders:
    """(record, field) -> the systems whose mapping holds it."""
    held: dict[tuple[str, str], set[str]] = {}
    for system, mapping in load_mappings().items():
        for table in mapping.tables.values():
            for column in table.columns:
                held.setdefault(table.target(column), set()).add(system)
    return held


def _contradictions(
    found: list[Entry], held: Holders, catalog: Catalog, places: Places, file: str
) -> Iterator[Problem]:
    """Of the fields that are known: what is wrong with a name was said already."""
    for entry in found:
        fields = tuple(field for field in entry.fields if catalog.field(entry.record, field))
        known = replace(entry, fields=fields)
        for code, (check, why) in CHECKS.items() if fields else ():
            for key, what, fix in check(known, held):
                where = f"{file}:{_line(entry, key, places)}"
                named = f"{entry.record} ({', '.join(fields)}): {what}"
                yield Problem(f"authority.{code}", where, named, why, fix)


def _line(entry: Entry, key: str, places: Places) -> int:
    """Where the row, or its record, says it; what only [default] says is a problem of the row."""
    place = entry.place(key)
    return places.of(entry.path if place[0] == "default" else place)


def _matrix(parsed: AuthorityFile, found: list[Entry], held: Holders, places: Places) -> Matrix:
    records: dict[str, dict[str, FieldAuthority]] = {}
    for entry in found:
        for field in entry.fields:
            made = _field(entry, field, held.get((entry.record, field), ()), places.of(entry.path))
            records.setdefault(entry.record, {})[field] = made
    return Matrix(
        parsed.version,
        parsed.owner,
        parsed.approver,
        parsed.reviewed_on,
        parsed.review_due,
        _frozen({record: _frozen(fields) for record, fields in records.items()}),
        _frozen({name: record.owner[0] for name, record in parsed.record.items()}),
    )


def _field(entry: Entry, field: str, held: Collection[str], line: int) -> FieldAuthority:
    return FieldAuthority(
        record=entry.record,
        field=field,
        rule=entry.rule,
        owners=entry.owners,
        k=entry.k,
        evidence=entry.evidence,
        others=entry.edit,
        policies=_frozen({party: entry.policy(party) for party in EDITORS if party not in entry.sole}),
        severity=entry.severity,
        approval=entry.approval,
        approval_for=_frozen(entry.approval_for),
        approvers=entry.approvers,
        requires=entry.requires,
        write=_frozen({system: entry.write_policy(system) for system in SYSTEMS if system in held}),
        effective=entry.effective,
        note=entry.note,
        source=entry.source,
        line=line,
    )


def _frozen(content: Mapping[str, V]) -> Mapping[str, V]:
    return MappingProxyType(dict(content))
