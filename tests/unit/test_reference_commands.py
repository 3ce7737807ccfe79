"""`concord reference`: what it prints, what it asks, and with which code it leaves. No Kafka: nobody is told."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams import settings
from streams.cli.main import app
from tests.published import DARK, GROUP, NPPES, NUCC, PERSON, registration, text, write

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acts: list[Any]) -> Iterator[Run]:
    """The command with a folder of its own, away from any stack."""
    for name in [name for name in os.environ if name.startswith("CONCORD_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CONCORD_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CONCORD_REFERENCE_DIR", str(tmp_path / "reference"))
    settings.load.cache_clear()
    yield lambda *words: CliRunner().invoke(app, ["reference", *map(str, words)])
    settings.load.cache_clear()


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str], Path]:
    return lambda content: write(tmp_path / "npidata.csv", content)


File = Callable[[str], Path]


def people(count: int) -> str:
    return text(NPPES, *({**PERSON, "NPI": str(2_000_000_000 + n)} for n in range(count)))


def answer(result: Any) -> Any:
    return json.loads(result.stdout)


def test_a_load_says_what_it_read_and_changed_and_that_nobody_was_told(run: Run, file: File) -> None:
    result = run("load", "nppes", file(text(NPPES, PERSON, GROUP, DARK)), "--as-of", "2026-11-08")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "nppes: 3 rows as of 2026-11-08 (full, npidata.csv)",
        "  read 3: 3 kept, 1 dark, 0 left out",
        "  3 added, 0 changed, 0 removed",
        "  nobody was told: CONCORD_KAFKA is not known; the same command again tells what is loaded",
    ]
    again = answer(run("load", "nppes", file(text(NPPES, PERSON, GROUP, DARK)), "--json"))["result"]
    assert (again["loaded"]["already"], again["told"]) == (True, None)


def test_a_broken_file_leaves_with_2_and_stands_in_the_status(run: Run, file: File) -> None:
    assert run("load", "nppes", file(people(3))).exit_code == 0
    result = run("load", "nppes", file("<html>"), "--json")
    assert (result.exit_code, answer(result)["error"]["code"]) == (2, "reference.unavailable")
    found = {each["source"]: each for each in answer(run("status", "--json"))["result"]}
    assert (found["nppes"]["state"], found["nppes"]["version"]["entries"]) == ("unavailable", 3)
    assert (found["sam"]["state"], found["sam"]["version"]) == ("unavailable", None)
    assert "npidata.csv is HTML, not data" in run("status").stdout


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_without_a_terminal_a_suspect_load_leaves_with_2_and_says_how_to_accept_it(
    run: Run, file: File, words: tuple[str, ...]
) -> None:
    run("load", "nppes", file(people(100)))
    result = run("load", "nppes", file(people(50)), *words)
    assert result.exit_code == 2
    assert "--yes" in result.output
    assert run("load", "nppes", file(people(50)), "--max-drop", "0.6").exit_code == 0
    run("load", "nppes", file(people(100)))
    assert run("load", "nppes", file(people(10)), "--yes", *words).exit_code == 0


def test_what_an_npi_has_is_shown_and_what_cannot_be_asked_is_told_apart(run: Run, file: File) -> None:
    run("load", "nppes", file(text(NPPES, PERSON)), "--as-of", "2026-11-08")
    shown = run("show", PERSON["NPI"]).stdout
    assert "  last_name: QUILLMERE" in shown
    assert "sam (unavailable): can't be asked: never loaded" in shown
    assert "says nothing" in run("show", GROUP["NPI"]).stdout
    rows = {
        said["source"]: said["rows"]
        for said in answer(run("show", GROUP["NPI"], "--json"))["result"]["witnesses"]
    }
    assert rows == {"nppes": {}, "leie": None, "sam": None}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("load", "npes", "x"), "reference.unknown"),
        (("load", "nppes", "/nowhere/x.csv"), "reference.unreadable"),
        (("load", "nppes", "x.csv", "--mode", "half"), "reference.mode"),
        (("show", "12345"), "key.form"),
    ],
)
def test_wrong_input_leaves_with_2_and_a_code(run: Run, words: tuple[str, ...], code: str) -> None:
    result = run(*words, "--json")
    assert (result.exit_code, answer(result)["error"]["code"]) == (2, code)


def test_a_list_of_codes_is_told_where_kafka_is_known(run: Run, file: File) -> None:
    code = {"Code": "207Q00000X", "Section": "Individual"}
    result = run("load", "nucc", file(text(NUCC, code)), "--as-of", "2026-07-01")
    assert "nobody was told: CONCORD_KAFKA is not known" in result.stdout


def test_the_dea_file_is_screened_with_where_kafka_is_known(run: Run, file: File) -> None:
    result = run("load", "dea", file(registration("AQ1234563") + "\n"), "--as-of", "2026-07-01")
    assert "nobody was told: CONCORD_KAFKA is not known" in result.stdout


def test_following_needs_an_address_of_kafka(run: Run) -> None:
    assert run("follow", "--no-supervised").exit_code == 3
