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
        ("title = ", "scenario.invalid"),
        ("title = 'x'\nwhens = []", "scenario.invalid"),
        ("title = 'x'\nuse = ['nowhere.toml']\nwhen = []", "scenario.unreadable"),
        ("title = 'x'\nwhen = []\n[[given]]\ntable = 'provider'\nrow = { provider_id = 'x', ssn = '1' }", "scenario.column"),
        ("title = 'x'\nwhen = []\n[[given]]\ntable = 'nonsense'\nrow = {}", "scenario.column"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_run_says_why(text: str, code: str, tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        scenario.run([file])
    assert caught.value.code == code
