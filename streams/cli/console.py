"""`concord console`: the web console, for a browser on this machine or behind a proxy."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.errors import ConcordError

app = typer.Typer(rich_markup_mode=None)


@app.command("console", epilog="Example: concord console --port 8800")
def console(
    port: Annotated[
        int | None,
        typer.Option(
            help="On this host; 0 takes a free one. Default: CONCORD_CONSOLE_PORT.", min=0, max=65_535
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where it listens; elsewhere than on loopback only with an identity provider.")
    ] = "127.0.0.1",
    sample: Annotated[
        bool, typer.Option("--sample", help="Over a few invented providers, without any platform.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only say whether it would start with these settings.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """What is late, what disagrees and what waits for you, in a browser; runs until it is told to stop.

    Exit codes: 0 stopped, or it would start; 2 wrong input; 3 no address of Kafka, no login, or the port is taken.
    """
    if check or as_json:
        output.answer(
            "console", as_json, lambda: _checked(host), lambda found: f"it would start: {found['login']}"
        )
        return
    output.log_to_stderr()
    try:
        from streams.console import serve

        known = configuration.load()
        (serve.sample if sample else serve.run)(known, host, known.console_port if port is None else port)
    except ConcordError as error:
        output.refuse("console", False, error)


def _checked(host: str) -> Any:
    from streams.console import serve

    known = configuration.load()
    serve.check(known, host)
    login = (
        f"people sign in at {known.oidc_issuer}"
        if known.oidc_issuer
        else "development login, on loopback only"
    )
    return {"host": host, "login": login}
