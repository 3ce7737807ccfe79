"""`concord authority check|show|diff`: the file that says who owns each field. Exit code 2 when it is wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(help="Who owns each canonical field.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(group, name="authority")

WRONG_INPUT = 2


@group.command("check", epilog="Example: concord authority check schemas/authority.toml")
def check(
    file: Annotated[Path | None, typer.Argument(help="An authority file; without one, that shipped.")] = None,
    as_json: AsJson = False,
) -> None:
    """Every field owned once, nothing contradictory, every name known. Exit code 2 when not; warnings are 0."""
    from streams.operate import authority

    output.answer(
        "authority check",
        as_json,
        lambda: authority.check(file, date.today()),
        _checked,
        lambda found: not found.sound,
        WRONG_INPUT,
    )


def _checked(found: Any) -> str:
    lines = output.problems(found.problems)
    errors = sum(not p.warning for p in found.problems)
    said = f"{found.fields} fields of {found.records} records owned, version {found.version}"
    return "\n".join([*lines, f"{found.file}: {f'{errors} problems' if errors else said}"])


@group.command("diff", epilog="Example: concord authority diff schemas/authority.toml proposed.toml")
def diff(
    old: Annotated[Path, typer.Argument(help="The file as it holds now.")],
    new: Annotated[Path, typer.Argument(help="The file as it would be.")],
    as_json: AsJson = False,
) -> None:
    """Which providers and fields would change: the stored entities under both files. Changes nothing."""
    from streams.operate import authority_diff
    from streams.settings import load

    output.answer("authority diff", as_json, lambda: authority_diff.diff(load(), old, new), _difference)


def _difference(found: Any) -> str:
    head = f"version {found.old} -> {found.new}: {found.changed} of {found.entities} entities would change"
    counts = [(name, f"{count} values") for name, count in found.fields.most_common()]
    rows = [(c.key, f"{c.record}/{c.row}", c.field, f"{c.before!r} -> {c.after!r}") for c in found.changes]
    more = sum(found.fields.values()) - len(found.changes)
    lines = [head, *table(counts, "  "), *(["", *table(rows, "  ")] if rows else [])]
    return "\n".join([*lines, f"  and {more} more"] if more else lines)


@group.command("show", epilog="Example: concord authority show location.phone")
def show(
    name: Annotated[str | None, typer.Argument(help="A record, or record.field; without one, all.")] = None,
    as_json: AsJson = False,
) -> None:
    """The rows as they hold, every inherited value filled in."""
    from streams.operate import authority

    def text(found: Any) -> str:
        return _card(found[0]) if name and "." in name else "\n".join(_rows(found))

    output.answer("authority show", as_json, lambda: authority.show(name), text)


def _rows(found: Any) -> list[str]:
    from streams.operate import authority

    head = ("field", "rule", "owner", "approval", "written to")
    rows = [(f.name, f.rule, authority.owners(f), f.approval, authority.writes(f) or "-") for f in found]
    return table([head, *rows], "")


def _card(field: Any) -> str:
    from streams.operate import authority

    rows = [
        ("rule", field.rule),
        ("owner", authority.owners(field)),
        ("evidence", " > ".join(authority.words(name) for name in field.evidence) or "-"),
        ("edits", authority.edits(field)),
        ("approval", authority.approval(field)),
        ("written to", authority.writes(field) or "-"),
        ("effective", authority.words(field.effective)),
        ("source", f"{field.source}; authority.toml:{field.line}"),
    ]
    rows += [("note", field.note)] if field.note else []
    return "\n".join([field.name, *table(rows)])
