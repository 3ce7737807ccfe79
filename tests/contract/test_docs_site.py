"""The docs: they build as a site without a warning, and every command they show is one the real command line knows."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer

from stack.layout import PROJECT
from streams.cli.main import app

PAGES = sorted([*(PROJECT / "docs").rglob("*.md"), PROJECT / "README.md", PROJECT / "CONTRIBUTING.md"])
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^(?: {4}|\t)(.+)$")
SHOWN = re.compile(r"(?:^|(?<=[\s(\"]))(?:\.venv/bin/)?concord (?=[a-z-])(.*)")
ENDS = re.compile(r"\s{2,}|\s#|\s&&|\s>|\s\|\s|;|\s--\s")
"""What follows in a line is not the command's: a remark, a pipe, another command."""
PROSE = {
    "up starts none": "a sentence about `concord up`",
    "worker: mapping.field: schemas/mapping/credentialing.toml:14: table provider: column npi: record 'provider' has no "
    "field 'np'": "what a worker says",
}
"""A line that looks like a command and is none -> why."""


class Shown(NamedTuple):
    """A command line, where it stands."""

    where: str
    text: str


def shown() -> Iterator[Shown]:
    """Every command line of every page."""
    for page in PAGES:
        fenced = False
        for number, line in enumerate(_joined(page.read_text("utf-8")).splitlines(), 1):
            fenced = fenced != line.lstrip().startswith("```")
            block = line.strip() if fenced else found[1] if (found := BLOCK.match(line)) else None
            for text in [block] if block else CODE.findall(line):
                if found := SHOWN.search(text):
                    yield Shown(f"{page.relative_to(PROJECT)}:{number}", ENDS.split(found[1], maxsplit=1)[0])


def _joined(text: str) -> str:
    """A command over several lines as one."""
    return re.sub(r"\\\n\s*", " ", text)


def wrong(text: str) -> str:
    """Why the command line doesn't know this; empty where it does. Words in capitals and `...` are anything."""
    plain = re.sub(r"(?<=\w)\[[^\]]*\]", "", text.replace("\\|", "|"))  # SYSTEM[.TABLE] is one word
    words = shlex.split(re.sub(r"[\[\]]", " ", plain))
    commands: list[Any] = [typer.main.get_command(app)]
    while words and any(hasattr(command, "commands") for command in commands):
        if words[0].startswith("--"):
            break
        names = words.pop(0).split("|")
        known = {name: part for c in commands for name, part in getattr(c, "commands", {}).items()}
        if unknown := [name for name in names if name not in known]:
            return f"no command {' '.join(unknown)}"
        commands = [known[name] for name in names]
    return _options(words, commands)


def _options(words: list[str], commands: list[Any]) -> str:
    params = [param for command in commands for param in command.params]
    options = {name: p for p in params for name in (*p.opts, *p.secondary_opts) if name.startswith("--")}
    places = [p for p in params if not p.opts[0].startswith("-")]
    most = None if any(p.nargs < 0 for p in places) else len(places)
    given = 0
    while words:
        word = words.pop(0)
        name = word.partition("=")[0]
        if not word.startswith("--"):
            given += word != "..."
        elif name not in options and name != "--help":
            return f"no option {name}"
        elif name in options and not options[name].is_flag and "=" not in word and words:
            words.pop(0)
    return f"{given} arguments where {most} are" if most is not None and given > most else ""


COMMANDS = sorted(set(shown()))


def test_the_pages_show_commands() -> None:
    assert len(COMMANDS) > 150


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: f"{line.where} {line.text}"[:80])
def test_every_command_that_is_shown_is_one_that_exists(line: Shown) -> None:
    if line.text not in PROSE:
        assert wrong(line.text) == "", f"{line.where}: concord {line.text}"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pauze directory", "no command pauze"),
        ("pause directory --because x", "no option --because"),
        ("pause directory billing --reason x", "2 arguments where 1 are"),
        (r"quarantine list\|shew", "no command shew"),
    ],
)
def test_a_command_that_does_not_exist_would_be_found(text: str, why: str) -> None:
    assert wrong(text) == why


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    shutil.copytree(PROJECT / "docs", tmp_path / "docs")
    shutil.copy(PROJECT / "zensical.toml", tmp_path)
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    assert "No issues found" in built.stdout + built.stderr
    assert (tmp_path / "site" / "index.html").is_file()
