"""Every command says what it does, shows an example, answers in JSON, and leaves with a documented code."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from streams.cli import output
from streams.cli.main import app
from streams.errors import EnvironmentFault, InvalidInput, Unavailable

PROCESSES = {"worker", "adapter", "reference follow", "verify follow"}
"""They run until they are told to stop and answer nothing."""


def commands(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Typer brings its own click: told apart by what they have."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


COMMANDS: dict[str, Any] = dict(commands(typer.main.get_command(app)))


def test_the_documented_commands_are_there() -> None:
    assert set(COMMANDS) >= {
        "up", "down", "demo", "worker", "adapter", "status", "explain", "trace", "mapping check",
        "sources plan", "sources apply", "sources status", "topics plan", "topics apply",
        "systems apply", "schema publish", "load generated", "load nppes",
        "reference load", "reference status", "reference show", "reference follow", "clock tick",
    }  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example_of_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert command.epilog
    assert command.epilog.startswith(f"Example: concord {name}")


@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - PROCESSES))
def test_every_command_that_answers_has_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in COMMANDS[name].params)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_says_what_it_is(name: str) -> None:
    for parameter in COMMANDS[name].params:
        assert getattr(parameter, "help", None), f"{name} {parameter.name}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("a.b", "m", "n"), 1),
        (InvalidInput("a.b", "m", "n"), 2),
        (EnvironmentFault("a.b", "m", "n"), 3),
    ],
)
def test_an_error_leaves_with_its_code_and_one_envelope(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def work() -> None:
        raise error

    with pytest.raises(typer.Exit) as left:
        output.answer("some command", True, work, str)
    assert left.value.exit_code == code
    said = json.loads(capsys.readouterr().out)
    assert said == {
        "command": "some command",
        "ok": False,
        "error": {"code": "a.b", "message": "m", "next_step": "n"},
    }


def test_what_was_found_to_be_wrong_leaves_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        output.answer(
            "mapping check", True, lambda: {"billing": ["problem"]}, str, lambda found: any(found.values())
        )
    assert left.value.exit_code == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["ok"], said["result"]) == (False, {"billing": ["problem"]})


def test_a_key_of_no_form_is_wrong_input() -> None:
    result = CliRunner().invoke(app, ["adapter", "nowhere"])
    assert result.exit_code == 2


def test_a_log_that_cannot_be_written_ends_no_process() -> None:
    """A supervisor whose log stands on a full disk must still start again what ended."""
    program = "from streams.cli import output; import structlog; output.log_to_stderr(); structlog.get_logger().warning('x'); print('lives')"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, check=False, timeout=60
        )
    assert done.stdout == b"lives\n"
