"""What a stack remembers between runs: its ports and passwords.

state.json holds ports and is readable; secrets.json (0600) holds the passwords, drawn once. Neither is ever
printed by this module, and neither says whether anything runs (process.py's records do).
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stack import ports
from stack.layout import Layout, ensure_reachable
from stack.progress import Progress
from stack.settings import ADAPTER_ROLES, AUDIT_ROLE, CANARY_ROLE, CAPTURE_ROLE, REGISTRY_ROLE, STEWARD_ROLE

SUPERUSER = "postgres"
CREATED_ROLES = (REGISTRY_ROLE, CAPTURE_ROLE, CANARY_ROLE, STEWARD_ROLE, AUDIT_ROLE, *ADAPTER_ROLES.values())
ROLES = (SUPERUSER, *CREATED_ROLES)


@dataclass(frozen=True, slots=True)
class State:
    ports: Mapping[str, int]
    passwords: Mapping[str, str] = field(repr=False)


def load(folder: Path) -> State | None:
    try:
        found = json.loads((folder / "state.json").read_text())
        passwords = json.loads((folder / "secrets.json").read_text())
    except FileNotFoundError:
        return None
    return State(found["ports"], passwords)


def choose(layout: Layout, environ: Mapping[str, str]) -> State:
    _create_folders(layout)
    known = load(layout.state)
    chosen = ports.choose(known.ports if known else {}, environ)
    return State(chosen, {**draw_passwords(), **(known.passwords if known else {})})


def save(layout: Layout, state: State) -> None:
    _write(layout.state / "secrets.json", dict(state.passwords), 0o600)
    _write(layout.state / "state.json", {"ports": dict(state.ports)}, 0o644)


def password_variable(role: str) -> str:
    """concord_adapter_billing -> CONCORD_ADAPTER_BILLING_PASSWORD: how docker-compose.yml asks for it."""
    return f"CONCORD_{role.removeprefix('concord_').upper()}_PASSWORD"


def draw_passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(24) for role in ROLES}


@contextmanager
def exclusive(layout: Layout, progress: Progress) -> Iterator[None]:
    """One `up`, `down`, `start` or `stop` at a time in one state."""
    _create_folders(layout)
    with (layout.state / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say("another command works on this stack; waiting for it")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _create_folders(layout: Layout) -> None:
    ensure_reachable(layout.state, layout.account)
    for folder in (layout.data("x").parent, layout.log("x").parent, layout.run("x").parent):
        folder.mkdir(exist_ok=True)


def _write(file: Path, content: object, mode: int) -> None:
    fresh = file.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as opened:
        json.dump(content, opened, indent=2)
    fresh.rename(file)
