"""Commands that act: who acts and why, and the row of the audit that stands before anything is done.

Which command writes itself down how stands in the tables below: a test holds every command to exactly one of them, and
those that act to the audit. What only reads, or only says what it would do, writes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from streams import settings as configuration

By = Annotated[
    str,
    typer.Option(
        "--by", help="Who does it; it stands in the audit.", show_default="CONCORD_ACTOR, or your account"
    ),
]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the audit.")]


def who(by: str) -> str:
    """Whose act it is."""
    from streams.operate.audit.act import actor

    return actor(configuration.load(), by)


def audited(
    what: str,
    work: Callable[[], Any],
    *,
    by: str = "",
    why: str = "",
    subject: str = "",
    wanted: Mapping[str, Any] | None = None,
    told: Callable[[Any], Mapping[str, Any]] = lambda result: {},
) -> Callable[[], Any]:
    """The work of a command as an act: its intent is in the audit before it begins, `told` of its result behind it.

    `wanted`: what was asked for, where that is more than the subject."""

    def acted() -> Any:
        from streams.operate.audit.act import act

        settings = configuration.load()
        with act(settings, who(by), what, why=why, subject=subject, after=wanted) as found:
            result = work()
            found.after = told(result)
        return result

    return acted


ITSELF = {
    "proposals approve": "a row of approval or ruling, audited by its table in the same transaction",
    "proposals refuse": "a row of ruling, audited by its table in the same transaction",
    "proposals withdraw": "a row of ruling, audited by its table in the same transaction",
    "proposals comment": "a row of comment, audited by its table in the same transaction",
    "verify source": "with --repair, each repair is an act of its own, once it is known that anything diverges",
    "verify target": "with --repair, each repair is an act of its own, once it is known that anything diverges",
    "reassert": "with --apply, each system's views are an act of their own",
    "verify follow": "each repair is an act of its own",
    "guard": "each remedy is an act of its own; --settle is one",
    "console": "each act of a person in it is one",
}
"""Command -> where its acts enter the audit, when not in `audited` around the whole of it."""

EXEMPT = {
    "systems apply": "makes the stewardship database, and so the audit",
    "up": "makes the stack and the stewardship database; it changes nothing that runs already",
    "down": "stops processes; with --volumes it deletes a development stack, its audit too",
    "demo": "plays on a stack of its own machine",
    "worker": "a process: what it decides stands in its topics",
    "adapter": "a process: what it writes stands in its target's concord_applied",
    "reference follow": "a process: it tells what was loaded, and a load is an act",
    "metrics": "a process: it only reads",
    "schema seal": "changes files of the repository, whose history is their audit",
    "schema new-field": "changes files of the repository, whose history is their audit",
}
"""Command -> why what it does is not in the audit."""
