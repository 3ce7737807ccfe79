"""`concord worker|adapter|up|down|demo`: processes, in the foreground or all of them in the background."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.errors import ConcordError, InvalidInput
from streams.settings import need
from streams.systems import ADAPTERS

app = typer.Typer(rich_markup_mode=None)

Supervised = Annotated[
    bool, typer.Option(help="Start the process again, with backoff, when it has to exit or was killed.")
]


@app.command(epilog="Example: concord worker --data-dir .concord/worker-1")
def worker(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where this worker keeps its stores; one folder a worker.")
    ] = None,
    accept: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Decide everybody again under this worker's files, also after newer ones (a roll-back) or edited "
            "ones of the same version (while developing). No other worker may run meanwhile.",
        ),
    ] = False,
    supervised: Supervised = True,
) -> None:
    """Run a decide worker until it is told to stop. Exit codes: 0 stopped, 2 a wrong file, 70 fenced by a successor."""
    from streams.engine import supervisor

    output.log_to_stderr()
    if supervised:
        options = [*(["--data-dir", str(data_dir)] if data_dir else []), *(["--accept"] if accept else [])]
        raise typer.Exit(supervisor.run(["worker", "--no-supervised", *options]))
    from streams import app as worker_app

    try:
        known = configuration.load()
        if data_dir is not None:
            known = known.model_copy(update={"data_dir": data_dir})
        if accept:
            known = known.model_copy(update={"accept": True})
        code = worker_app.run(known)
    except ConcordError as error:
        # With its own exit code: the supervisor doesn't start again what a person must correct first.
        output.refuse("worker", False, error)
    raise typer.Exit(code)


@app.command(epilog="Example: concord adapter directory")
def adapter(
    system: Annotated[str, typer.Argument(help=", ".join(ADAPTERS))],
    supervised: Supervised = True,
) -> None:
    """Apply a system's views to its database, or to its API (docs/systems-behind-an-api.md), until told to stop.

    Exit codes: 0 stopped, 2 unknown, 3 no address.
    """
    from connectors import run as adapters
    from streams.engine import supervisor

    output.log_to_stderr()
    if supervised:
        raise typer.Exit(supervisor.run(["adapter", system, "--no-supervised"]))
    try:
        if system not in ADAPTERS:
            raise InvalidInput(
                "adapter.unknown", f"no adapter for {system!r}", f"use one of: {', '.join(ADAPTERS)}"
            )
        known = configuration.load()
        if system in known.files:
            step = f"concord export {system} --to FOLDER"
            raise InvalidInput("adapter.files", f"{system} takes files: it has no adapter", step)
        dsn = need(known.adapters.get(system), f"CONCORD_ADAPTER_{system.upper()}")
        kafka, api = need(known.kafka, "CONCORD_KAFKA"), known.apis.get(system)
        code = adapters.run(system, kafka, known.registry, dsn, known.topic_prefix, api=api)
    except ConcordError as error:
        output.refuse("adapter", False, error)
    raise typer.Exit(code)


@app.command(epilog="Example: concord up && concord status")
def up(as_json: AsJson = False) -> None:
    """Stack, systems, schemas, topics, sources, one worker and every adapter in the background; returns when ready."""

    def work() -> Any:
        from streams.operate import processes

        processes.up(output.say)
        return processes.standings()

    output.answer("up", as_json, work, lambda found: "\n".join(_standing(s) for s in found))


def _standing(part: Any) -> str:
    return f"{part.name:20} pid {part.pid}  log {part.log}" if part.running else f"{part.name:20} stopped"


@app.command(epilog="Example: concord down --volumes")
def down(
    volumes: Annotated[bool, typer.Option("--volumes", help="Delete all data of the stack too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Stop the background processes, then the stack; data stays unless --volumes is given."""

    def work() -> Any:
        from streams.operate import processes

        processes.down(output.say, volumes=volumes)
        return processes.standings()

    output.answer("down", as_json, work, lambda found: "everything is stopped")


@app.command(epilog="Example: concord demo --providers 300")
def demo(
    providers: Annotated[int, typer.Option(help="How many invented providers.", min=1)] = 300,
    nppes: Annotated[Path | None, typer.Option(help="Use the rows of this NPPES V2 file instead.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="Only the file's first so many usable rows.", min=1)
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed makes other providers.")] = 1,
    stop: Annotated[bool, typer.Option("--stop", help="Stop everything at the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """The main job on the real stack: load providers, play a story, show what each system received and when."""

    def work() -> Any:
        from streams.cli import stage
        from streams.operate.demo import Plan

        return stage.perform(Plan(providers, seed, nppes, limit), stop=stop, quiet=as_json)

    output.answer("demo", as_json, work, lambda result: "")
