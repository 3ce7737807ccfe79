"""Where things stand: the project, the cache of downloads, the state of one stack, the unprivileged account.

Pure but for looking at the user and at folder modes. CONCORD_CACHE and CONCORD_STATE override.
"""

from __future__ import annotations

import hashlib
import os
import platform
import pwd
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streams.errors import EnvironmentFault

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Account:
    """The user PostgreSQL runs as when root starts the stack: it refuses to run as root."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Layout:
    cache: Path
    state: Path
    account: Account | None
    project: Path = PROJECT

    def data(self, service: str) -> Path:
        return self.state / "data" / service

    def log(self, service: str) -> Path:
        return self.state / "log" / f"{service}.log"

    def run(self, service: str) -> Path:
        return self.state / "run" / f"{service}.json"


def current(environ: Mapping[str, str] | None = None, *, root: bool | None = None) -> Layout:
    environ = os.environ if environ is None else environ
    root = os.geteuid() == 0 if root is None else root
    return Layout(
        cache=_from(environ, "CONCORD_CACHE") or default_cache(root, environ),
        state=_from(environ, "CONCORD_STATE") or default_state(root, PROJECT),
        account=_unprivileged() if root else None,
    )


def default_cache(root: bool, environ: Mapping[str, str]) -> Path:
    if root:  # root's home is closed to the account PostgreSQL runs as
        return Path("/var/cache/concord")
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "concord"


def default_state(root: bool, project: Path) -> Path:
    """One state a clone, so that two clones on a machine don't share ports or data."""
    if root:
        return Path("/var/lib/concord") / hashlib.sha256(str(project).encode()).hexdigest()[:12]
    return project / ".concord" / "stack"


def maven_platform(system: str = "", machine: str = "") -> str:
    """This machine in the words of the PostgreSQL artifacts: linux-amd64, linux-arm64v8, darwin-..."""
    system = (system or platform.system()).lower()
    machine = (machine or platform.machine()).lower()
    cpu = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64v8", "arm64": "arm64v8"}.get(machine)
    if system not in ("linux", "darwin") or cpu is None:
        raise EnvironmentFault(
            "stack.platform",
            f"no PostgreSQL binaries are pinned for {system} {machine}",
            "use docker compose up, or an external stack (CONCORD_KAFKA and the other variables)",
        )
    return f"{system}-{cpu}"


def ensure_reachable(path: Path, account: Account | None) -> None:
    """Create `path`; when root starts the stack, its account must be able to enter every folder above."""
    path.mkdir(parents=True, exist_ok=True, mode=0o755)
    if account is None:
        return
    for folder in (path, *path.parents):
        if not _may_enter(folder.stat(), account):
            raise EnvironmentFault(
                "stack.folder_closed",
                f"{folder} is closed to the account PostgreSQL runs as (uid {account.uid})",
                f"chmod o+x {folder}, or set CONCORD_CACHE and CONCORD_STATE to folders everyone may enter",
            )


def _may_enter(found: os.stat_result, account: Account) -> bool:
    if found.st_uid == account.uid:
        return bool(found.st_mode & stat.S_IXUSR)
    if found.st_gid == account.gid:
        return bool(found.st_mode & stat.S_IXGRP)
    return bool(found.st_mode & stat.S_IXOTH)


def _unprivileged() -> Account:
    entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _from(environ: Mapping[str, str], name: str) -> Path | None:
    value = environ.get(name)
    return Path(value).expanduser().resolve() if value else None
