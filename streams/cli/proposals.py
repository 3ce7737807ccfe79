"""`concord proposals`: what non-owners propose, who must sign, and saying yes or no."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Annotated, Any

import typer

from connectors.stewardship.verdict import Decision, Word
from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table
from streams.errors import InvalidInput

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="Proposals of systems that don't own a field: list, show, approve, refuse, withdraw, comment, audit.",
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
def approve(
    number: Number,
    by: By,
    role: Role,
    reason: Reason = "",
    evidence: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=REFERENCE", help="What was looked at, where the field requires it; again."
        ),
    ] = None,
    effective_date: Annotated[
        str, typer.Option(metavar="DATE", help="From when on it holds: its owner is asked on that day.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Sign; with the last signature its owner is asked to take it over. Exit codes: 0 signed, 2 it doesn't count."""

    def word() -> Word:
        shown = dict(_pair(text) for text in evidence or ())
        return Word(by, role, "approve", reason, shown, _day(effective_date))

    _say("approve", number, word, as_json)


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
    until: Annotated[
        str, typer.Option(metavar="DATE", help="With --remember: the last day on which it is remembered.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Refuse it: the owner's value stands. Exit codes: 0 refused, 2 it doesn't count."""
    decision: Decision = "lock" if remember else "reject"
    _say("refuse", number, lambda: Word(by, role, decision, reason, until=_day(until)), as_json)


@group.command(
    "withdraw", epilog="Example: concord proposals withdraw 4503599627370495 --by pat --role data_steward"
)
def withdraw(number: Number, by: By, role: Role, reason: Reason = "", as_json: AsJson = False) -> None:
    """Take it back: who answers for the proposing system, or a data steward. Exit codes: 0 withdrawn, 2 it doesn't
    count."""
    _say("withdraw", number, lambda: Word(by, role, "withdraw", reason), as_json)


@group.command(
    "comment", epilog='Example: concord proposals comment 4503599627370495 --by pat "asked the clinic"'
)
def comment(
    number: Number,
    body: Annotated[str, typer.Argument(metavar="TEXT", help="The remark.")],
    by: By,
    as_json: AsJson = False,
) -> None:
    """Remark on a proposal, open or not; of one that expired or missed it says that somebody has looked.

    Exit codes: 0 written, 2 no such proposal."""

    def work() -> Any:
        from streams.operate import proposals

        return proposals.comment(configuration.load(), number, by, body)

    output.answer("proposals comment", as_json, work, _text)


@group.command("audit", epilog="Example: concord proposals audit 4503599627370495")
def audit(
    number: Annotated[
        int | None, typer.Argument(metavar="ID", help="Of one proposal; without it, of all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Who said and did what, the newest first, and whether the chain is whole. Exit codes: 0 whole, 1 broken."""

    def work() -> Any:
        from streams.operate import proposals

        return proposals.audited(configuration.load(), number)

    output.answer("proposals audit", as_json, work, _audit_text, lambda found: not found["whole"])


def _say(command: str, number: int, word: Callable[[], Word], as_json: bool) -> None:
    def work() -> Any:
        from streams.operate import proposals

        return proposals.say(configuration.load(), number, word())

    output.answer(f"proposals {command}", as_json, work, _text)


def _pair(text: str) -> tuple[str, str]:
    name, _, reference = text.partition("=")
    if not (name and reference):
        step = "write --evidence NAME=REFERENCE, e.g. w9_or_irs_letter=DOC-17"
        raise InvalidInput("proposal.evidence", f"{text!r} names no reference", step)
    return name, reference


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat() if text else ""
    except ValueError:
        raise InvalidInput("proposal.date", f"{text!r} is no date", "write it as 2026-06-01") from None


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
    said = [f"  {c['author']} {c['written_at']} {c['body']}" for c in found["comments"]]
    lines = [
        f"{found['proposal_id']}  {found['state']}",
        f"{found['kind']}/{found['entity_id']}  {found['record']}.{found['field']}  by {found['system']}",
        f"{found['current_value']!s} -> {found['value']!s}  level {found['level']}, owner {found['owner']}",
        *(["signed:", *signed] if signed else []),
        *(["ruled:", *ruled] if ruled else []),
        *(["said:", *said] if said else []),
        f"missing: {signatures_text(found['missing'])}",
        *([f"to be shown: {', '.join(found['to_show'])}"] if found["to_show"] else []),
        *([WAYS[found["way"]]] if found["way"] in WAYS else []),
    ]
    return "\n".join(line.rstrip() for line in lines)


WAYS = {
    "owner": "once approved, a person enters it: its owner takes no requests",
    "row": "once approved, a person enters it: no single row of its owner's is meant",
}


def _audit_text(found: Any) -> str:
    lines = [
        f"{e['at']}  {e['actor']}  {e['action']}  {e['kind'] or ''}/{e['entity_id'] or ''}"
        f"  {e['detail'].get('proposal_id', '')}  {e['detail'].get('code', '')}"
        for e in found["entries"]
    ]
    whole = "the chain is whole" if found["whole"] else f"the chain is broken at entry {found['broken_at']}"
    return "\n".join(line.rstrip() for line in [*lines, whole])
