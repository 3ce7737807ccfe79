"""`concord metrics`: what Prometheus reads, served or printed once."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.run import Supervised
from streams.errors import ConcordError

app = typer.Typer(rich_markup_mode=None)


@app.command("metrics", epilog="Example: concord metrics --port 9464")
def metrics(
    port: Annotated[
        int | None,
        typer.Option(
            help="On loopback; 0 takes a free one. Default: CONCORD_METRICS_PORT.", min=0, max=65_535
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Look once and print it.")] = False,
    supervised: Supervised = True,
    as_json: AsJson = False,
) -> None:
    """Serve every metric for Prometheus at /metrics until told to stop; --once and --json print one look.

    Exit codes: 0 stopped, or looked; 2 wrong input; 3 no address of Kafka, or the port is taken.
    """
    if once or as_json:
        _once(as_json)
    else:
        _serve(port, supervised)


def _serve(port: int | None, supervised: bool) -> None:
    from streams.engine import supervisor

    output.log_to_stderr()
    if supervised:
        chosen = [] if port is None else ["--port", str(port)]
        raise typer.Exit(supervisor.run(["metrics", "--no-supervised", *chosen]))
    try:
        from streams.operate.exporter import serve

        known = configuration.load()
        code = serve.run(known, known.metrics_port if port is None else port)
    except ConcordError as error:
        output.refuse("metrics", False, error)
    raise typer.Exit(code)


def _once(as_json: bool) -> None:
    def work() -> Any:
        from streams.operate.exporter.samples import plain
        from streams.operate.exporter.serve import once

        looked = once(configuration.load())
        found = [plain(sample) for family in looked.found for sample in family.samples] if as_json else []
        return {"text": looked.metrics().decode(), "samples": found, "failing": looked.status()["failing"]}

    output.answer("metrics", as_json, lambda: _shown(work(), as_json), lambda found: str(found))


def _shown(looked: dict[str, Any], as_json: bool) -> Any:
    """With --json the numbers, else the exposition."""
    return {k: looked[k] for k in ("samples", "failing")} if as_json else looked["text"].rstrip()
