"""`python -m stack`: the commands people and Makefile use. Only words here; the work is in lifecycle.py.

Exit codes: 0 done, 1 a service failed, 2 wrong argument, 3 something this machine must provide is missing.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Annotated

import typer

from stack import download, environment, java, lifecycle, state, status
from stack import roles as database_roles
from stack.layout import Layout, current
from stack.progress import Progress
from stack.service import Service, Site
from streams.errors import ConcordError, EnvironmentFault

app = typer.Typer(
    help="PostgreSQL, Kafka, Connect with Debezium and Apicurio Registry on this machine, no containers.",
    epilog='Example: python -m stack up && eval "$(python -m stack env)"',
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Names = Annotated[list[str], typer.Argument(help="postgres, kafka, registry or connect.")]


@app.command(epilog="Example: CONCORD_PORT_POSTGRES=5432 python -m stack up")
def up(as_json: AsJson = False) -> None:
    """Start what does not run; return when all answers. Fetches the services the first time."""
    _start(lifecycle.SERVICES, as_json)


@app.command(epilog="Example: python -m stack start kafka")
def start(names: Names, as_json: AsJson = False) -> None:
    """Start these services only."""
    _start(lifecycle.select(names), as_json)


@app.command(epilog="Example: python -m stack down --volumes")
def down(
    volumes: Annotated[
        bool, typer.Option("--volumes", help="Delete all data, ports and passwords too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Stop all services; data stays unless --volumes is given."""
    layout, progress = current(), Progress()
    if layout.state.exists():
        with state.exclusive(layout, progress):
            lifecycle.down(layout, lifecycle.SERVICES, progress)
            if volumes:
                lifecycle.delete(layout)
                progress.say(f"deleted {layout.state}")
    _report(layout, lifecycle.SERVICES, as_json)


@app.command(epilog="Example: python -m stack stop kafka connect")
def stop(names: Names, as_json: AsJson = False) -> None:
    """Stop these services only."""
    services, layout, progress = lifecycle.select(names), current(), Progress()
    with state.exclusive(layout, progress):
        lifecycle.down(layout, services, progress)
    _report(layout, services, as_json)


@app.command("status", epilog="Example: python -m stack status --json")
def show_status(as_json: AsJson = False) -> None:
    """What runs and answers; exit code 1 unless all does."""
    layout = current()
    rows = status.read(layout, state.load(layout.state), lifecycle.SERVICES)
    _print_status(layout, rows, as_json)
    if not all(row.ready for row in rows):
        raise typer.Exit(1)


@app.command(epilog='Example: eval "$(python -m stack env)"')
def env(as_json: AsJson = False) -> None:
    """Print every address and DSN (passwords included), as shell exports or JSON."""
    found = environment.load()
    if found is None:
        raise EnvironmentFault(
            "stack.not_started", "this project's stack was never started", "python -m stack up"
        )
    print(
        json.dumps(found.as_dict(), indent=2) if as_json else found.exports(), end="" if not as_json else "\n"
    )


@app.command(epilog="Example: python -m stack secrets > .env && docker compose up --wait")
def secrets(as_json: AsJson = False) -> None:
    """Draw passwords for docker-compose.yml, as lines of an .env file."""
    drawn = {state.password_variable(role): password for role, password in state.draw_passwords().items()}
    _print(drawn, "\n".join(f"{name}={password}" for name, password in drawn.items()), as_json)


@app.command(epilog="Example: CONCORD_POSTGRES=postgresql://... python -m stack roles")
def roles(as_json: AsJson = False) -> None:
    """Create the databases and roles on the server CONCORD_POSTGRES, with passwords from the environment."""
    try:
        dsn = os.environ["CONCORD_POSTGRES"]
        passwords = {role: os.environ[state.password_variable(role)] for role in state.CREATED_ROLES}
    except KeyError as missing:
        raise EnvironmentFault(
            "stack.variable_missing", f"{missing.args[0]} is not set", "python -m stack secrets draws them"
        ) from None
    database_roles.create(dsn, passwords)
    _print({"roles": sorted(passwords)}, f"{len(passwords)} roles and their databases are there", as_json)


@app.command(epilog="Example: python -m stack lock && git diff stack/checksums.sha256")
def lock(as_json: AsJson = False) -> None:
    """Pin the SHA-256 of what Maven brings for the versions in pom.xml."""
    names = download.lock(current(), Progress())
    _print({"pinned": names}, f"{len(names)} files pinned", as_json)


def main() -> None:
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    try:
        app()
    except ConcordError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)


def _start(services: Sequence[Service], as_json: bool) -> None:
    layout, progress = current(), Progress()
    with state.exclusive(layout, progress):
        artifacts = download.fetch(layout, progress)
        chosen = state.choose(layout, os.environ)
        lifecycle.ensure_unmoved(layout, state.load(layout.state), chosen.ports)
        state.save(layout, chosen)
        site = Site(layout, chosen, artifacts, java.find())
        lifecycle.up(site, services, progress)
    _report(layout, services, as_json)


def _report(layout: Layout, services: Sequence[Service], as_json: bool) -> None:
    if as_json:
        _print_status(layout, status.read(layout, state.load(layout.state), services), as_json)


def _print_status(layout: Layout, rows: list[status.ServiceStatus], as_json: bool) -> None:
    content = {"state": str(layout.state), "services": [row.as_dict() for row in rows]}
    _print(content, status.table(rows), as_json)


def _print(content: Mapping[str, object], text: str, as_json: bool) -> None:
    print(json.dumps(content, indent=2) if as_json else text)


def _like_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
