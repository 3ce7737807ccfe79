"""`python -m tests.bench`: measure, show, keep. Exits 0 when it could measure, whatever the figures say.

python -m tests.bench [--only a,b] [--quick] [--out DIR] [--profile]
python -m tests.bench --docs RESULTS_DIR     the figures into docs/benchmarks.md
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from streams.errors import ConcordError
from tests.bench import advance, decide, docs, known, latency, path, report, restore, scale, verification
from tests.bench import console as pages
from tests.bench.bed import Bed, Failed
from tests.bench.report import Folder, Result

EXPERIMENTS: dict[str, Callable[..., Result]] = {
    "a": advance.measure,
    "b": decide.measure,
    "c": path.measure,
    "d": latency.measure,
    "e": restore.measure,
    "m": known.measure,
    "v": verification.measure,
}
AT_LENGTH: dict[str, Callable[..., Result]] = {"s": scale.measure, "w": pages.measure}
"""Only when asked for by name; s is `make bench-scale`."""
console = Console(stderr=True)


def main(
    only: Annotated[str, typer.Option(help="Experiments, such as a,b; all but s and w when left out.")] = "",
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes: for development, not for figures.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where results go; bench-results/<time> when left out.")
    ] = None,
    docs_of: Annotated[
        list[Path] | None,
        typer.Option("--docs", help="Measure nothing: these results' figures into docs/benchmarks.md."),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="b: one more run under a profiler.")] = False,
) -> None:
    """Measure Concord on this machine."""
    if docs_of:
        docs.write(docs_of)
        return
    chosen = [name.strip() for name in only.split(",") if name.strip()] or list(EXPERIMENTS)
    known = EXPERIMENTS | AT_LENGTH
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise typer.BadParameter(f"no experiment {', '.join(unknown)}; there are {', '.join(known)}")
    folder = Folder(out or Path("bench-results") / time.strftime("%Y%m%d-%H%M%S"))
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    bed = Bed(folder.path.resolve(), say)
    results: list[Result] = []
    try:
        for name in chosen:
            results.append(known[name](bed, folder, quick=quick, profile=profile))
            folder.summary(results, quick=quick)
    except (ConcordError, Failed) as error:
        say(str(error))
        sys.exit(1)
    finally:
        bed.close()
        report.show(Console(width=None if sys.stdout.isatty() else 130), results)
        say(f"raw results: {folder.path}")


def say(text: str) -> None:
    """Progress, on stderr."""
    console.print(f"{time.strftime('%H:%M:%S')}  {text}", highlight=False, soft_wrap=True)


def _like_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    app()
