"""The shape of `authority.toml`: its vocabulary, and how a row inherits from its record and from [default].

    text --strict.parse--> AuthorityFile --entries--> Entry, one a row with everything filled in --> authority

Knows names and types only; schemas/authority_check.py knows what contradicts what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.place import Path
from streams.systems import EDITING, SYSTEMS

Witness = Literal["nppes", "leie", "sam", "nucc", "dea", "board"]
WITNESSES: tuple[str, ...] = get_args(Witness)
EDITORS = (*EDITING, *WITNESSES, "payer")
"""Who may say another value than the owner. Not stewardship: what it says is a ruling, never an edit."""
if TYPE_CHECKING:
    System = str
    Owner = str
    Editor = str
else:  # names that are read from the registry of systems
    System = Literal[SYSTEMS]
    Owner = Literal[*SYSTEMS, *WITNESSES, "payer", "platform"]
    Editor = Literal[*EDITORS, "external"]
Evidence = Literal[
    Witness, "payer", "psv", "application", "attestation", "caqh", "irs", "government_document", "committee",
    "workflow",
]  # fmt: skip
Rule = Literal[
    "source_of_truth", "precedence", "most_recent", "most_recently_verified", "most_restrictive", "union",
    "consensus_k", "manual", "external_reference", "derived",
]  # fmt: skip
Policy = Literal["revert", "propose", "auto_accept", "observe", "conflict", "ignore"]
Severity = Literal["low", "medium", "high"]
Level = Literal["A0", "A1", "A2", "A3", "HOLD"]
Case = Literal["restriction", "release", "termination", "relocation", "removal", "proposal", "override"]
Role = Literal[
    "data_steward", "credentialing_manager", "enrollment_lead", "directory_manager", "billing_lead", "compliance",
    "platform_admin",
]  # fmt: skip
Requirement = Literal["w9_or_irs_letter", "effective_date", "impact_preview", "address_check"]
Write = Literal["always", "never", "if_not_claimant"]
Effective = Literal["immediate", "effective_dated"]

TOGETHER = {"edit": "edit_by", "write": "write_to", "approval": "approval_for"}
"""Who says the first starts the second anew: an inherited exception would contradict the new default."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Owners = Annotated[list[Owner], BeforeValidator(_listed), Field(min_length=1)]


class _Outside(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Policies(_Outside):
    edit: Policy | None = None
    edit_by: dict[Editor, Policy] = {}
    severity: Severity | None = None
    approval: Level | None = None
    approval_for: dict[Case, Level] = {}
    approvers: list[Role] = []
    requires: list[Requirement] = []
    write: Write | None = None
    write_to: dict[System, Write] = {}
    effective: Effective | None = None


class DefaultFile(_Policies):
    """[default]: what holds where neither a row nor its record says otherwise."""

    edit: Policy
    severity: Severity
    approval: Level
    approvers: list[Role]
    write: Write
    effective: Effective


class RowFile(_Policies):
    """[[record.X.row]]: the fields that differ from their record, and in what."""

    fields: list[str] = Field(min_length=1)
    owner: Owners | None = None
    rule: Rule | None = None
    k: int | None = Field(None, ge=2)
    evidence: list[Evidence] = []
    note: str = ""
    source: str | None = None


class RecordFile(RowFile):
    """[record.X]: the fields that have what the record says, and the rows of the others."""

    fields: list[str] = []
    owner: Owners
    rule: Rule
    source: str = Field(min_length=1)
    row: list[RowFile] = []


class AuthorityFile(_Outside):
    """The file: who answers for it, the defaults, and one table a canonical record."""

    version: int = Field(ge=1)
    owner: Role
    approver: Role
    reviewed_on: date
    review_due: date
    default: DefaultFile
    record: dict[str, RecordFile]


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the file with everything it inherits. `said`: the path of each key that was written somewhere."""

    record: str
    fields: tuple[str, ...]
    path: Path
    owners: tuple[str, ...]
    rule: Rule
    k: int | None
    evidence: tuple[Evidence, ...]
    edit: Policy
    edit_by: Mapping[str, Policy]
    severity: Severity
    approval: Level
    approval_for: Mapping[str, Level]
    approvers: tuple[Role, ...]
    requires: tuple[Requirement, ...]
    write: Write
    write_to: Mapping[str, Write]
    effective: Effective
    note: str
    source: str
    said: Mapping[str, Path]

    def place(self, key: str) -> Path:
        """Where `key` is said: in the row itself, in its record, or in [default]."""
        return self.said.get(key, self.path)

    @property
    def sole(self) -> tuple[str, ...]:
        """The owners whose word no policy judges: below the first of a precedence, an edit is still an edit."""
        return self.owners[:1] if self.rule == "precedence" else self.owners

    def policy(self, editor: str) -> Policy:
        """What becomes of this editor's edit; a witness not named is evidence."""
        if editor in self.edit_by:
            return self.edit_by[editor]
        if editor not in WITNESSES:
            return self.edit
        if self.rule == "external_reference" and editor in self.evidence:
            return "conflict"
        return self.edit_by.get("external", "observe")

    def write_policy(self, system: str) -> Write:
        """May Concord write a field of this row to a system that holds it?"""
        if system in self.write_to:
            return self.write_to[system]
        if system in self.sole or (system in self.owners and self.write == "always"):
            return "never"
        return self.write


def entries(file: AuthorityFile) -> Iterator[Entry]:
    """Every row of the file, in its order."""
    for name, record in file.record.items():
        path: Path = ("record", name)
        own = [(("default",), file.default), (path, record)]
        yield _entry(name, record, path, own)
        for number, row in enumerate(record.row):
            below = (*path, "row", number)
            yield _entry(name, row, below, [*own, (below, row)])


def _entry(record: str, row: RowFile, path: Path, layers: list[tuple[Path, _Policies]]) -> Entry:
    said: dict[str, tuple[Path, Any]] = {}
    for place, layer in layers:
        new = {
            key: ((*place, key), getattr(layer, key)) for key in layer.model_fields_set - {"row", "fields"}
        }
        for one, many in TOGETHER.items():
            if one in new:
                said.pop(many, None)
        said |= new
    value = {key: found for key, (_, found) in said.items()}
    return Entry(
        record=record,
        fields=tuple(row.fields),
        path=path,
        owners=tuple(value["owner"]),
        rule=value["rule"],
        k=value.get("k"),
        evidence=tuple(value.get("evidence", ())),
        edit=value["edit"],
        edit_by=value.get("edit_by", {}),
        severity=value["severity"],
        approval=value["approval"],
        approval_for=value.get("approval_for", {}),
        approvers=tuple(value.get("approvers", ())),
        requires=tuple(value.get("requires", ())),
        write=value["write"],
        write_to=value.get("write_to", {}),
        effective=value["effective"],
        note=row.note,
        source=value["source"],
        said={key: place for key, (place, _) in said.items()},
    )
