"""The PostgreSQL of the stack: one server for the five reference systems and the registry's storage.

Runs as an unprivileged user when root starts the stack, listens on loopback only, has no Unix socket.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from stack import roles
from stack.process import Command
from stack.service import HOST, Service, Site
from stack.settings import POSTGRES, POSTGRES_INITDB
from stack.state import SUPERUSER, State
from stack.versions import pinned
from streams.errors import EnvironmentFault


def dsn(state: State, database: str = "postgres", role: str = SUPERUSER) -> str:
    return f"postgresql://{role}:{state.passwords[role]}@{HOST}:{state.ports['postgres']}/{database}"


class Postgres(Service):
    name = "postgres"
    version = pinned().postgres_release
    needs_ports = ("postgres",)
    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait until every client has gone
    passing_complaint = "shared memory block"  # backends of a killed server need a moment to notice

    def prepare(self, site: Site) -> None:
        data = site.layout.data(self.name)
        if (data / "PG_VERSION").exists():
            return
        with tempfile.TemporaryDirectory(dir=data.parent) as scratch:
            self._initialise(site, Path(scratch))
            shutil.rmtree(data, ignore_errors=True)
            (Path(scratch) / "data").rename(data)

    def command(self, site: Site) -> Command:
        options = {
            **POSTGRES,
            "listen_addresses": HOST,
            "port": str(site.state.ports["postgres"]),
            "unix_socket_directories": "",
        }
        argv = [str(site.artifacts.postgres / "bin" / "postgres"), "-D", str(site.layout.data(self.name))]
        argv += [word for key, value in options.items() for word in ("-c", f"{key}={value}")]
        return Command(argv, _environ(), site.layout.account)

    def ready(self, state: State) -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(dsn(state), connect_timeout=2):
            return True
        return False

    def settle(self, site: Site) -> None:
        roles.create(dsn(site.state), site.state.passwords)

    def _initialise(self, site: Site, scratch: Path) -> None:
        """In a folder beside the final one: an interrupted initdb leaves nothing half done."""
        account = site.layout.account
        password = scratch / "password"
        password.touch(mode=0o600)
        password.write_text(site.state.passwords[SUPERUSER])
        if account:
            for path in (scratch, password):
                os.chown(path, account.uid, account.gid)
        initdb = [str(site.artifacts.postgres / "bin" / "initdb"), "-D", str(scratch / "data")]
        initdb += [f"--username={SUPERUSER}", f"--pwfile={password}", *POSTGRES_INITDB]
        done = subprocess.run(
            initdb,
            env=_environ(),
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            raise EnvironmentFault("stack.initdb", done.stderr.strip()[-2000:], "see the reason above")


def _environ() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}
