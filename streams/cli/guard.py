"""`concord guard`: watches the capture of every source, or looks once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, audited
from streams.cli.output import AsJson
from streams.cli.run import Supervised
from streams.errors import ConcordError

app = typer.Typer(rich_markup_mode=None)


@app.command("guard", epilog="Example: concord guard --once --json")
def guard(
    once: Annotated[bool, typer.Option("--once", help="Look once and say what is wrong.")] = False,
    settle: Annotated[
        str | None,
        typer.Option(
            help="SYSTEM[.TABLE]: what may be missing there was verified, or read again. Needs --by."
        ),
    ] = None,
    by: By = "",
    supervised: Supervised = True,
    as_json: AsJson = False,
) -> None:
    """Watch capture until told to stop: canaries, whole transactions, slots, connectors, publications.

    Exit codes: 0 stopped, or in order; 1 something is wrong or can't be looked at; 2 wrong input; 3 no Kafka.
    """
    if settle is not None:
        _settle(settle, by, as_json)
    elif once:
        _look_once(as_json)
    else:
        _watch(supervised)


def _watch(supervised: bool) -> None:
    from streams.engine import supervisor

    output.log_to_stderr()
    if supervised:
        raise typer.Exit(supervisor.run(["guard", "--no-supervised"]))
    try:
        from streams.operate.guard import watch

        code = watch.run(configuration.load())
    except ConcordError as error:
        output.refuse("guard", False, error)
    raise typer.Exit(code)


def _look_once(as_json: bool) -> None:
    def work() -> Any:
        from streams.operate.guard.once import once

        return once(configuration.load())

    output.answer("guard", as_json, work, _text, lambda found: not found.healthy)


def _settle(target: str, by: str, as_json: bool) -> None:
    def work() -> Any:
        from streams.operate.guard import settling

        return settling.settle(configuration.load(), target, by)

    # Whose word it is must be said: what else acts has the account as its actor.
    acting = audited("guard.settle", work, by=by, subject=target, told=_settled) if by else work
    output.answer("guard", as_json, acting, lambda found: f"{len(found)} settled by {by}")


def _settled(found: Any) -> dict[str, Any]:
    return {"closed": [f"{one.code} {one.subject}" for one in found]}


def _text(found: Any) -> str:
    lines = [
        f"{f.severity:6} {f.code:20} {f.subject}\n       {f.message}\n       do: {f.action}"
        for f in found.findings
    ]
    lines += [f"unknown {what}" for what in found.unknown]
    for system, canary in (found.canaries or {}).items():
        ages = "  ".join(f"{hop} {seconds:.1f} s" for hop, seconds in canary["age"].items())
        lines.append(f"canary {system:14} {ages or canary['fault'] or 'none is written'}")
    lines += [found.why] if found.why else []
    return "\n".join(["capture is in order" if found.healthy else "capture needs a look", *lines])
