"""`concord sample|tail`: a topic as its consumers see it."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.output import AsJson

app = typer.Typer(rich_markup_mode=None)

Topic = Annotated[str, typer.Argument(help="A topic with a schema, such as sink.directory.provider.")]


@app.command("sample", epilog="Example: concord sample sink.directory.provider --count 3")
def sample(
    topic: Topic,
    count: Annotated[int, typer.Option(help="How many of the newest records.", min=1, max=1000)] = 3,
    as_json: AsJson = False,
) -> None:
    """The newest records of a topic, decoded by the registry, with their headers; restricted values are masked."""
    from streams import settings
    from streams.operate import consume

    output.answer(
        "sample",
        as_json,
        lambda: consume.sample(settings.load(), topic, count),
        lambda found: "\n".join(map(_shown, found)) or f"{topic} has no records",
    )


@app.command("tail", epilog="Example: concord tail sink.directory.provider --changed listings --json")
def tail(
    topic: Topic,
    provider: Annotated[str, typer.Option(help="Only this one: an NPI, or the record's key.")] = "",
    changed: Annotated[str, typer.Option(help="Only records in which this field changed.")] = "",
    beginning: Annotated[bool, typer.Option("--beginning", help="First those that are there.")] = False,
    count: Annotated[
        int | None, typer.Option(help="End after so many; without, Ctrl-C ends it.", min=1)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Each new record of a topic as it comes, decoded by the registry, with headers; restricted values masked."""
    from streams import settings
    from streams.operate import consume

    def work() -> None:
        wanted = consume.Wanted(provider, changed)
        found = consume.tail(settings.load(), topic, wanted, beginning=beginning)
        for record in islice(found, count):
            print(consume.line(record) if as_json else _shown(record), flush=True)

    try:
        output.run("tail", as_json, work)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def _shown(record: Any) -> str:
    """The record for people: where it stands, its headers, then every field that has a value."""
    head = f"{record.key}  {record.topic}[{record.partition}]@{record.offset}"
    said = [f"schema {record.schema} (id {record.schema_id})"] if record.schema_id is not None else []
    said += [f"{name}: {value}" for name, value in record.headers.items()]
    said += [record.problem] if record.problem else []
    said += ["tombstone"] if record.value is None and not record.problem else []
    return "\n".join([head, *(f"    {line}" for line in said), *_fields(record.value or {}, "  ")])


def _fields(value: Any, indent: str) -> list[str]:
    lines = []
    for name, part in value.items():
        if isinstance(part, list) and part and isinstance(part[0], dict):
            lines.append(f"{indent}{name}:")
            for item in part:
                first, *rest = _fields(item, f"{indent}    ") or [f"{indent}    "]
                lines += [f"{indent}  - {first.strip()}", *rest]
        elif part not in (None, []):
            lines.append(f"{indent}{name}: {part}")
    return lines
