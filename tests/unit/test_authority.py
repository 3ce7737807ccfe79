"""The authority file, read strictly: what it may not say is refused with file, line and the nearest valid name."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from schemas.authority import FieldAuthority, load_authority, load_rules, read
from schemas.catalog import Catalog, load_catalog
from schemas.problem import Problem
from streams.core.authority import compile_owners, owned_by
from streams.errors import InvalidInput

SCHEMAS = Path(__file__).parents[2] / "schemas"
SHIPPED = (SCHEMAS / "authority.toml").read_text("utf-8")
LICENSE = '[record.license]\nfields = ["state", '


class Changed:
    """The shipped file with one thing made wrong, and what is said about it."""

    def __init__(self, folder: Path, before: str, after: str) -> None:
        assert SHIPPED.count(before) >= 1, before
        self.text = SHIPPED.replace(before, after, 1)
        self.file = folder / "authority.toml"
        self.file.write_text(self.text)

    def line_of(self, words: str) -> int:
        return self.text[: self.text.index(words)].count("\n") + 1

    def problems(self) -> list[Problem]:
        return list(read(self.file).problems)


@pytest.mark.parametrize(
    ("before", "after", "code", "at", "said", "nearest"),
    [
        ("review_due", "revew_due", "key_unknown", "revew_due", "revew_due", "'review_due'"),
        ('rule = "union"', 'ruel = "union"', "key_unknown", "ruel =", "ruel", "'rule'"),
        ('rule = "precedence"', 'rule = "precedense"', "name_unknown", "precedense", "precedense", "'precedence'"),
        ('edit = "conflict"', 'edit = "conflikt"', "name_unknown", "conflikt", "conflikt", "'conflict'"),
        ("{ directory = ", "{ directry = ", "name_unknown", "directry", "directry", "'directory'"),
        ('["directory", "cred', '["directory", "kred', "name_unknown", '"kred', "kredentialing", "'credentialing'"),
        ('"enrollment_lead"', '"enrolment_lead"', "name_unknown", "enrolment_lead", "enrolment_lead", "'enrollment_lead'"),
        ('evidence = ["nppes"', 'evidence = ["npes"', "name_unknown", '"npes"', "npes", "'nppes'"),
        ('removal = "A1"', 'removel = "A1"', "name_unknown", "removel", "removel", "'removal'"),
        ("[record.education]", "[record.eduction]", "record_unknown", "[record.eduction]", "eduction", "'education'"),
        ('["nucc_code"', '["nuc_code"', "field_unknown", '"nuc_code"', "nuc_code", "'nucc_code'"),
        ('"caqh_id"', '"caqhid"', "field_unknown", '"caqhid"', "caqhid", "'caqh_id'"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_its_line_and_the_nearest_one(
    tmp_path: Path, before: str, after: str, code: str, at: str, said: str, nearest: str
) -> None:
    changed = Changed(tmp_path, before, after)
    found = next(p for p in changed.problems() if p.code == f"authority.{code}")
    assert found.where == f"{changed.file}:{changed.line_of(at)}"
    assert said in found.what
    assert nearest in found.fix


@pytest.mark.parametrize(
    ("before", "after", "code", "at", "said"),
    [
        ("version = 2", 'version = "two"', "type_wrong", "version", "version"),
        ('approvers = ["credentialing_manager"]', "approvers = 3", "type_wrong", "approvers = 3", "approvers"),
        ('edit = "conflict"', "edit = true", "type_wrong", "edit = true", "edit"),
        ("reviewed_on = 2026-11-20", 'reviewed_on = "lately"', "type_wrong", "reviewed_on", "reviewed_on"),
        ("version = 2\n", "", "key_missing", "#", "version is missing"),
        ('[record.license]\nfields', '[record.license]\nnote = ""\n[[record.license.row]]\nfields', "key_missing",
         "[record.license]", "record.license.owner is missing"),
        ("version = 2", "version = = 2", "syntax", "version", "line"),
        ("version = 2", "version = 2\nversion = 3", "duplicate", "version = 3", "version is said twice"),
        ('write = "always"', 'write = "always"\nwrite = "never"', "duplicate", 'write = "never"\nsource', "write is said twice"),
        ("[record.denial]", "[record.license]\n[record.denial]", "duplicate", "[record.license]\n[record.denial]",
         "record.license is said twice"),
        ('"gap_explanation"]', '"gap_explanation", "employer"]', "field_twice", '"gap_explanation", "employer"',
         "work_history.employer is said twice"),
        ('["effective_from"]', '["effective_from", "role"]', "field_twice", '["effective_from", "role"]',
         "affiliation.role is said twice"),
        (LICENSE, '[record.license]\nfields = [', "field_missing", "[record.license]", "license.state has no owner"),
    ],
)  # fmt: skip
def test_what_is_wrong_missing_or_said_twice_is_refused_with_its_line(
    tmp_path: Path, before: str, after: str, code: str, at: str, said: str
) -> None:
    changed = Changed(tmp_path, before, after)
    found = next(p for p in changed.problems() if p.code == f"authority.{code}")
    assert found.where == f"{changed.file}:{changed.line_of(at)}"
    assert said in found.what
    assert found.why
    assert found.fix


def test_a_record_without_a_table_is_refused(tmp_path: Path) -> None:
    start, end = SHIPPED.index("[record.denial]"), SHIPPED.index("# ---- 7.")
    (found,) = Changed(tmp_path, SHIPPED[start:end], "").problems()
    assert (found.code, "'denial'" in found.what) == ("authority.record_missing", True)


def test_every_problem_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    changed = Changed(tmp_path, '["nucc_code"', '["nuc_code"')
    assert {p.code for p in changed.problems()} == {"authority.field_unknown", "authority.field_missing"}


def test_a_worker_given_a_wrong_file_is_told_file_line_and_the_nearest_name(tmp_path: Path) -> None:
    changed = Changed(tmp_path, '["nucc_code"', '["nuc_code"')
    with pytest.raises(InvalidInput) as caught:
        load_authority(changed.file)
    assert caught.value.code == "authority.field_unknown"
    assert f"{changed.file}:{changed.line_of('nuc_code')}: " in caught.value.message
    assert "did you mean 'nucc_code'?" in caught.value.message


def test_a_file_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nowhere"):
        load_rules(tmp_path / "nowhere.toml")


# ---- reviews ----


def test_an_overdue_review_is_a_warning_and_the_file_is_used(tmp_path: Path) -> None:
    due = load_rules().review_due
    reading = read(today=date(due.year + 1, 1, 1))
    (found,) = reading.problems
    assert (found.code, found.warning) == ("authority.review_overdue", True)
    assert found.where == f"authority.toml:{SHIPPED[: SHIPPED.index('review_due')].count(chr(10)) + 1}"
    assert reading.matrix is not None
    assert read(today=due).problems == ()


# ---- what a row inherits ----


def row(folder: Path, text: str) -> FieldAuthority:
    """education.degree, said by a row of its own."""
    changed = Changed(folder, '["institution", "degree", ', '["institution", ')
    split = changed.text.index("[record.work_history]")
    text = f'[[record.education.row]]\nfields = ["degree"]\n{text}\n'
    changed.file.write_text(changed.text[:split] + text + changed.text[split:])
    return load_rules(changed.file).records["education"]["degree"]


def test_a_row_has_what_its_record_and_the_defaults_say(tmp_path: Path) -> None:
    field = row(tmp_path, "")
    assert (field.rule, field.owners, field.evidence) == (
        "source_of_truth",
        ("credentialing",),
        ("psv", "application"),
    )
    assert (field.approval, field.effective, field.source) == ("A1", "immediate", "4 education")


def test_a_row_with_another_default_starts_the_exceptions_anew(tmp_path: Path) -> None:
    inherited = load_rules().records["affiliation"]["role"]
    assert inherited.policies["enrollment"] == "propose"
    assert load_rules().records["affiliation"]["billing_entity_id"].policies["enrollment"] == "revert"


def test_a_note_is_not_inherited() -> None:
    provider = load_rules().records["provider"]
    assert provider["provider_id"].note
    assert not provider["degree"].note


def test_a_witness_is_observed_unless_it_is_named(tmp_path: Path) -> None:
    assert row(tmp_path, 'edit = "conflict"').policies["leie"] == "observe"
    assert row(tmp_path, 'edit_by = { external = "propose" }').policies["leie"] == "propose"


def test_the_evidence_of_an_external_reference_opens_a_conflict() -> None:
    policies = load_rules().records["provider"]["entity_type"].policies
    assert (policies["nppes"], policies["leie"]) == ("conflict", "observe")


def test_below_the_first_of_a_precedence_an_edit_is_still_judged() -> None:
    field = load_rules().records["location"]["phone"]
    assert field.owners == ("credentialing", "directory")
    assert "credentialing" not in field.policies
    assert field.policies["directory"] == "auto_accept"


def test_every_owner_of_a_union_is_heard_without_a_policy() -> None:
    assert not {"credentialing", "directory"} & load_rules().records["provider"]["languages"].policies.keys()


def test_a_system_is_written_only_where_its_mapping_holds_the_field_and_it_does_not_own_it() -> None:
    location = load_rules().records["location"]
    assert location["name"].write == {"credentialing": "never", "directory": "always", "billing": "always"}
    assert (
        location["line2"].write.items() >= {"credentialing": "never", "directory": "if_not_claimant"}.items()
    )
    assert "billing" not in location["line2"].write
    assert location["url"].write == {"directory": "never"}


# ---- witnesses ----

WITNESS = """
[record.oig_list]
fields = ["npi", "excluded_on"]
owner = "leie"
rule = "external_reference"
edit = "ignore"
approval = "A0"
source = "1 external_reference"
"""


def with_a_witness(folder: Path, said: str = WITNESS) -> tuple[Path, Catalog]:
    """The shipped files with one witness's record more."""
    fields = 'npi = { type = "text", class = "S2" }\nexcluded_on = { type = "date", class = "S2" }\n'
    canonical = (SCHEMAS / "canonical.toml").read_text("utf-8")
    (folder / "canonical.toml").write_text(
        f'{canonical}\n[oig_list]\nkind = "provider"\n[oig_list.fields]\n{fields}'
    )
    (folder / "authority.toml").write_text(SHIPPED + said)
    return folder / "authority.toml", load_catalog(folder)


def test_a_witness_keeps_its_own_record_and_is_written_nowhere(tmp_path: Path) -> None:
    matrix = load_rules(*with_a_witness(tmp_path))
    field = matrix.records["oig_list"]["npi"]
    assert (field.owners, dict(field.write)) == (("leie",), {})
    assert matrix.authority().admitted["oig_list"] == {"leie": None}


def test_a_witness_owns_nothing_by_another_rule(tmp_path: Path) -> None:
    file, catalog = with_a_witness(tmp_path, WITNESS.replace("external_reference", "source_of_truth", 1))
    assert [p.code for p in read(file, catalog).problems] == ["authority.owner_kind"]


def test_a_new_record_without_a_row_is_refused(tmp_path: Path) -> None:
    file, catalog = with_a_witness(tmp_path, "")
    (found,) = read(file, catalog).problems
    assert (found.code, found.what) == ("authority.record_missing", "record 'oig_list' has no table")


# ---- what the core reads ----


def test_the_core_hears_one_system_a_field() -> None:
    authority = load_authority()
    assert authority.version == load_rules().version
    assert authority.admitted["location"]["directory"] == frozenset({"url"})
    assert authority.admitted["location"]["billing"] == frozenset({"pos_code"})
    assert authority.admitted["license"] == {"credentialing": None}
    assert authority.keepers["location"] == "credentialing"


def test_a_record_stays_one_owners_while_its_keeper_is_among_the_owners() -> None:
    """A derived field, and one with a precedence, come from where the record is kept."""
    assert load_authority().admitted["provider"] == {"credentialing": None}
    assert load_authority().admitted["listing"] == {"directory": None}
    assert load_authority().admitted["enrollment"] == {"enrollment": None}


def test_one_owner_of_everything_admits_every_field() -> None:
    authority = owned_by("directory", {"license": ["state", "status"]})
    assert authority.admitted == {"license": {"directory": None}}
    assert authority.keepers == {"license": "directory"}


def test_fields_of_several_owners_are_parted_without_rest() -> None:
    owners = {"license": {"state": "a", "status": "b", "number": "a"}}
    admitted = compile_owners(1, owners, {"license": "a"}).admitted["license"]
    assert admitted == {"a": frozenset({"state", "number"}), "b": frozenset({"status"})}
