"""`concord authority`: problems with file, line, why and fix under exit code 2, and rows that read at a glance."""

from __future__ import annotations

import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.operate import authority

SHIPPED = files("schemas").joinpath("authority.toml").read_text("utf-8")
WRONG = ('["nucc_code"', '["nuc_code"')


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["authority", *arguments])
    return result.exit_code, result.output


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    file = tmp_path / "authority.toml"
    file.write_text(SHIPPED.replace(*WRONG, 1))
    return file


def test_the_file_that_ships_is_sound() -> None:
    code, said = run("check")
    assert code == 0
    assert "fields of" in said


def test_a_wrong_file_is_told_with_place_reason_and_cure(wrong: Path) -> None:
    line = SHIPPED[: SHIPPED.index(WRONG[0])].count("\n") + 1
    code, said = run("check", str(wrong))
    assert code == 2
    for words in (
        f"ERROR  {wrong}:{line}  authority.field_unknown",
        "record 'taxonomy' has no field 'nuc_code'",
        "why: canonical.toml has no such field",
        "fix: did you mean 'nucc_code'?",
        f"{wrong}: 2 problems",
    ):
        assert words in said


def test_problems_are_data_for_programs(wrong: Path) -> None:
    code, said = run("check", str(wrong), "--json")
    answer = json.loads(said)
    assert (code, answer["ok"]) == (2, False)
    problem = answer["result"]["problems"][0]
    assert problem.keys() == {"code", "where", "what", "why", "fix", "warning"}


def test_a_file_that_is_not_there_is_wrong_input(tmp_path: Path) -> None:
    assert run("check", str(tmp_path / "nowhere.toml"))[0] == 2


def test_an_overdue_review_is_said_and_is_no_failure() -> None:
    found = authority.check(None, date(2999, 1, 1))
    assert [problem.code for problem in found.problems] == ["authority.review_overdue"]
    assert found.sound
    assert found.fields


def test_a_field_reads_at_a_glance() -> None:
    code, said = run("show", "organization.tin")
    rows = dict(line.strip().split("  ", 1) for line in said.splitlines()[1:])
    shown = {name: value.strip() for name, value in rows.items()}
    assert code == 0
    assert shown["owner"] == "credentialing"
    assert shown["edits"] == "billing: propose; others: revert"
    assert shown["approval"].startswith("A2 (billing lead or enrollment lead); with w9 or irs letter")
    assert shown["written to"] == "billing"
    assert shown["source"].startswith("5 TIN; authority.toml:")


@pytest.mark.parametrize(
    ("field", "owners", "edits", "approval"),
    [
        ("location.line1", "credentialing > directory > payer > billing", "directory: auto accept; others: propose",
         "A0; proposal A1; relocation A2 (credentialing manager); with address check"),
        ("provider.languages", "credentialing + directory", "others: auto accept", "A0; removal A1"),
        ("provider.last_name", "credentialing", "directory, payer: propose; nppes: conflict (high); others: conflict (high)",
         "A2 (credentialing manager)"),
        ("former_name.last_name", "credentialing", "directory, payer, witnesses: auto accept; others: revert",
         "A0; removal A1"),
        ("exclusion_hit.disposition", "credentialing", "witnesses: propose; others: propose",
         "HOLD; release A3 (credentialing manager)"),
    ],
)  # fmt: skip
def test_the_words_of_a_row(field: str, owners: str, edits: str, approval: str) -> None:
    (found,) = authority.show(field)
    assert authority.owners(found) == owners
    assert authority.edits(found) == edits
    assert authority.approval(found) == approval


def test_a_record_has_one_line_a_field() -> None:
    code, said = run("show", "license")
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()] == [
        "field",
        *(f.name for f in authority.show("license")),
    ]


def test_without_a_name_everything_is_shown() -> None:
    found = json.loads(run("show", "--json")[1])["result"]
    assert len(found) == len(authority.show(None))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("locaton", "location"), ("location.fone", "location.phone"), ("location.", "phone")],
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    code, said = run("show", name)
    assert code == 2
    assert nearest.split(".")[-1] in said
