"""`concord`: every command, with --json, an example, and the exit codes of `output`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.errors import InvalidInput
from streams.settings import ADAPTED, SYSTEMS, need

app = typer.Typer(
    help="Keeps a healthcare provider's record the same in credentialing, enrollment, directory and billing.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


systems = _group("systems", "The reference systems' databases.")
schemas = _group("schema", "The contracts of the sink topics.")
topics = _group("topics", "The topics of the catalogue.")
mapping = _group("mapping", "Which table and column is which canonical field.")
load = _group("load", "Fill the credentialing database.")


@systems.command("apply", epilog="Example: concord systems apply")
def systems_apply(as_json: AsJson = False) -> None:
    """Create tables, publication, grants and seed of every reference system; safe to repeat."""

    def work() -> Any:
        from connectors.systems import apply

        dsns = need(configuration.load().databases, "CONCORD_DATABASE_<SYSTEM>")
        return {system: apply(dsn, system) for system, dsn in dsns.items()}

    output.answer(
        "systems apply", as_json, work, lambda r: "\n".join(f"{s}: {', '.join(v)}" for s, v in r.items())
    )


@schemas.command("publish", epilog="Example: concord schema publish")
def schemas_publish(as_json: AsJson = False) -> None:
    """Register the view schemas under FULL_TRANSITIVE; a breaking change is refused."""

    def work() -> Any:
        from schemas import registry

        known = configuration.load()
        client = registry.connect(need(known.registry, "CONCORD_REGISTRY"))
        return registry.publish(client, registry.schema_files(prefix=known.topic_prefix))

    output.answer(
        "schema publish",
        as_json,
        work,
        lambda r: "\n".join(f"{p.subject} v{p.version} id {p.id}{' (new)' if p.created else ''}" for p in r),
    )


def _topics(apply: bool) -> Any:
    from confluent_kafka.admin import AdminClient

    from streams import topics as catalogue

    known = configuration.load()
    admin = AdminClient({"bootstrap.servers": need(known.kafka, "CONCORD_KAFKA")})
    layout = catalogue.Layout(partitions=known.partitions, prefix=known.topic_prefix)
    return catalogue.apply(admin, layout) if apply else catalogue.plan(admin, layout)


def _changes(changes: Any) -> str:
    lines = [f"{c.action:10} {c.topic} {dict(c.settings) or ''} {c.reason}".rstrip() for c in changes]
    return "\n".join(lines) or "nothing differs"


@topics.command("plan", epilog="Example: concord topics plan")
def topics_plan(as_json: AsJson = False) -> None:
    """Show what differs between the catalogue and the cluster."""
    output.answer("topics plan", as_json, lambda: _topics(False), _changes)


@topics.command("apply", epilog="Example: concord topics apply")
def topics_apply(as_json: AsJson = False) -> None:
    """Create and configure what is missing; never alters a partition count."""
    output.answer("topics apply", as_json, lambda: _topics(True), _changes)


@app.command(epilog="Example: concord worker --data-dir .concord/worker-1")
def worker(
    data_dir: Annotated[
        Path | None, typer.Option(help="Where this worker keeps its stores; one folder a worker.")
    ] = None,
    supervised: Annotated[
        bool, typer.Option(help="Start the process again, with backoff, when it has to exit.")
    ] = True,
) -> None:
    """Run a decide worker until it is told to stop. Exit codes: 0 stopped, 70 fenced by a successor."""
    from streams.engine import supervisor

    output.log_to_stderr()
    if supervised:
        raise typer.Exit(
            supervisor.run(
                ["worker", "--no-supervised", *(["--data-dir", str(data_dir)] if data_dir else [])]
            )
        )
    from streams import app as worker_app

    known = configuration.load()
    if data_dir is not None:
        known = known.model_copy(update={"data_dir": data_dir})
    raise typer.Exit(worker_app.run(known))


@app.command(epilog="Example: concord adapter directory")
def adapter(system: Annotated[str, typer.Argument(help="directory, enrollment or billing")]) -> None:
    """Apply a system's views to its database until told to stop."""
    from connectors import run as adapters
    from streams.errors import ConcordError

    output.log_to_stderr()
    try:
        if system not in ADAPTED:
            raise InvalidInput(
                "adapter.unknown", f"no adapter for {system!r}", f"use one of: {', '.join(ADAPTED)}"
            )
        known = configuration.load()
        dsn = need(known.adapters.get(system), f"CONCORD_ADAPTER_{system.upper()}")
        code = adapters.run(
            system, need(known.kafka, "CONCORD_KAFKA"), known.registry, dsn, known.topic_prefix
        )
    except ConcordError as error:
        output.refuse("adapter", False, error)
    raise typer.Exit(code)


def main() -> None:
    """Console script entry."""
    app()


__all__ = ["SYSTEMS", "app", "main"]
