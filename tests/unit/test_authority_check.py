"""Nothing contradictory: each check refuses what it is for, on the line that says it, and passes what ships."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from schemas.authority import read
from schemas.authority_check import CHECKS, GUARDED
from schemas.catalog import load_catalog
from schemas.problem import Problem

SHIPPED = files("schemas").joinpath("authority.toml").read_text("utf-8")
ROW = '[[record.education.row]]\nfields = ["degree"]\n{}\n\n[record.work_history]'

CONTRADICTIONS: list[tuple[str, str, str, str]] = [
    ("owner_edited", 'edit_by = { credentialing = "propose" }', "edit_by", "credentialing owns it"),
    ("owners_count", 'owner = ["credentialing", "directory"]', "owner", "source_of_truth with 2 owners"),
    ("owners_count", 'rule = "precedence"', "rule", "precedence with one owner"),
    ("owners_count", 'rule = "most_recent"', "rule", "most_recent with one owner"),
    ("owners_count", 'rule = "union"\nowner = ["credentialing", "credentialing"]', "owner", "twice"),
    ("consensus_impossible", 'rule = "consensus_k"\nowner = ["credentialing", "payer"]\nk = 3', "k =", "at least k owners"),
    ("consensus_impossible", "k = 2", "k =", "k means nothing to source_of_truth"),
    ("not_combined", 'rule = "most_recently_verified"\nowner = ["credentialing", "directory"]\nevidence = ["psv"]', "rule", "of 2 systems"),
    ("owner_kind", 'owner = "platform"', "owner", "platform owns what is source_of_truth"),
    ("owner_kind", 'owner = "nppes"', "owner", "nppes is a witness"),
    ("owner_silent", 'owner = "billing"', "owner", "no mapping of billing holds degree"),
    ("auto_accept_unsafe", 'edit_by = { directory = "auto_accept" }', "edit_by", "auto_accept where a change needs A1"),
    ("approval_low", 'rule = "manual"\napproval = "A0"', "approval", "a rule that a steward decides needs A1"),
    ("approval_low", 'edit = "conflict"\nseverity = "high"', "[[record.education.row]]", "high severity needs A2"),
    ("release_missing", 'approval = "HOLD"', "[[record.education.row]]", "HOLD, released at A0"),
    ("release_missing", 'approval_for = { restriction = "HOLD", release = "A1" }', "approval_for", "released at A1"),
    ("approver_missing", 'approval = "A2"', "[[record.education.row]]", "nobody but a data steward"),
    ("approver_missing", 'approval_for = { termination = "A2" }\napprovers = ["data_steward"]', "approvers", "nobody but"),
    ("derived_edited", 'rule = "derived"\nedit = "propose"\napproval = "A0"', "edit =", "edits end as propose"),
    ("derived_edited", 'rule = "derived"\napproval = "A1"', "approval", "a change needs A1"),
    ("evidence_missing", 'rule = "external_reference"\nevidence = []', "rule", "without evidence"),
    ("witness_reverted", 'edit_by = { nppes = "revert" }', "edit_by", "revert to nppes"),
    ("write_to_owner", 'write_to = { credentialing = "always" }', "write_to", "always to credentialing, which owns it"),
    ("write_nowhere", 'write_to = { directory = "always" }', "write_to", "no mapping of directory holds degree"),
    ("source_unclear", 'source = "somewhere"', "source", "'somewhere' names no row"),
]  # fmt: skip


def changed(folder: Path, text: str) -> tuple[Path, str]:
    file = folder / "authority.toml"
    file.write_text(text)
    return file, text


def of_degree(folder: Path, said: str) -> tuple[Path, str]:
    """The shipped file, with one row more: what `said` says of education.degree."""
    text = SHIPPED.replace('["institution", "degree", ', '["institution", ', 1)
    return changed(folder, text.replace("[record.work_history]", ROW.format(said), 1))


def found(file: Path, code: str) -> Problem:
    return next(p for p in read(file).problems if p.code == f"authority.{code}")


@pytest.mark.parametrize(("code", "said", "at", "what"), CONTRADICTIONS, ids=[c[3] for c in CONTRADICTIONS])
def test_a_contradiction_is_refused_on_the_line_that_says_it(
    tmp_path: Path, code: str, said: str, at: str, what: str
) -> None:
    file, text = of_degree(tmp_path, said)
    problem = found(file, code)
    start = text.index("[[record.education.row]]")
    before = text.find(at, start) if at in text[start : text.index("[record.work_history]")] else start
    assert problem.where == f"{file}:{text[:before].count(chr(10)) + 1}"
    assert "education (degree)" in problem.what
    assert what in problem.what
    assert problem.fix


def test_an_edit_that_could_never_be_written_back_is_refused(tmp_path: Path) -> None:
    """Invariant 12: the systems would stay different."""
    before = 'source = "4 sex, degree"\n\n[[record.provider.row]]\nfields = ["sex"]\n'
    file, _ = changed(tmp_path, SHIPPED.replace(before, before + 'write = "never"\n', 1))
    problem = found(file, "not_restored")
    assert "propose of directory's sex, which is never written back" in problem.what


def test_an_inherited_contradiction_is_told_on_the_line_of_the_record_that_says_it(tmp_path: Path) -> None:
    file, text = changed(
        tmp_path, SHIPPED.replace('rule = "most_recently_verified"', 'rule = "precedence"', 1)
    )
    problem = found(file, "owners_count")
    line = text[: text.index("[record.license]")].count("\n") + 1
    assert problem.where == f"{file}:{line + 3}"  # rule = ...


GUARDS = [(record, field) for record, fields in GUARDED.items() for field in sorted(fields)]


@pytest.mark.parametrize(("record", "field"), GUARDS)
def test_identity_and_money_are_known_fields_that_two_people_decide(record: str, field: str) -> None:
    matrix = read().matrix
    assert matrix is not None
    found = matrix.records[record][field]
    assert load_catalog().field(record, field)
    assert found.rule == "derived" or found.approval == "A2"
    assert "auto_accept" not in found.policies.values()


@pytest.mark.parametrize(
    "field", ["npi", "last_name", "date_of_birth", "tin", "remit_address", "location_npi", "group_tin"]
)
def test_identity_and_money_are_never_accepted_by_themselves(tmp_path: Path, field: str) -> None:
    """Whatever else its row says: the row that names the field is given auto_accept and A0."""
    start = SHIPPED.index(f'"{field}"', SHIPPED.index("[record."))
    rest = SHIPPED[start:].split("\n\n", 1)
    lines = [
        line for line in rest[0].split("\n") if not line.startswith(("edit", "approval", "rule", "owner"))
    ]
    said = '\nedit = "auto_accept"\napproval = "A0"\nrule = "source_of_truth"\nowner = "credentialing"'
    file, _ = changed(tmp_path, SHIPPED[:start] + "\n".join(lines) + said + "\n\n" + rest[1])
    codes = {p.code for p in read(file).problems if field in p.what}
    assert {"authority.auto_accept_unsafe", "authority.approval_low"} <= codes


@pytest.mark.parametrize(
    ("before", "after", "code", "at"),
    [
        ('approver = "compliance"', 'approver = "credentialing_manager"', "approver_is_owner", "approver"),
        ("review_due = 2027", "review_due = 2025", "review_dates", "review_due"),
    ],
)
def test_a_head_that_is_out_of_order_is_refused(
    tmp_path: Path, before: str, after: str, code: str, at: str
) -> None:
    file, text = changed(tmp_path, SHIPPED.replace(before, after, 1))
    line = next(n for n, said in enumerate(text.splitlines(), 1) if said.startswith(at))
    assert found(file, code).where == f"{file}:{line}"


def test_every_check_is_reached() -> None:
    assert {code for code, *_ in CONTRADICTIONS} | {"not_restored"} == CHECKS.keys()


def test_what_ships_has_no_problem() -> None:
    assert read().problems == ()
