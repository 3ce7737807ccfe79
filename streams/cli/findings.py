"""`concord findings`: what is open, who should act, and by when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)


@app.command("findings", epilog="Example: concord findings --actor compliance")
def findings(
    code: Annotated[str, typer.Option(help="Only this code, or this family of codes: licence.")] = "",
    actor: Annotated[str, typer.Option(help="Only what this role should act on.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Open findings, the ones that are due first in front.

    Exit codes: 0 read, 1 it could not be read whole, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate import findings as reading

        return reading.listed(configuration.load(), code, actor, limit)

    output.answer("findings", as_json, work, _text)


def _text(found: Any) -> str:
    rows = [_row(finding) for finding in found.findings]
    head = ("by", "who acts", "severity", "of", "code", "subject: what is wrong -> what to do")
    left_out = found.total - len(rows)
    return "\n".join(
        [*table([head, *rows], ""), f"{found.total:,} open{f', {left_out:,} not shown' if left_out else ''}"]
    )


def _row(finding: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        finding["due"] or "-",
        finding["actor"] or "-",
        finding["severity"],
        f"{finding['kind']}/{finding['entity_id']}",
        finding["code"],
        f"{finding['subject']}: {finding['message']} -> {finding['action']}",
    )
