"""`concord rewind`: a consumer of a sink topic reads again from an earlier moment; without --apply it only tells."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, audited
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)


@app.command(
    "rewind", epilog="Example: concord rewind claims-portal --topic sink.billing.provider --to beginning"
)
def rewind(
    group: Annotated[str, typer.Argument(help="The consumer group.")],
    topic: Annotated[str, typer.Option(help="The sink topic, without a prefix.")],
    to: Annotated[str, typer.Option(help="A time stamp (ISO 8601, UTC without a zone), or beginning.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without, only say what would be.")] = False,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Move a group back in a sink topic, so that it reads again from there. Never forward, never while it is active.

    Exit codes: 0 said, or done; 1 the group is active; 2 no such group or topic, or no time stamp; 3 Kafka refuses.
    """

    def work() -> Any:
        from streams.operate.rewinding import rewind as move

        return move(configuration.load(), group, topic, to, apply=apply)

    if apply:
        wanted = {"topic": topic, "to": to}
        work = audited("rewind", work, by=by, why=reason, subject=group, wanted=wanted, told=_told)
    output.answer("rewind", as_json, work, text)


def _told(found: Any) -> dict[str, Any]:
    return {"places": {f"{found.topic}[{m.partition}]": [m.now, m.to] for m in found.moves}}


def text(found: Any) -> str:
    """A line a partition, then the sum."""
    rows = [
        (f"{found.topic}[{m.partition}]", f"{m.now:,}", f"-> {m.to:,}",
         f"at most {m.at_most:,} records again")
        for m in found.moves
    ]  # fmt: skip
    if not rows:
        return f"{found.group} stands at {found.to} or before it already: nothing to rewind"
    done = "come again" if found.applied else "would come again; --apply does it"
    kept = f"; left where they are: partitions {', '.join(map(str, found.kept))}" if found.kept else ""
    return "\n".join([*table(rows), f"{found.group}: at most {found.at_most:,} records {done}{kept}"])
