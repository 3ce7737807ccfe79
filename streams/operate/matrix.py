"""docs/authority.md, written from schemas/authority.toml: the matrix as a steward reads it.

    python -m streams.operate.matrix       # writes the page; a contract test fails when it is out of date

Never says what the file doesn't: edit the file, not the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from schemas import authority_total, strict
from schemas.authority import FieldAuthority, Matrix, load_rules
from schemas.authority_check import CHECKS
from streams.operate.authority import approval, edits, owners, words, writes

PAGE = Path(__file__).parents[2] / "docs" / "authority.md"
SECTIONS = {
    4: "Identity and credentials",
    5: "Organization, location, affiliation",
    6: "Participation and billing",
    7: "Directory-only facts",
    9: "Stewardship",
    1: "Witnesses: evidence from outside",
}
"""Section of the authority matrix -> its title."""
RULES = {
    "source_of_truth": "only the owner's value",
    "precedence": "the first of the owners that has a valid, current value",
    "most_recent": "the owner whose event is the latest; inside the clock-skew window a steward decides",
    "most_recently_verified": "the value with the latest verification",
    "most_restrictive": "the strictest status, the earliest end",
    "union": "every element any owner gives, each with its source",
    "consensus_k": "the value that k independent sources agree on; NPPES and PECOS count as one",
    "manual": "a data steward decides",
    "external_reference": "evidence: a difference opens a conflict, never a write",
    "derived": "computed by its owner from other values; never edited",
}
POLICIES = {
    "revert": "the owner's value is sent back, the proposer is told why",
    "propose": "a change request for the owner's steward; until then the owner's value is restored",
    "auto_accept": "valid and of low impact: written into the master, with its origin kept",
    "observe": "kept for comparison; so is a witness's value, unless it is named",
    "conflict": "both values are kept side by side, a person decides",
    "ignore": "local formatting; equal after normalisation",
}
LEVELS = {
    "A0": "nobody: automatic after validation",
    "A1": "a data steward",
    "A2": "four eyes: a data steward and the role named; the proposer never approves",
    "A3": "A2 and compliance",
    "HOLD": "restricted at once, without approval; people release it",
}
WRITES = {
    "always": "whenever the value changes",
    "if_not_claimant": "unless the value came from that system itself: an old view never overwrites its newer edit",
    "never": "not written; not shown in the tables",
}
GONE = (
    "The row of an entity that another system deletes comes back, as by *revert*; given to another entity, it is what "
    "the row of the link says. Of an entity withdrawn from a system, what is begun there again is ended again."
)
HEAD = """# Authority

Who owns each canonical field, what becomes of anyone else's edit, who approves, and where Concord writes the value.
Written by `python -m streams.operate.matrix` from `schemas/authority.toml`; edit that file, not this page.
`concord authority check` says whether a file is sound, `concord authority show location.phone` shows one field.
"""
COLUMNS = (
    "Fields", "Rule", "Owner", "Evidence", "Others' edits", "Approval", "Written to", "Effective", "Source", "Note",
)  # fmt: skip


def markdown() -> str:
    """The page."""
    matrix = load_rules()
    return "\n".join([HEAD, *_governance(matrix), *_legend(), *_sections(matrix), *_problems(), ""])


def _governance(matrix: Matrix) -> Iterator[str]:
    yield f"Version {matrix.version}. Owner: {words(matrix.owner)}; approver: {words(matrix.approver)}."
    yield f"Reviewed on {matrix.reviewed_on}, review due on {matrix.review_due}."


def _legend() -> Iterator[str]:
    for title, known in (
        ("Rules", RULES),
        ("What becomes of an edit", POLICIES),
        ("Approval", LEVELS),
        ("Written to", WRITES),
    ):
        yield f"\n{title}:\n"
        yield from (f"- **{words(name)}** {text}" for name, text in known.items())
    yield f"\n{GONE}"
    yield "\nSource: section and row of the authority matrix; [D] a default of ours where the matrix is silent."


def _sections(matrix: Matrix) -> Iterator[str]:
    records = list(matrix.records.values())
    for section, found in groupby(records, lambda fields: _section(next(iter(fields.values())))):
        yield f"\n## {SECTIONS[section]}"
        for fields in found:
            yield from _record(list(fields.values()))


def _section(field: FieldAuthority) -> int:
    return int(field.source.split(" ", 1)[0])


def _record(fields: Sequence[FieldAuthority]) -> Iterator[str]:
    yield f"\n### {fields[0].record}\n"
    yield _line(COLUMNS)
    yield _line(["---"] * len(COLUMNS))
    for _, row in groupby(fields, lambda field: field.line):
        yield from _rows(list(row))


def _rows(row: Sequence[FieldAuthority]) -> Iterator[str]:
    """One line a row of the file; fields that are written to other systems stand apart."""
    by_target: dict[str, list[FieldAuthority]] = {}
    for field in row:
        by_target.setdefault(writes(field), []).append(field)
    for written, fields in by_target.items():
        first = fields[0]
        yield _line(
            [
                ", ".join(field.field for field in fields),
                words(first.rule),
                owners(first),
                " > ".join(words(name) for name in first.evidence),
                edits(first),
                approval(first),
                written,
                "on its date" if first.effective == "effective_dated" else "at once",
                first.source,
                first.note,
            ]
        )


def _problems() -> Iterator[str]:
    yield "\n## What `concord authority check` refuses\n"
    yield "| Code | Why it is wrong |\n| --- | --- |"
    for code, why in problems().items():
        yield f"| `authority.{code}` | {why} |"
    yield "\n`authority.review_overdue` is a warning: the file is used as it is. While it is overdue, the clock opens"
    yield "the finding of that code, of the entity `system/authority`: `concord findings --code authority`."


def problems() -> Mapping[str, str]:
    """Every code a file can be refused with, and why."""
    return {**strict.WHY, **authority_total.WHY, **{code: why for code, (_, why) in CHECKS.items()}}


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(markdown(), "utf-8")
