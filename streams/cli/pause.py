"""`concord pause|resume SYSTEM`: nothing is delivered to a system for a while, and nothing is lost."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, audited, who
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)
System = Annotated[str, typer.Argument(help="The system, such as directory.")]


@app.command("pause", epilog='Example: concord pause directory --reason "upgrade until 6 pm"')
def pause(
    system: System,
    reason: Annotated[str, typer.Option(help="Why; status and parity show it.")],
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Deliver nothing to a system until `concord resume`, over restarts too; the same again changes nothing.

    Exit codes: 0 paused; 1 an adapter that answers has not stopped in time; 2 no such system, no reason; 3 no Kafka.
    """

    def work() -> Any:
        from streams.operate import pausing

        return pausing.pause(configuration.load(), system, reason, who(by))

    acting = audited("pause", work, by=by, why=reason, subject=system, told=_told)
    output.answer("pause", as_json, acting, _text, _late)


@app.command("resume", epilog="Example: concord resume directory")
def resume(system: System, reason: Reason = "", by: By = "", as_json: AsJson = False) -> None:
    """Let the deliveries to a system go on where they stopped; of one that is not paused, nothing changes.

    Exit codes: 0 it is not paused; 1 an adapter that answers has not gone on in time; 2 no such system; 3 no Kafka.
    """

    def work() -> Any:
        from streams.operate import pausing

        return pausing.resume(configuration.load(), system)

    acting = audited("resume", work, by=by, why=reason, subject=system, told=_told)
    output.answer("resume", as_json, acting, _text, _late)


def _late(found: Any) -> bool:
    return found.adapters > 0 and not found.effective


def _told(found: Any) -> dict[str, Any]:
    return {"paused": str(found.paused or ""), "changed": found.changed, "effective": found.effective}


def _text(found: Any) -> str:
    words = str(found.paused) if found.paused else "not paused"
    before = "" if found.changed else " (as before)"
    if not found.adapters:
        return f"{found.system} {words}{before}; no adapter answers: it holds as soon as one runs"
    late = "" if found.effective else "; an adapter has not taken it up yet: concord status"
    return f"{found.system} {words}{before}{late}"
