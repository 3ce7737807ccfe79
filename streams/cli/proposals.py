"""`concord proposals`: what non-owners propose, who must sign, and saying yes or no."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from connectors.stewardship.verdict import Decision, Word
from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="Proposals of systems that don't own a field: list, show, approve, refuse, withdraw.",
    rich_markup_mode=None,
)
app.add_typer(group, name="proposals")

Number = Annotated[
    int, typer.Argument(metavar="ID", help="The proposal's number, from `concord proposals list`.")
]
By = Annotated[str, typer.Option(help="Who says it: a person's name or account.")]
Role = Annotated[str, typer.Option(help="In which role: data_steward, credentialing_manager, compliance ...")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the ruling and in the audit.")]


@group.command("list", epilog="Example: concord proposals list")
def listing(
    everything: Annotated[bool, typer.Option("--all", help="Those that ended, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """What waits for a ruling, oldest first. Exit codes: 0 listed, 3 no stewardship database."""

    def work() -> Any:
        from streams.operate import proposals

        return proposals.listed(configuration.load(), everything=everything)

    output.answer("proposals list", as_json, work, _rows_text)


@group.command("show", epilog="Example: concord proposals show 4503599627370495")
def show(number: Number, as_json: AsJson = False) -> None:
    """One proposal: its values, who signed, who must sign yet. Exit codes: 0 shown, 2 no such proposal."""

    def work() -> Any:
        from streams.operate import proposals

        return proposals.show(configuration.load(), number)

    output.answer("proposals show", as_json, work, _text)


@group.command(
    "approve", epilog="Example: concord proposals approve 4503599627370495 --by pat --role data_steward"
)
def approve(number: Number, by: By, role: Role, reason: Reason = "", as_json: AsJson = False) -> None:
    """Sign; with the last signature its owner is asked to take it over. Exit codes: 0 signed, 2 it doesn't count."""
    _say("approve", number, Word(by, role, "approve", reason), as_json)


@group.command(
    "refuse",
    epilog='Example: concord proposals refuse 4503599627370495 --by pat --role data_steward --reason "no diploma"',
)
def refuse(
    number: Number,
    by: By,
    role: Role,
    reason: Reason,
    remember: Annotated[
        bool, typer.Option("--remember", help="For good: the same system saying the same again is reverted.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Refuse it: the owner's value stands. Exit codes: 0 refused, 2 it doesn't count."""
    decision: Decision = "lock" if remember else "reject"
    _say("refuse", number, Word(by, role, decision, reason), as_json)


@group.command(
    "withdraw", epilog="Example: concord proposals withdraw 4503599627370495 --by pat --role data_steward"
)
def withdraw(number: Number, by: By, role: Role, reason: Reason = "", as_json: AsJson = False) -> None:
    """Take it back: its author, or a data steward. Exit codes: 0 withdrawn, 2 it doesn't count."""
    _say("withdraw", number, Word(by, role, "withdraw", reason), as_json)


def _say(command: str, number: int, word: Word, as_json: bool) -> None:
    def work() -> Any:
        from streams.operate import proposals

        return proposals.say(configuration.load(), number, word)

    output.answer(f"proposals {command}", as_json, work, _text)


def _rows_text(found: Any) -> str:
    if not found:
        return "nothing waits for a ruling"
    head = ["id", "entity", "field", "by", "value", "instead of", "level", "state", "until"]
    rows = [
        [
            str(row["proposal_id"]),
            f"{row['kind']}/{row['entity_id']}",
            f"{row['record']}.{row['field']}",
            row["system"],
            str(row["value"]),
            str(row["current_value"]),
            row["level"] or "",
            row["state"],
            (row["expires_at"] or "")[:10],
        ]
        for row in found
    ]
    return "\n".join(table([head, *rows]))


def _text(found: Any) -> str:
    from streams.operate.proposals import signatures_text

    signed = [f"  {a['verdict']} {a['approver']} ({a['role']}) {a['decided_at']}" for a in found["approvals"]]
    ruled = [
        f"  {r['decision']} {r['ruled_by']} {r['ruled_at']} {r['reason'] or ''}" for r in found["rulings"]
    ]
    lines = [
        f"{found['proposal_id']}  {found['state']}",
        f"{found['kind']}/{found['entity_id']}  {found['record']}.{found['field']}  by {found['system']}",
        f"{found['current_value']!s} -> {found['value']!s}  level {found['level']}, owner {found['owner']}",
        *(["signed:", *signed] if signed else []),
        *(["ruled:", *ruled] if ruled else []),
        f"missing: {signatures_text(found['missing'])}",
    ]
    return "\n".join(line.rstrip() for line in lines)
