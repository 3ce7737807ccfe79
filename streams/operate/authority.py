"""What a steward may ask of the authority file: is it sound, and what does it say of a field.

    schemas.authority --> check, show --> `concord authority`; the words are also those of docs/authority.md

Reads the file only; which provider a changed file would change is another question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from schemas import handoffs
from schemas.authority import FieldAuthority, load_rules, read
from schemas.authority_file import WITNESSES, Level
from schemas.problem import Problem, nearest
from streams.errors import InvalidInput
from streams.operate.handoffs import carried


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in a file; `fields` counts those that have their row (0 when the file is refused)."""

    file: str
    version: int | None
    records: int
    fields: int
    problems: list[Problem]

    @property
    def sound(self) -> bool:
        """A warning is no reason to refuse a file."""
        return all(problem.warning for problem in self.problems)


def check(path: Path | None, today: date) -> Checked:
    """Every problem of the file, or of the one shipped, and of the handoffs that it makes."""
    reading = read(path, today=today)
    matrix = reading.matrix
    if matrix is None:
        return Checked(reading.file, None, 0, 0, list(reading.problems))
    problems = [*reading.problems, *handoffs.check(carried(matrix))]
    return Checked(reading.file, matrix.version, len(matrix.records), len(list(matrix)), problems)


def show(name: str | None) -> list[FieldAuthority]:
    """The rows of a record, of one field (`record.field`), or of everything."""
    matrix = load_rules()
    if name is None:
        return list(matrix)
    record, dot, field = name.partition(".")
    if record not in matrix.records:
        raise _unknown("record_unknown", f"no record '{record}'", nearest(record, matrix.records))
    fields = matrix.records[record]
    if not dot:
        return list(fields.values())
    if field not in fields:
        raise _unknown("field_unknown", f"record '{record}' has no field '{field}'", nearest(field, fields))
    return [fields[field]]


def _unknown(code: str, message: str, next_step: str) -> InvalidInput:
    return InvalidInput(f"authority.{code}", message, next_step)


# ---- the words ----

ALL_WITNESSES = "witnesses"


def owners(field: FieldAuthority) -> str:
    """In order where the order counts."""
    between = {"precedence": " > ", "union": " + "}.get(field.rule, ", ")
    agree = f" ({field.k} agree)" if field.k else ""
    return between.join(field.owners) + agree


def edits(field: FieldAuthority) -> str:
    """What becomes of whose edit: who is named, then all others; a witness that is observed is left out."""
    by_policy: dict[str, list[str]] = {}
    for editor, policy in _together(field.policies).items():
        common = "observe" if editor in (*WITNESSES, ALL_WITNESSES) else field.others
        if policy != common:
            by_policy.setdefault(policy, []).append(editor)
    named = [f"{', '.join(editors)}: {_judged(policy, field)}" for policy, editors in by_policy.items()]
    return "; ".join([*named, f"others: {_judged(field.others, field)}"])


def _judged(policy: str, field: FieldAuthority) -> str:
    return f"conflict ({field.severity})" if policy == "conflict" else words(policy)


def _together(policies: Mapping[str, str]) -> Mapping[str, str]:
    """The witnesses as one where they are treated alike."""
    said = {policies[witness] for witness in WITNESSES if witness in policies}
    if len(said) != 1:
        return policies
    rest = {editor: policy for editor, policy in policies.items() if editor not in WITNESSES}
    return {**rest, ALL_WITNESSES: said.pop()}


def approval(field: FieldAuthority) -> str:
    """The level with the role of the second signature, then the cases with another level."""
    cases = [f"{case} {_signed(level, field)}" for case, level in field.approval_for.items()]
    needs = [f"with {', '.join(words(name) for name in field.requires)}"] if field.requires else []
    return "; ".join([_signed(field.approval, field), *cases, *needs])


def _signed(level: Level, field: FieldAuthority) -> str:
    second = " or ".join(words(role) for role in field.approvers)
    return f"{level} ({second})" if level in ("A2", "A3") else level


def writes(field: FieldAuthority) -> str:
    """The systems that hold the field and don't say it themselves."""
    written = {system: write for system, write in field.write.items() if write != "never"}
    return ", ".join(
        system if write == "always" else f"{system} ({words(write)})" for system, write in written.items()
    )


def words(name: str) -> str:
    """A name as people read it."""
    return name.replace("_", " ")
