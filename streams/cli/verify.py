"""`concord verify`: does the platform hold what the systems hold, and if not, which rows, and repair them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, who
from streams.cli.output import AsJson
from streams.cli.run import Supervised
from streams.cli.show import table
from streams.errors import ConcordError

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
    quarantined: Annotated[
        bool, typer.Option("--quarantined", help="Also rows whose newest change is in the quarantine.")
    ] = False,
    at_most: AtMost = 1_000,
    share: Share = 0.15,
    by: By = "",
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
        return verify_source(
            configuration.load(),
            names or (),
            bounds=bounds,
            by=who(by),
            cause=cause,
            share=share,
            again=quarantined,
            say=output.say,
        )

    output.log_to_stderr()
    output.answer("verify source", as_json, work, _text, _fails)


@verify.command(epilog="Example: concord verify target directory --repair")
def target(
    systems: Annotated[
        list[str] | None, typer.Argument(help="SYSTEM; none: every target with a database.")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="Read rows again, then send views once more.")
    ] = False,
    at_most: AtMost = 1_000,
    share: Share = 0.15,
    by: By = "",
    cause: Annotated[str, typer.Option(help="Why; it stands in the audit.")] = "asked for",
    as_json: AsJson = False,
) -> None:
    """The tables of each target against the views it has confirmed.

    Exit codes: 0 nothing diverges, or all of it was repaired, 1 something diverges (with --repair also: too much, or
    some still does), 2 no such target, 3 capture does not run.
    """

    def work() -> Any:
        from streams.operate.verify.repair import Bounds
        from streams.operate.verify.target import verify_target

        bounds = Bounds(rows=at_most, share=1.0) if repair else None
        return verify_target(
            configuration.load(),
            systems or (),
            bounds=bounds,
            by=who(by),
            cause=cause,
            share=share,
            say=output.say,
        )

    output.log_to_stderr()
    output.answer(
        "verify target", as_json, work, _targets, lambda found: any(each.diverges for each in found)
    )


@verify.command(epilog="Example: concord verify status")
def status(as_json: AsJson = False) -> None:
    """Up to where each table was verified, when, and what was found; repairs of late. Exit code 3: no Kafka."""

    def work() -> Any:
        from streams.operate.verify import book

        return book.told(configuration.load())

    output.answer("verify status", as_json, work, _told)


def _told(found: Any) -> str:
    tables = sorted((v for k, v in found.items() if not k.startswith("repair/")), key=lambda v: v["at"])
    repairs = sorted((v for k, v in found.items() if k.startswith("repair/")), key=lambda v: v["at"])
    head = ("table", "rows", "missing", "extra", "different", "verified to", "at")
    rows = [
        (
            f"{v['system']}.{v['table']}",
            *(f"{v[name]:,}" for name in ("rows", "missing", "extra", "different")),
            v["lsn"],
            _time(v["at"]),
        )
        for v in tables
    ]
    told = [
        f"{_time(v['at'])} {v['repair']} {v['state']} {v['system']} by {v['by']}: {v['cause']}"
        for v in repairs
    ]
    return "\n".join([*table([head, *rows], ""), *told[-SHOWN:]])


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


@verify.command(epilog="Example: concord verify follow")
def follow(supervised: Supervised = True) -> None:
    """Verify every table again and again and repair within bounds (CONCORD_VERIFY_*), until told to stop."""
    from streams.engine import supervisor
    from streams.operate.verify import follow as following

    output.log_to_stderr()
    if supervised:
        raise typer.Exit(supervisor.run(["verify", "follow", "--no-supervised"]))
    try:
        code = following.follow(configuration.load())
    except ConcordError as error:
        output.refuse("verify follow", False, error)
    raise typer.Exit(code)


def _targets(found: Any) -> str:
    lines = [_text([table for each in found for table in each.tables])]
    for each in found:
        lines.append(f"{each.system}: {each.entities:,} entities, {each.equal:,} equal to their view")
        lines += [
            f"{'sent again' if one.repaired else 'NOT HELD'} {each.system} {one.entity}: {', '.join(one.subjects)}"
            for one in each.unheld[:SHOWN]
        ]
    return "\n".join(lines)


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
