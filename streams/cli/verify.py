"""`concord verify`: does the platform hold what the systems hold, and if not, which rows, and repair them."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
verify = typer.Typer(
    help="Compare what the platform holds with the systems' own tables, row by row.", rich_markup_mode=None
)
app.add_typer(verify, name="verify")

SHOWN = 20
"""Rows named on a terminal; --json names all."""

AtMost = Annotated[
    int, typer.Option(help="Repair nothing where more rows of a table diverge than this.", min=1)
]
Share = Annotated[
    float, typer.Option(help="The part of the time that a source may work for this.", min=0.01, max=1)
]


@verify.command(epilog="Example: concord verify source credentialing.license --repair")
def source(
    names: Annotated[
        list[str] | None, typer.Argument(help="SYSTEM or SYSTEM.TABLE; none: everything.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read again, or bury, the rows that diverge.")
    ] = False,
    at_most: AtMost = 1_000,
    share: Share = 0.25,
    by: Annotated[str, typer.Option(help="Who asks; it stands in the audit.")] = "",
    cause: Annotated[str, typer.Option(help="Why; it stands in the audit.")] = "asked for",
    as_json: AsJson = False,
) -> None:
    """Every row of the captured tables, as its system has it now, against what the platform holds.

    Exit codes: 0 nothing diverges, or all of it was repaired, 1 rows diverge (with --repair also: too many, or some
    still do), 2 no such system or table, 3 capture does not run.
    """

    def work() -> Any:
        from streams.operate.verify.repair import Bounds
        from streams.operate.verify.run import verify_source

        bounds = Bounds(rows=at_most, share=1.0) if repair else None
        who = by or getpass.getuser()
        return verify_source(
            configuration.load(), names or (), bounds=bounds, by=who, cause=cause, share=share, say=output.say
        )

    output.log_to_stderr()
    output.answer("verify source", as_json, work, _text, _fails)


def _fails(found: Any) -> bool:
    return any(each.standing for each in found)


def _text(found: Any) -> str:
    head = (
        "table",
        "rows",
        "missing",
        "extra",
        "different",
        "repaired",
        "quarantined",
        "unsettled",
        "verified to",
    )
    rows = [
        (
            each.name,
            *(
                f"{n:,}"
                for n in (each.rows, *each.counts.values(), each.repaired, each.quarantined, each.unsettled)
            ),
            each.lsn,
        )
        for each in found
    ]
    return "\n".join([*table([head, *rows], ""), *_named(found)])


def _named(found: Any) -> Iterator[str]:
    standing = [row for each in found for row in each.standing]
    for row in standing[:SHOWN]:
        columns = f" ({', '.join(row.columns)})" if row.columns else ""
        yield f"{row.state} {row.system}.{row.table} {row.row} of {row.kind}/{row.entity_id}{columns}"
    if len(standing) > SHOWN:
        yield f"... and {len(standing) - SHOWN:,} more: --json names all"
