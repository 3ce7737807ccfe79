"""`concord audit ...`: who did what, when and why, who was overruled, and whether anybody has touched it since."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="What operators and stewards did: append-only, each row with the hash of the one before.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(group, name="audit")


@group.command("list", epilog="Example: concord audit list --who pat --since 2026-11-01")
def list_command(
    who: Annotated[str, typer.Option(help="Only what this person or process did.")] = "",
    what: Annotated[str, typer.Option(help="Only this act, such as pause or quarantine.replay.")] = "",
    entity: Annotated[str, typer.Option(help="Only about this one: its id, or kind/id.")] = "",
    since: Annotated[str, typer.Option(help="Not before: 2026-11-22, 2026-11-22T14:00:00Z.")] = "",
    unfinished: Annotated[
        bool,
        typer.Option("--unfinished", help="Only what was begun and has no end: cut off, or still at it."),
    ] = False,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1, max=10_000)] = 200,
    as_json: AsJson = False,
) -> None:
    """Rows of the audit, the newest first. Exit codes: 0 listed, 2 a filter is wrong, 3 no stewardship database."""

    def work() -> Any:
        from streams.operate.audit import ledger

        asked = ledger.Asked(who, what, entity, since, None, unfinished, limit)
        return ledger.listed(configuration.load(), asked)

    output.answer("audit list", as_json, work, _rows)


@group.command("show", epilog="Example: concord audit show 1047")
def show(
    which: Annotated[str, typer.Argument(metavar="ID", help="A row's number, or an act's id.")],
    as_json: AsJson = False,
) -> None:
    """One act whole: who, when, why, before and after, its end. Exit codes: 0 shown, 2 no such row, 3 no database."""

    def work() -> Any:
        from streams.operate.audit import ledger

        return ledger.show(configuration.load(), which)

    output.answer(
        "audit show", as_json, work, lambda found: "\n".join(n for row in found for n in _card(row))
    )


@group.command("overruled", epilog="Example: concord audit overruled 1234567893 --system directory")
def overruled(
    key: Annotated[
        str, typer.Argument(help="An NPI, a master id (uuid), or kind/id; without, everybody's.")
    ] = "",
    system: Annotated[str, typer.Option(help="Only edits made in this system.")] = "",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="Not before, UTC.")
    ] = None,
    limit: Annotated[int, typer.Option(help="The newest so many.", min=1, max=100_000)] = 200,
    as_json: AsJson = False,
) -> None:
    """Edits of what their system doesn't own: when, where, from what to what, by which rule, and what became of each.

    Exit codes: 0 listed, 1 nobody holds that NPI, 2 the key or the system is wrong, 3 no broker or registry.
    """

    def work() -> Any:
        from streams.operate.overruled import Asked
        from streams.operate.overruled import overruled as ask

        moment = int(since.replace(tzinfo=UTC).timestamp() * 1000) if since else 0
        return ask(configuration.load(), Asked(key, system, moment, limit))

    output.answer("audit overruled", as_json, work, _overruled)


@group.command("verify", epilog="Example: concord audit verify --manifest audit-2026.jsonl.manifest.json")
def verify(
    file: Annotated[
        Path | None,
        typer.Option("--file", help="An exported file, with its manifest beside it; no database."),
    ] = None,
    manifest: Annotated[
        Path | None,
        typer.Option(
            "--manifest", help="Of an earlier export: the database must still hold all it had then."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Walk the chain and name the first row that was changed, taken out or moved.

    Exit codes: 0 whole, 1 broken, 2 no such file, or rows are gone that the manifest had, 3 no stewardship database.
    """

    def work() -> Any:
        from streams.operate.audit import export, ledger

        if file is not None:
            return export.check(file)
        head = export.read_manifest(manifest).head if manifest else None
        return ledger.verify(configuration.load(), head or "")

    output.answer("audit verify", as_json, work, _walked, lambda found: found.broken is not None)


@group.command("export", epilog="Example: concord audit export --to audit-2026.jsonl")
def export(
    to: Annotated[Path, typer.Option("--to", help="The file; its manifest is written beside it.")],
    as_json: AsJson = False,
) -> None:
    """Write the audit as JSON Lines, and a manifest with its last hash. Exit codes: 0 written, 3 it can't be."""

    def work() -> Any:
        from streams.operate.audit import export as exporting

        return exporting.take(configuration.load(), to)

    output.answer("audit export", as_json, work, _written)


def _rows(found: Any) -> str:
    return "\n".join(map(_row, found)) or "nothing"


def _row(row: Any) -> str:
    detail = row["detail"]
    about = f"{row['kind']}/{row['entity_id']}" if row["entity_id"] else detail.get("subject", "")
    words = [detail.get(name, "") for name in ("phase", "code", "why", "reason")]
    parts = (f"{row['audit_id']:>8}", row["at"], row["actor"], row["action"], about, *map(str, words))
    return "  ".join(part for part in parts if part)


def _overruled(found: Any) -> str:
    return "\n".join(line for one in found for line in _edit(one)) or "nobody was overruled"


def _edit(one: Any) -> Iterator[str]:
    row = f"{one.entity}  {one.system} {one.local_id}  {one.record} row {one.row}"
    yield f"{one.at}  {row}  {one.field}: {one.was or '-'} -> {one.became or '-'}"
    yield f"    {one.outcome}: {one.owner} says so, {one.rule}; edit at {one.position}"


def _card(row: Any) -> Iterator[str]:
    yield _row(row)
    yield from (f"    {name}: {value}" for name, value in row["detail"].items())
    yield f"    hash: {row['hash']}"


def _walked(found: Any) -> str:
    if found.broken:
        return f"BROKEN at row {found.broken.audit_id}: {found.broken.why}; whole up to {found.last}"
    return f"whole: {found.entries:,} rows, {found.first} to {found.last}; head {found.head}"


def _written(made: Any) -> str:
    return f"{made.file}: {made.entries:,} rows, head {made.head}"
