"""`concord quarantine list|show|replay|discard`: records that could not be used, and what to do about them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, audited, who
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="Records that could not be used: kept as they came, until they are replayed or discarded.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="quarantine")

Code = Annotated[
    list[str] | None, typer.Option("--code", help="Only this code (docs/codes.md); may be repeated.")
]
System = Annotated[
    list[str] | None, typer.Option("--system", help="Only this system, such as credentialing; repeatable.")
]
Provider = Annotated[
    str, typer.Option("--provider", help="Only this entity: an NPI, a master id (uuid), or kind/id.")
]
Since = Annotated[
    str, typer.Option("--since", help="Quarantined at or after: 2026-11-22, 2026-11-22T14:30, 90m, 12h, 7d.")
]
Until = Annotated[str, typer.Option("--until", help="Quarantined before; the same forms, UTC.")]
Origins = Annotated[
    list[str] | None, typer.Option("--origin", help="Only this topic/partition/offset; may be repeated.")
]
State = Annotated[str, typer.Option("--state", help="open, replayed, discarded or all.")]
Apply = Annotated[bool, typer.Option("--apply", help="Do it; without it, only say what would be done.")]


@group.command("list", epilog="Example: concord quarantine list --code change.type_wrong --since 7d")
def list_command(
    code: Code = None,
    system: System = None,
    provider: Provider = "",
    since: Since = "",
    until: Until = "",
    origin: Origins = None,
    state: State = "all",
    limit: Annotated[int, typer.Option(help="Show the newest so many; counts are of all.", min=1)] = 200,
    as_json: AsJson = False,
) -> None:
    """What stands in the quarantine, newest last, and how many of each code; never a value of a row.

    Exit codes: 0 done, 1 Kafka stopped answering, 2 a filter is wrong, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate.quarantine import ask, chosen

        asked = chosen.Asked(code or (), system or (), provider, since, until, origin or (), state)
        return ask.list_items(configuration.load(), asked, limit)

    from streams.cli.show_quarantine import listing

    output.answer("quarantine list", as_json, work, listing)


@group.command(epilog="Example: concord quarantine show cdc.credentialing/2/1047")
def show(
    origin: Annotated[str, typer.Argument(help="topic/partition/offset, as `list` shows it.")],
    as_json: AsJson = False,
) -> None:
    """One record: headers, envelope with what is not public masked, why it is here, and what to do.

    Exit codes: 0 done, 1 nothing came from there, 2 not an origin, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate.quarantine import ask

        return ask.show(configuration.load(), origin)

    from streams.cli.show_quarantine import shown

    output.answer("quarantine show", as_json, work, shown)


@group.command(epilog="Example: concord quarantine replay --code change.table_unknown --apply")
def replay(
    code: Code = None,
    system: System = None,
    provider: Provider = "",
    since: Since = "",
    until: Until = "",
    origin: Origins = None,
    state: State = "open",
    by: By = "",
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Send records back to where they came from, as they came; what is still bad comes back as the same item.

    Says only what it would do unless --apply is given. Safe to repeat: a newer row always wins, whenever an older
    one comes. Exit codes: 0 done, 1 Kafka stopped answering (run it again), 2 a filter is wrong, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate.quarantine import chosen, handle

        asked = chosen.Asked(code or (), system or (), provider, since, until, origin or (), state)
        return handle.replay(configuration.load(), asked, who(by), apply=apply)

    wanted = _asked(code, system, provider, since, until, origin, state)
    acting = audited("quarantine.replay", work, by=by, wanted=wanted, told=_told) if apply else work
    from streams.cli.show_quarantine import handled

    output.answer("quarantine replay", as_json, acting, lambda told: handled(told, "sent back"))


@group.command(
    epilog="Example: concord quarantine discard --origin cdc.billing/0/7 --reason 'vendor test row' --apply"
)
def discard(
    reason: Annotated[str, typer.Option("--reason", help="Why, in a sentence without personal data.")],
    code: Code = None,
    system: System = None,
    provider: Provider = "",
    since: Since = "",
    until: Until = "",
    origin: Origins = None,
    state: State = "open",
    by: By = "",
    apply: Apply = False,
    as_json: AsJson = False,
) -> None:
    """Mark records as dealt with otherwise. Nothing is deleted: they can be shown and replayed (--state discarded).

    Says only what it would do unless --apply is given. Exit codes: 0 done, 1 Kafka stopped answering (run it again),
    2 a filter or the reason is wrong, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate.quarantine import chosen, handle

        asked = chosen.Asked(code or (), system or (), provider, since, until, origin or (), state)
        return handle.discard(configuration.load(), asked, reason, who(by), apply=apply)

    wanted = _asked(code, system, provider, since, until, origin, state)
    act = "quarantine.discard"
    acting = audited(act, work, by=by, why=reason, wanted=wanted, told=_told) if apply else work
    from streams.cli.show_quarantine import handled

    output.answer("quarantine discard", as_json, acting, lambda told: handled(told, "discarded"))


def _asked(
    code: list[str] | None, system: list[str] | None, provider: str, since: str, until: str,
    origin: list[str] | None, state: str,
) -> dict[str, Any]:  # fmt: skip
    """The filters that were given, for the audit."""
    given = {
        "code": code,
        "system": system,
        "provider": provider,
        "since": since,
        "until": until,
        "origin": origin,
    }
    return {name: value for name, value in {**given, "state": state}.items() if value}


def _told(result: Any) -> dict[str, Any]:
    return {"chosen": result.chosen, "done": result.done, "still": result.still, "by_code": result.by_code}
