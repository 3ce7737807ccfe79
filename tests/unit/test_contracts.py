"""The files a worker decides by: all that is wrong is said before it starts, and nothing starts it again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import contracts
from stack import layout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project with a `schemas` folder of its own."""
    for name in ("streams", "connectors", "stack"):
        (tmp_path / name).symlink_to(layout.PROJECT / name)
    shutil.copytree(
        layout.PROJECT / "schemas", tmp_path / "schemas", ignore=shutil.ignore_patterns("__pycache__")
    )
    return tmp_path


def edit(project: Path, name: str, old: str, new: str) -> None:
    file = project / "schemas" / name
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def worker(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`concord worker`, supervised, with services that nobody may reach for."""
    nowhere = {"CONCORD_KAFKA": "127.0.0.1:1", "CONCORD_REGISTRY": "http://127.0.0.1:1"}
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(project)}
    command = [sys.executable, "-m", "streams.cli", "worker", *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_shipped_files_are_sound() -> None:
    assert contracts.problems() == []


def test_problems_of_all_files_are_told_at_once(project: Path) -> None:
    edit(project, "authority.toml", "version =", "versoin =")
    edit(project, "mapping/billing.toml", 'mode = "state"', 'mode = "stat"')
    edit(project, "mapping/directory.toml", "rekeyed = true", 'rekeyed = "yes"')
    found = {(Path(p.where.rsplit(":", 1)[0]).name, p.code) for p in contracts.problems(project / "schemas")}
    assert ("billing.toml", "mapping.name_unknown") in found
    assert ("directory.toml", "mapping.type_wrong") in found
    assert ("authority.toml", "authority.key_unknown") in found


def test_a_worker_given_wrong_files_refuses_to_start_and_is_not_started_again(project: Path) -> None:
    edit(project, "mapping/credentialing.toml", 'npi = "npi"', 'npi = "np"')
    edit(project, "authority.toml", "version =", "versoin =")
    ended = worker(project)
    assert ended.returncode == 2, ended.stderr
    assert "credentialing.toml:" in ended.stderr
    assert "did you mean 'npi'?" in ended.stderr
    assert "authority.toml:" in ended.stderr
    assert "did you mean 'version'?" in ended.stderr
    assert "process.restart" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_command_that_reads_them_refuses_the_same_way(project: Path) -> None:
    edit(project, "authority.toml", "version =", "versoin =")
    command = [sys.executable, "-m", "streams.cli", "authority", "show", "license"]
    ended = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "did you mean 'version'?" in ended.stderr


def test_comments_and_layout_are_no_other_version(project: Path) -> None:
    before = contracts.digest(project / "schemas")
    edit(project, "authority.toml", "version =", "# a remark\nversion   =")
    assert contracts.digest(project / "schemas") == before == contracts.digest()
    edit(project, "mapping/billing.toml", "version = 1", "version = 2")
    assert contracts.digest(project / "schemas") != before
    assert contracts.generations(project / "schemas")["mapping.billing"] == 2
