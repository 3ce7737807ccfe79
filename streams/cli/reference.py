"""`concord reference load|status|show|follow`: what NPPES, LEIE, SAM, NUCC and DEA publish, as evidence."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from streams import settings as configuration
from streams.cli import output
from streams.cli.acting import By, Reason, audited
from streams.cli.output import AsJson
from streams.cli.run import Supervised
from streams.errors import ConcordError, InvalidInput

app = typer.Typer(rich_markup_mode=None)
reference = typer.Typer(
    help="Reference data: evidence from outside.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(reference, name="reference")
SHOWN_FIELDS = 8


@reference.command(
    epilog="Example: concord reference load nppes NPPES_Data_Dissemination_November_2026_V2.zip"
)
def load(
    source: Annotated[str, typer.Argument(help="nppes, leie, sam, nucc or dea")],
    file: Annotated[Path, typer.Argument(help="The published file, or the zip it came in.")],
    mode: Annotated[
        str | None,
        typer.Option(help="full, increment, deactivated or reinstated; the file's name mostly tells."),
    ] = None,
    as_of: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The publisher's date, where the name doesn't tell it."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of rows that may go or be deactivated without a question."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Accept what the load would ask about.")] = False,
    publish: Annotated[
        bool, typer.Option(help="Tell what it says to everyone who holds an NPI the platform knows.")
    ] = True,
    reason: Reason = "",
    by: By = "",
    as_json: AsJson = False,
) -> None:
    """Load a published file. Exit code 2: it is broken or must be accepted; the last good version stays in use."""

    def work() -> Any:
        from connectors.reference.load import Options
        from connectors.reference.source import MODES
        from streams.operate import reference as operate

        if mode is not None and mode not in MODES:
            raise InvalidInput("reference.mode", f"no mode {mode!r}", f"use one of: {', '.join(MODES)}")
        known = configuration.load()
        most = known.reference_max_drop if max_drop is None else max_drop
        options = Options(mode, as_of.date() if as_of else None, most)
        with _bar(file.name, shown=not as_json) as bar:

            def ask(question: Any) -> bool:
                return yes or (not as_json and sys.stdin.isatty() and bar.confirm(question.text))

            return operate.load(known, source, file, options, ask, bar.progress, publish=publish)

    wanted = {"file": file.name, "mode": mode, "yes": yes, "publish": publish}
    acting = audited("reference.load", work, by=by, why=reason, subject=source, wanted=wanted, told=_version)
    output.answer("reference load", as_json, acting, _loaded)


def _version(found: Any) -> dict[str, Any]:
    version = found.loaded.version
    return {"entries": version.entries, "as_of": str(version.as_of), "already": found.loaded.already}


class _Bar:
    """Bytes read, on stderr."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def progress(self, done: int, size: int) -> None:
        self._progress.update(self._task, completed=done, total=size)

    def confirm(self, text: str) -> bool:
        self._progress.stop()
        return typer.confirm(f"{text}. Load it anyway?", err=True)


@contextmanager
def _bar(name: str, *, shown: bool) -> Iterator[_Bar]:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not (shown and console.is_terminal)) as progress:
        yield _Bar(progress, progress.add_task(name, total=None))


def _loaded(found: Any) -> str:
    loaded, version = found.loaded, found.loaded.version
    what = f"{loaded.source}: {version.entries:,} rows as of {version.as_of}"
    if loaded.already:
        lines = [f"{what}, loaded before: nothing changed"]
    else:
        left = sum(loaded.left_out.values())
        lines = [f"{what} ({version.mode}, {version.file})"]
        lines += [f"  read {loaded.read:,}: {loaded.kept:,} kept{_counted(loaded.counts)}, {left:,} left out"]
        lines += [f"  left out: {why} {count:,}" for why, count in loaded.left_out.items()]
        lines += _changed(loaded.delta)
    lines += [f"  note: {warning}" for warning in loaded.warnings]
    told = f"told {found.told.holders:,} by {found.told.claims:,} claims" if found.told else "nobody was told"
    screened = [f"  {_screened(found.screened)}"] if found.screened else []
    return "\n".join([*lines, f"  {told}{f': {found.why}' if found.why else ''}", *screened])


def _screened(found: Any) -> str:
    rows = ", ".join(f"{name} {count:,}" for name, count in found.told.items()) or "no list is loaded"
    return f"{found.people:,} people screened; rows that may be about them: {rows}; {found.taken_back:,} taken back"


def _counted(counts: Any) -> str:
    return "".join(f", {count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)


def _changed(delta: Any) -> list[str]:
    lines = [f"  {delta.added:,} added, {delta.changed:,} changed, {delta.removed:,} removed"]
    if delta.deactivated or delta.reactivated or delta.retired:
        lines += [
            f"  {delta.deactivated:,} deactivated, {delta.reactivated:,} reactivated, {delta.retired:,} retired"
        ]
    fields = list(delta.fields.items())[:SHOWN_FIELDS]
    listed = ", ".join(f"{name} {count:,}" for name, count in fields)
    return [*lines, f"  changed: {listed}"] if listed else lines


@reference.command(epilog="Example: concord reference screen --json")
def screen(reason: Reason = "", by: By = "", as_json: AsJson = False) -> None:
    """Compare everybody with the loaded lists by name and date of birth (LEIE) and DEA number. Run it daily."""

    def work() -> Any:
        from streams.operate import reference as operate

        return operate.screen(configuration.load())

    acting = audited("reference.screen", work, by=by, why=reason, told=lambda found: {"told": found.told})
    output.answer("reference screen", as_json, acting, _screened)


@reference.command(epilog="Example: concord reference status --json")
def status(as_json: AsJson = False) -> None:
    """Each source: version, publisher's date, rows, age; fresh, stale or unavailable, and why."""

    def work() -> Any:
        from streams.operate import reference as operate

        return operate.standings(configuration.load())

    output.answer("reference status", as_json, work, lambda found: "\n".join(map(_standing, found)))


def _standing(found: Any) -> str:
    if found.version is None:
        line = f"{found.source:6} {found.state}"
    else:
        age = f"{found.age_days} days old"
        line = f"{found.source:6} {found.state:12} {found.version.entries:>10,} rows as of {found.version.as_of}, {age}"
    return f"{line}\n       {found.why}" if found.why else line


@reference.command(epilog="Example: concord reference show 1234567893")
def show(
    npi: Annotated[str, typer.Argument(help="An NPI (10 digits).")],
    as_json: AsJson = False,
) -> None:
    """What each witness says of an NPI. Nothing found in a source that is unavailable means nothing."""

    def work() -> Any:
        from streams.operate import reference as operate

        return {"npi": npi, "witnesses": operate.statements(configuration.load(), npi)}

    output.answer("reference show", as_json, work, lambda r: "\n".join(map(_statement, r["witnesses"])))


def _statement(said: Any) -> str:
    head = f"{said.source} ({said.state}{f', as of {said.as_of}' if said.as_of else ''})"
    if said.rows is None:
        return f"{head}: can't be asked: {said.why}"
    if not said.rows:
        return f"{head}: says nothing"
    rows = [f"  {name}: {value}" for values in said.rows.values() for name, value in values.items() if value]
    return "\n".join([f"{head}:", *rows])


@reference.command(epilog="Example: concord reference follow")
def follow(supervised: Supervised = True) -> None:
    """Tell what the witnesses say to whoever comes to hold an NPI, until told to stop."""
    from streams.engine import supervisor
    from streams.operate import reference as operate

    output.log_to_stderr()
    if supervised:
        raise typer.Exit(supervisor.run(["reference", "follow", "--no-supervised"]))
    try:
        code = operate.follow(configuration.load())
    except ConcordError as error:
        output.refuse("reference follow", False, error)
    raise typer.Exit(code)
