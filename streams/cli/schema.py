"""`concord schema check|seal|publish|new-field`: the gate every schema passes. Exit code 2 when it is closed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.acting import By, Reason, audited
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="The contracts of the topics that others read.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(group, name="schema")

WRONG_INPUT = 2
Folder = Annotated[
    Path | None, typer.Argument(help="A folder like schemas/; without one, the contracts that are shipped.")
]


@group.command("check", epilog="Example: concord schema check schemas")
def check(folder: Folder = None, as_json: AsJson = False) -> None:
    """May every schema be published? All that is wrong, each with its cure. Exit code 2 when not; warnings are 0."""
    from streams.operate import schemas

    output.answer(
        "schema check",
        as_json,
        lambda: schemas.check(folder),
        _checked,
        lambda found: not found.sound,
        WRONG_INPUT,
    )


def _checked(found: Any) -> str:
    lines = output.problems(found.problems)
    errors = sum(not p.warning for p in found.problems)
    said = f"{found.versions} versions of {found.schemas} schemas, {found.contracts} contracts"
    lines.append(f"{found.folder}: {f'{errors} problems' if errors else 'holds'}; {said}")
    lines.append(f"read by {' and '.join(found.parsers)}; compatibility FULL_TRANSITIVE")
    if found.unsealed:
        lines.append(f"not sealed, may still change: {', '.join(found.unsealed)}")
    return "\n".join(lines)


@group.command("seal", epilog="Example: concord schema seal")
def seal(folder: Folder = None, as_json: AsJson = False) -> None:
    """Add new versions to sealed.sha256: they are never edited from then on. Exit code 2 while one is wrong."""
    from streams.operate import schemas

    def text(sealed: Any) -> str:
        return "\n".join(f"sealed {name}" for name in sealed) or "every version is sealed"

    output.answer("schema seal", as_json, lambda: schemas.seal(folder), text)


@group.command("publish", epilog="Example: concord schema publish")
def publish(
    force: Annotated[
        bool, typer.Option("--force", help="By hand, in a registry that others use, sealed or not.")
    ] = False,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Register what is new under FULL_TRANSITIVE; in a registry of others from CI only. Exit code 2 when refused."""
    from streams import settings
    from streams.operate import schemas

    def text(published: Any) -> str:
        return "\n".join(
            f"{p.subject} v{p.version} id {p.id}{' (new)' if p.created else ''}" for p in published
        )

    def work() -> Any:
        return schemas.publish(settings.load(), in_ci=settings.in_ci(), force=force)

    acting = audited("schema.publish", work, by=by, why=reason, wanted={"force": force}, told=_new)
    output.answer("schema publish", as_json, acting, text)


def _new(published: Any) -> dict[str, Any]:
    return {
        "new": [f"{p.subject} v{p.version}" for p in published if p.created],
        "registered": len(published),
    }


@group.command(
    "new-field",
    epilog="Example: concord schema new-field provider.pronouns --column credentialing.provider.pronouns --like sex"
    ' --view directory.provider --doc "Pronouns as the provider states them." --apply',
)
def new_field(
    name: Annotated[str, typer.Argument(help="record.field, as it will be called everywhere.")],
    column: Annotated[str, typer.Option(help="SYSTEM.TABLE.COLUMN that says it.")],
    like: Annotated[str, typer.Option(help="A field of the record: owned, judged and written as this one.")],
    doc: Annotated[str, typer.Option(help="What a value means: consumers read this.")],
    kind: Annotated[
        str, typer.Option("--type", help="text, date, integer, ... (schemas/canonical.toml).")
    ] = "text",
    cls: Annotated[str, typer.Option("--class", help="public, S2 (internal) or S1 (restricted).")] = "public",
    view: Annotated[list[str] | None, typer.Option(help="A view it enters; may be given again.")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="Write; without, only say what would be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a field into every file that needs a line of it; name those that take a thought. Exit code 2: refused."""
    from streams.operate import new_field as scaffolding

    wanted = scaffolding.Wanted(name, kind, cls, column, like, doc, tuple(view or ()))
    output.answer("schema new-field", as_json, lambda: scaffolding.scaffold(wanted, apply=apply), _scaffolded)


def _scaffolded(found: Any) -> str:
    head = "written" if found.applied else "would be written (--apply does it)"
    lines = [f"{head}:", *table(list(found.files.items()))]
    lines += ["generated of them:", *(f"  python -m {module}" for module in found.generated)]
    lines += ["by hand:", *table(list(found.by_hand.items()))]
    return "\n".join(
        [*lines, "then: concord schema check; concord authority check; the scenario; pytest tests/unit"]
    )
