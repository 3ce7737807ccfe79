"""`concord export`: a system's views as files, for those who take files at night."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, audited
from streams.cli.output import AsJson
from streams.errors import InvalidInput
from streams.systems import ADAPTED

app = typer.Typer(rich_markup_mode=None)


class Since(StrEnum):
    """Where an export begins."""

    LAST = "last"


class Form(StrEnum):
    """How files are written."""

    JSONL = "jsonl"
    CSV = "csv"


@app.command(epilog="Example: concord export directory --since last --to exports/directory")
def export(
    system: Annotated[str, typer.Argument(help=f"{', '.join(ADAPTED)}; not with --verify.")] = "",
    since: Annotated[
        Since, typer.Option(help="What the folder's last export left out; the first is complete.")
    ] = Since.LAST,
    to: Annotated[Path | None, typer.Option("--to", help="The folder; one for each system.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Everything, whatever the folder has.")] = False,
    form: Annotated[Form, typer.Option("--format", help="How the files are written.")] = Form.JSONL,
    verify: Annotated[
        Path | None,
        typer.Option("--verify", help="Only check the deliveries of this folder, or one delivery."),
    ] = None,
    returned: Annotated[
        Path | None, typer.Option("--returned", help="Only take over the system's receipt file (JSON Lines).")
    ] = None,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Write a system's views into a folder: complete or what changed since its last export, with a manifest.

    Exit codes: 0 done, 1 not done or --verify found something, 2 wrong input, 3 no such folder or service.
    """
    if verify is not None:
        _verify(verify, as_json)
        return
    if returned is not None:
        _take_over(system, returned, by, reason, as_json)
        return

    def work() -> Any:
        from streams.operate.export.take import take

        if not system or to is None:
            step = "concord export directory --to FOLDER, or concord export --verify FOLDER"
            raise InvalidInput("export.argument", "a system and --to FOLDER are needed", step)
        made = take(configuration.load(), system, to, full, form.value)
        return {"delivery": str(to / made.folder), "manifest": made}

    wanted = {"to": to and to.name, "full": full, "format": form.value}
    acting = audited("export", work, by=by, why=reason, subject=system, wanted=wanted, told=_made)
    output.answer("export", as_json, acting, _told)


def _verify(folder: Path, as_json: bool) -> None:
    def work() -> Any:
        from streams.operate.export import manifest

        return {"folder": str(folder), "problems": manifest.verify(folder)}

    def text(found: Any) -> str:
        return "\n".join(found["problems"]) or f"{folder}: every delivery is as it was written"

    output.answer("export", as_json, work, text, lambda found: bool(found["problems"]))


def _take_over(system: str, file: Path, by: str, reason: str, as_json: bool) -> None:
    def work() -> Any:
        from streams.operate.export import returned

        return returned.tell(configuration.load(), system, file)

    acting = audited("export.returned", work, by=by, why=reason, subject=system, told=_counted)
    output.answer(
        "export",
        as_json,
        acting,
        lambda told: f"{told.system}: {told.applied:,} applied, {told.failed:,} failed",
    )


def _made(result: Any) -> dict[str, Any]:
    made = result["manifest"]
    return {"delivery": made.folder, "kind": made.kind, "files": {f.name: f.records for f in made.files}}


def _counted(told: Any) -> dict[str, Any]:
    return {"applied": told.applied, "failed": told.failed}


def _told(result: Any) -> str:
    made = result["manifest"]
    head = f"{result['delivery']}: {made.kind}, {made.why}"
    rows = [f"  {f.name:22} {f.records:>9,} records, {f.withdrawn:,} withdrawn" for f in made.files]
    left = (
        f"  {made.superseded:,} superseded, {made.tombstones:,} tombstones, {made.undecodable:,} undecodable"
    )
    return "\n".join([head, *rows, left])
