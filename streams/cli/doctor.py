"""`concord doctor`: what is wrong around the platform, and the exact fix; and what nobody could look at."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)
_MARKS = {"ok": "ok", "finding": "WRONG", "error": "UNKNOWN", "skipped": "-"}


@app.command(epilog="Example: concord doctor --system directory --only grants")
def doctor(
    system: Annotated[list[str] | None, typer.Option(help="This system's database only; repeatable.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="This check only, such as slot or min_insync; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at databases, Kafka, Connect, registry, clocks and disks; each fault with why it matters and its exact fix.

    Exit codes: 0 all in order; 1 something is wrong; 2 no such system or check; 3 something could not be looked at.
    """

    def work() -> Any:
        from streams.operate.doctor.examine import examine

        return examine(configuration.load(), system or (), only or ())

    output.answer("doctor", as_json, work, text, lambda found: found.code != 0, lambda found: found.code)


def text(found: Any) -> str:
    """Group by group; what is in order takes one line a check."""
    lines = []
    for name, results in groupby(found.results, lambda result: result.group):
        lines += [name, *_group(list(results)), ""]
    return "\n".join([*lines, _summary(found)])


def _group(results: list[Any]) -> Iterator[str]:
    for result in results:
        if result.state != "skipped":
            yield from _told(result)
    reasons = dict.fromkeys(result.why for result in results if result.state == "skipped")
    for why in reasons:
        names = dict.fromkeys(r.check for r in results if r.state == "skipped" and r.why == why)
        yield f"  {_MARKS['skipped']:9}{', '.join(names)}: {why}"


def _told(result: Any) -> Iterator[str]:
    subject = result.subject.partition("/")[2]
    yield f"  {_MARKS[result.state]:9}{result.check:25}{f'{subject}: ' if subject else ''}{result.seen or result.why}"
    if result.state == "finding":
        yield f"{'':11}{'why':25}{result.why}"
    head, *more = result.fix.splitlines() or [""]
    if head:
        yield f"{'':11}{'fix':25}{head}"
        yield from (f"{'':36}{line}" for line in more)


def _summary(found: Any) -> str:
    wrong, unknown = found.count("finding"), found.count("error")
    rest = f"{found.count('ok')} in order, {found.count('skipped')} skipped"
    if not wrong and not unknown:
        return f"all in order: {rest}"
    parts = [f"{wrong} wrong"] if wrong else []
    parts += [f"{unknown} could not be looked at"] if unknown else []
    return f"{', '.join(parts)}; {rest}"
