"""Every scenario of this folder holds; a scenario that can't hold says what differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.errors import InvalidInput
from streams.operate import scenario

HERE = Path(__file__).parent
FILES = sorted(
    [*HERE.glob("*.toml"), *(f for d in ("authority", "rules", "two_way") for f in HERE.glob(f"{d}/*.toml"))]
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_scenario_holds(path: Path) -> None:
    result = scenario.run_one(path)
    assert result.passed, "\n".join([result.title, *result.problems])


def test_a_scenario_that_fails_names_each_difference(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("""
title = "Wrong on purpose"
[[when]]
on = 2026-06-01
change = [{ table = "provider", row = { provider_id = "x", npi = "1234567893", last_name = "Sample", status = "active" } }]
[then]
verdict = { "provider/x" = "withdraw provider.terminated", "provider/y" = "pass" }
findings = { "provider/x" = ["format.npi_shape provider/x/npi"] }
absent = ["billing/provider/x"]
quarantined = ["change.undecodable"]
[then.view."directory/provider/x"]
last_name = "Example"
no_such = 1
[then.view."directory/provider/y"]
""")
    [result] = scenario.run([file])
    assert not result.passed
    assert result.problems == [
        "view directory/provider/x.last_name: 'Sample', wanted 'Example'",
        "view directory/provider/x.no_such: no such field",
        "view directory/provider/y: none was sent",
        "view billing/provider/x: one was sent",
        "findings provider/x: [], wanted ['format.npi_shape provider/x/npi']",
        "verdict provider/x: 'pass', wanted 'withdraw provider.terminated'",
        "verdict provider/y: 'unknown', wanted 'pass'",
        "quarantined: [], wanted ['change.undecodable']",
    ]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("title = ", "scenario.syntax"),
        ("title = 'x'\nwhens = []\nwhen = []", "scenario.key_unknown"),
        ("title = 'x'", "scenario.key_missing"),
        ("title = 1\nwhen = []", "scenario.type_wrong"),
        ("title = 'x'\ntitle = 'y'\nwhen = []", "scenario.duplicate"),
        ("title = 'x'\nwhen = [{ tick = 2026-06-01, on = 2026-06-01 }]", "scenario.type_wrong"),
        ("title = 'x'\nwhen = []\nthen = { findings = { 'provider/x' = ['licence.laped license/l'] } }", "scenario.code"),
        ("title = 'x'\nwhen = [{ on = 2026-06-01, system = 'directry', change = [{ table = 'x', row = {} }] }]", "scenario.system"),
        ("title = 'x'\nuse = ['nowhere.toml']\nwhen = []", "scenario.unreadable"),
        ("title = 'x'\nwhen = []\n[[given]]\ntable = 'provider'\nrow = { provider_id = 'x', ssn = '1' }", "scenario.column"),
        ("title = 'x'\nwhen = []\n[[given]]\ntable = 'nonsense'\nrow = {}", "scenario.table"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_run_says_why(text: str, code: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        scenario.run([file])
    assert caught.value.code == code


def test_every_problem_of_a_file_is_told_at_once_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    file = tmp_path / "typos.toml"
    file.write_text("""title = "typos"
[[given]]
table = "provider"
row = { provider_id = "x", lastname = "Sample" }
[[when]]
on = 2026-06-01
change = [{ table = "licence", row = { license_id = "l" } }]
[when.then]
findings = { "provider/x" = ["licence.laped license/l/expires"] }
[then.finding."provider/x licence.expirng license/l/expires"]
due = "2026-06-02"
""")
    with pytest.raises(InvalidInput) as caught:
        scenario.load(file)
    assert caught.value.message.splitlines() == [
        f"{file}:2: credentialing.provider has no column 'lastname'; did you mean 'last_name'?",
        f"{file}:7: credentialing has no table 'licence'; did you mean 'license'?",
        f"{file}:9: unknown code 'licence.laped'; did you mean 'licence.lapsed'?",
        f"{file}:10: unknown code 'licence.expirng'; did you mean 'licence.expiring'?",
    ]
