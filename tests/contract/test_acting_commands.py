"""Every command that changes something is in the audit before it does: none acts that can't be written down.

Each is run with everything at an address where nobody answers. Whoever says first that the audit can't be written has
asked it first.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from connectors.source import Names
from connectors.sources import Source
from streams import settings
from streams.cli.acting import EXEMPT, ITSELF
from streams.cli.main import app
from streams.errors import EnvironmentFault
from streams.operate.guard.remedies import Remedies
from streams.operate.verify.found import Divergence
from streams.operate.verify.repair import Repair
from streams.settings import Settings
from streams.systems import SYSTEMS

NOWHERE = "127.0.0.1:1"
DATABASE = f"postgresql://nobody@{NOWHERE}/stewardship"

ACTS = {
    "topics apply": [],
    "sources apply": ["credentialing"],
    "sources backfill": ["credentialing.license", "--apply"],
    "load generated": ["--count", "1"],
    "load nppes": ["npidata.csv"],
    "quarantine replay": ["--apply"],
    "quarantine discard": ["--reason", "a test row", "--apply"],
    "reference load": ["nppes", "npidata.csv"],
    "reference screen": [],
    "clock tick": [],
    "export": ["directory", "--to", "exports"],
    "schema publish": [],
    "acls apply": [],
    "pause": ["directory", "--reason", "upgrade"],
    "resume": ["directory"],
    "rewind": ["portal", "--topic", "sink.directory.provider", "--to", "beginning", "--apply"],
}
"""Command -> arguments with which it acts."""
ALSO = {
    "export": ["directory", "--returned", "returned.jsonl"],
    "guard": ["--settle", "credentialing", "--by", "pat"],
}
READS = {
    *(
        "handoffs",
        "kpi",
        "status",
        "explain",
        "trace",
        "findings",
        "parity",
        "doctor",
        "sample",
        "tail",
        "test",
    ),
    *("topics plan", "sources plan", "sources status", "mapping check", "acls plan"),
    *("authority check", "authority diff", "authority show", "rules test", "rules list", "schema check"),
    *("quarantine list", "quarantine show", "reference status", "reference show", "verify status"),
    *("proposals list", "proposals show", "proposals audit"),
    *("audit list", "audit show", "audit overruled", "audit verify", "audit export"),
}
"""They change nothing."""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command, as it is typed."""
    parts = getattr(command, "commands", None)
    if parts is None:
        yield " ".join(path)
        return
    for name, part in parts.items():
        yield from commands(part, (*path, name))


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Every address is known, and nobody answers at any."""
    for name in ("KAFKA", "REGISTRY", "CONNECT", "STEWARD", "AUDIT"):
        monkeypatch.setenv(f"CONCORD_{name}", DATABASE if name in ("STEWARD", "AUDIT") else NOWHERE)
    for system in SYSTEMS:
        for kind in ("DATABASE", "CAPTURE", "ADAPTER", "CANARY"):
            monkeypatch.setenv(f"CONCORD_{kind}_{system.upper()}", DATABASE)
    monkeypatch.setenv("CONCORD_REFERENCE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    settings.load.cache_clear()
    yield settings.load()
    settings.load.cache_clear()


def test_every_command_is_known_to_act_to_read_or_to_be_exempt_and_is_only_one_of_them() -> None:
    kinds: list[Any] = [ACTS, READS, ITSELF, EXEMPT]
    listed = [name for kind in kinds for name in kind]
    assert sorted(listed) == sorted(set(listed))
    assert set(commands(typer.main.get_command(app))) == set(listed)


@pytest.mark.parametrize(
    ("command", "arguments"), [*ACTS.items(), *ALSO.items()], ids=[*ACTS, *(f"{name} also" for name in ALSO)]
)
def test_a_command_that_cannot_be_written_down_does_nothing(
    nowhere: Settings, tmp_path: Path, command: str, arguments: list[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    done = CliRunner().invoke(app, [*command.split(), *arguments, "--json"])
    assert json.loads(done.stdout)["error"]["code"] == "audit.unwritten", done.output
    assert done.exit_code == 3
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", ["approve", "refuse", "withdraw", "comment"])
def test_a_word_on_a_proposal_goes_where_its_audit_stands_or_nowhere(nowhere: Settings, command: str) -> None:
    role = [] if command == "comment" else ["--role", "data_steward"]
    words = {"refuse": ["--reason", "no diploma"], "comment": ["seen"]}.get(command, [])
    done = CliRunner().invoke(app, ["proposals", command, "1", "--by", "pat", *role, *words, "--json"])
    assert json.loads(done.stdout)["error"]["code"] == "stewardship.unavailable", done.output


def test_a_repair_that_cannot_be_written_down_reads_and_buries_nothing(nowhere: Settings) -> None:
    class System:
        source = Source(Names("credentialing", ""), DATABASE, "")

    class Book:
        def intend(self, *told: Any) -> None:
            raise AssertionError("it was begun")

    lost = Divergence("credentialing", "license", "provider", "p", "1", "missing", [])
    work = Repair(nowhere, System(), Book(), "pat", "asked for", print)  # type: ignore[arg-type]
    with pytest.raises(EnvironmentFault) as refused:
        work.mend([lost])
    assert refused.value.code == "audit.unwritten"


def test_a_remedy_of_the_guard_that_cannot_be_written_down_is_left_alone(nowhere: Settings) -> None:
    asked: list[Any] = []
    source = Source(Names("credentialing", ""), DATABASE, "")
    remedies = Remedies(nowhere, source, f"http://{NOWHERE}")
    assert remedies._do("pause", ["source.replaced"], 1.0, asked.append) == ""
    assert asked == []
