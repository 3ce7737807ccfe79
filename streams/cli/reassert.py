"""`concord reassert`: views sent again under a new revision; without --apply it only says which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, who
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)


@app.command("reassert", epilog="Example: concord reassert 1234567893 --system directory --apply")
def reassert(
    keys: Annotated[
        list[str] | None, typer.Argument(help="NPIs, master ids or kind/id; all of --system without one.")
    ] = None,
    system: Annotated[
        list[str] | None, typer.Option(help="Only to this system; repeatable. Needed without a KEY.")
    ] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Send them; without, only say which.")] = False,
    limit: Annotated[int, typer.Option(help="Views of a system, at most.", min=1)] = 1_000,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Send what a system was sent last once more, as it is held today, under a new revision.

    For a system restored from a backup, or a table somebody emptied. Waits until it is confirmed.

    Exit codes: 0 said, or sent and confirmed; 1 not all was confirmed in time, or no such entity; 2 wrong input.
    """

    def work() -> Any:
        from streams.operate.reasserting import reassert as send

        output.log_to_stderr()
        return send(
            configuration.load(), keys or (), system or (), apply=apply, by=who(by), reason=reason, limit=limit,
            say=output.say,
        )  # fmt: skip

    output.answer("reassert", as_json, work, text, lambda found: any(each.left for each in found))


def text(found: Any) -> str:
    """A line a system, the first entities below it."""
    return "\n".join(line for each in found for line in _lines(each)) or "nobody was sent a view of it"


def _lines(each: Any) -> Iterator[str]:
    from streams.operate.reasserting import SHOWN

    done = "were sent again" if each.applied else "would be sent again; --apply does it"
    yield f"{each.system}: {len(each.views):,} views {done}"
    if each.waits:
        yield f"  not confirmed yet: {each.waits}"
    names = each.left if each.applied else list(each.views)
    mark = "NOT CONFIRMED " if each.applied else ""
    yield from (f"  {mark}{name}, revision {each.views[name]} before" for name in names[:SHOWN])
    if len(names) > SHOWN:
        yield f"  and {len(names) - SHOWN:,} more"
