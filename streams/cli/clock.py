"""`concord clock tick`: tells every partition what day it is."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="What day it is to decisions: what begins, ends or expires by time alone.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="clock")


@group.command("tick", epilog="Example: concord clock tick --dry-run")
def tick(
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d"],
            help="The date to tell; at most tomorrow (UTC).",
            show_default="today, UTC",
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count what is due by then.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell every partition what day it is; what is due by then is decided. Once a day a worker does it by itself.

    Exit codes: 0 done, 1 Kafka didn't take it, 2 the date is too far ahead, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate import clock

        return clock.tick(
            configuration.load(), as_of.date() if as_of else None, dry_run=dry_run, who=getpass.getuser()
        )

    output.answer("clock tick", as_json, work, _told)


def _told(told: Any) -> str:
    head = f"{told.as_of}: {'told to' if told.written else 'not told to'} {len(told.due)} partitions"
    counts = [f"  partition {n}: {_count(count)}" for n, count in told.due.items()]
    return "\n".join([head, *counts])


def _count(count: int | None) -> str:
    return "no worker answers for it" if count is None else f"{count:,} entities due"
