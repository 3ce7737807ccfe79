"""`concord status|explain|trace`: questions; they change nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)
Key = Annotated[str, typer.Argument(help="An NPI, a master id (uuid), or kind/id such as location/<uuid>.")]


@app.command(epilog="Example: concord status --watch")
def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Again and again, refreshed in place, until q or Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Every hop now: position, lag in records and in seconds, rate; what is pending, open and counted."""

    from streams.operate.status import Counts
    from streams.operate.status import status as take

    kept: list[Counts] = []

    def work() -> Any:
        known = configuration.load()
        kept.extend([] if kept else [Counts(known)])  # with --watch, whole topics are read once
        return take(known, counts=kept[0])

    from streams.cli.show import status_text

    if not watch:
        output.answer("status", as_json, work, status_text)
    elif as_json:
        while True:
            output.answer("status", as_json, work, status_text)
    else:
        from rich.console import Console

        from streams.cli.watching import watch as look

        look(work, Console())


@app.command(epilog="Example: concord explain 1234567893 --field license.expires --as-of 2027-01-01")
def explain(
    key: Key,
    field: Annotated[
        str | None, typer.Option(help="Only this: record.field, or a view's path as listings[].city.")
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="What would be sent on that day.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Where each value in each system came from, what was refused, what is open, and what each sink was told."""

    def work() -> Any:
        from streams.operate.explain import explain as ask
        from streams.operate.narrow import narrow, sources

        if field is not None:
            sources(field)  # a misspelt name is refused before anyone is asked
        found = ask(configuration.load(), key, as_of.date().isoformat() if as_of else None)
        return {"key": key, "entities": narrow(found, field) if field is not None else found}

    from streams.cli.show import explain_text

    output.answer("explain", as_json, work, lambda r: "\n\n".join(explain_text(e) for e in r["entities"]))


@app.command(epilog="Example: concord trace 1234567893")
def trace(key: Key, as_json: AsJson = False) -> None:
    """The last revisions hop by hop: commit, captured, received, decided, sink, applied, with times."""

    def work() -> Any:
        from streams.operate.trace import trace as ask

        return {"key": key, "entities": ask(configuration.load(), key)}

    from streams.cli.show import trace_text

    output.answer("trace", as_json, work, lambda r: "\n\n".join(trace_text(e) for e in r["entities"]))
