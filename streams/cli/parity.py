"""`concord parity`: does every system hold what it is to hold, and if not, who says so?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table
from streams.errors import InvalidInput
from streams.systems import ADAPTED

app = typer.Typer(rich_markup_mode=None)
STATES = ("equal", "in_flight", "differing", "let_be", "unexplained", "held", "withdrawn")


@app.command("parity", epilog="Example: concord parity --system directory")
def parity(
    system: Annotated[str, typer.Option(help="Only this system.")] = "",
    deep: Annotated[
        bool, typer.Option("--deep", help="Also look every provider up in the systems' own tables.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Per system the entities that are equal, in flight (sent, not confirmed), or hold something else.

    Differing: an open finding says so. Let be: authority has it observed or ignored. Unexplained must be 0.

    Exit codes: 0 every difference is explained, 1 one is not (or, with --deep, somebody is missing), 2 no such
    system, 3 there is no Kafka.
    """

    def work() -> Any:
        from streams.operate import parity as asking

        if system and system not in ADAPTED:
            raise InvalidInput("system.unknown", f"{system!r} gets no views", f"one of: {', '.join(ADAPTED)}")
        return asking.parity(configuration.load(), system, deep=deep)

    output.answer("parity", as_json, work, _text, _fails)


def _fails(found: Any) -> bool:
    return not found.explained or (found.deep is not None and not found.deep.equal)


def _text(found: Any) -> str:
    head = ("system", *(state.replace("_", " ") for state in STATES), "oldest in flight")
    rows = [
        (s.system, *(f"{getattr(s, state):,}" for state in STATES), _oldest(s.oldest_in_flight))
        for s in found.systems
    ]
    return "\n".join([*table([head, *rows], ""), *_lines(found)])


def _lines(found: Any) -> Iterator[str]:
    for s in found.systems:
        if s.paused:
            yield f"{s.system} PAUSED since {s.paused['since']} by {s.paused['by']}: {s.paused['reason']}"
        if s.fields:
            yield f"{s.system} differs in  " + ", ".join(
                f"{name} {count:,}" for name, count in s.fields.items()
            )
        if s.oldest:
            yield f"{s.system} oldest  {_oldest(s.oldest)}"
        for entity in s.named:
            yield f"{s.system} UNEXPLAINED  {entity}: concord explain {entity}"
    if found.scanned:
        numbers = ", ".join(map(str, found.scanned))
        yield f"no worker has partitions {numbers} open: counted from topic entity"
    if found.deep is not None:
        missing = ", ".join(f"{system} {count:,}" for system, count in found.deep.missing.items())
        yield f"in the systems' own tables  {found.deep.active:,} active providers; missing: {missing}"


def _oldest(waiting: Any) -> str:
    return (
        f"{waiting.seconds:,.1f} s {waiting.entity} ({waiting.state.replace('_', ' ')})" if waiting else "-"
    )
