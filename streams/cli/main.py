"""`concord`: every command, each with --json, an example, and the exit codes of `output`."""

from __future__ import annotations

import typer

from streams.cli import (
    ask,
    audit,
    authority,
    clock,
    console,
    consume,
    doctor,
    export,
    findings,
    guard,
    handoffs,
    kpi,
    metrics,
    parity,
    pause,
    prepare,
    proposals,
    quarantine,
    reassert,
    reference,
    rewind,
    rights,
    rules,
    run,
    schema,
    verify,
)

app = typer.Typer(
    help="Keeps a healthcare provider's record the same in credentialing, enrollment, directory and billing.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for part in (
    run, ask, prepare, authority, quarantine, reference, rules, clock, findings, parity, proposals, export,
    schema, rights, consume, verify, guard, metrics,
    console, doctor, pause, reassert, rewind, audit, handoffs, kpi,
):  # fmt: skip
    app.add_typer(part.app)


def main() -> None:
    """Console script entry."""
    app()


__all__ = ["app", "main"]
