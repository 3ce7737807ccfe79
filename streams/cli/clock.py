"""`concord clock tick`: tells every partition what day it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, audited, who
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
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Tell it though it withdraws more than the set share.")
    ] = False,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Tell every partition what day it is; what is due by then is decided. Once a day a worker does it by itself.

    What the date would withdraw is counted first: beyond the set share (CONCORD_TICK_WITHDRAW_SHARE) it shows how
    much, changes nothing, and asks for --confirm.

    Exit codes: 0 told, 1 stopped or not told yet, 2 the date is too far ahead, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate import clock

        day = as_of.date() if as_of else None
        return clock.tick(configuration.load(), day, dry_run=dry_run, confirm=confirm, who=who(by))

    if not dry_run:
        wanted = {"as_of": as_of.date().isoformat() if as_of else "today", "confirm": confirm}
        work = audited("clock.tick", work, by=by, why=reason, wanted=wanted, told=_told)

    output.answer(
        "clock tick", as_json, work, _text, fails=lambda told: told.outcome in ("stopped", "pending")
    )


def _told(found: Any) -> dict[str, Any]:
    return {"as_of": str(found.as_of), "outcome": found.outcome, "would_withdraw": found.withdrawn}


def _text(told: Any) -> str:
    counts = [f"  partition {n}: {_count(count)}" for n, count in told.due.items()]
    return "\n".join([f"{told.as_of}: {_outcome(told)}", *counts])


def _outcome(told: Any) -> str:
    match told.outcome:
        case "told":
            return f"told to {len(told.due)} partitions"
        case "counted":
            return f"not told to {len(told.due)} partitions"
        case "stopped":
            return (
                f"stopped: {told.withdrawn:,} of {told.providers:,} providers would be withdrawn, nothing has been yet"
                f"\n  next: look at what ends, then: concord clock tick --as-of {told.as_of} --confirm"
            )
    return "proposed; not every partition has answered yet: concord status"


def _count(count: int | None) -> str:
    return "no worker answers for it" if count is None else f"{count:,} entities due"
