"""`concord acls plan|apply`: what the contracts allow, as the broker's access control lists."""

from __future__ import annotations

from typing import Any

import typer

from streams.cli import output
from streams.cli.acting import By, Reason, audited
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="Who may read and write the topics that others read.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(group, name="acls")


@group.command("plan", epilog="Example: concord acls plan")
def plan(as_json: AsJson = False) -> None:
    """Show what the broker lacks of what the contracts allow, and what it has beside. Exit code 3: no authorizer."""
    from streams import settings
    from streams.operate import rights

    output.answer("acls plan", as_json, lambda: rights.plan(settings.load()), _plan)


@group.command("apply", epilog="Example: concord acls apply")
def apply(reason: Reason = "", by: By = "", as_json: AsJson = False) -> None:
    """Grant what is missing; never takes a right away. Exit code 3: no authorizer."""
    from streams import settings
    from streams.operate import rights

    def work() -> Any:
        return rights.apply(settings.load())

    acting = audited(
        "acls.apply", work, by=by, why=reason, told=lambda found: {"granted": _rows("", found.missing)}
    )
    output.answer("acls apply", as_json, acting, _plan)


def _plan(found: Any) -> str:
    lines = [*_rows("grant", found.missing), *_rows("beside the contracts", found.beside)]
    return "\n".join([*lines, f"{len(found.held)} granted before, {len(found.missing)} missing"])


def _rows(head: str, rights: Any) -> list[str]:
    return table(
        [
            (
                head,
                r.principal,
                "may not" if r.denied else "may",
                r.operation,
                r.resource,
                f"{r.name}{'...' if r.prefixed else ''}",
            )
            for r in rights
        ],
        "",
    )
