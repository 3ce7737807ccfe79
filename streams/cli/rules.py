"""`concord rules test|list`: play scenarios against the rule book, and read it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)
group = typer.Typer(
    help="What must hold of a record, and for whom.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(group, name="rules")

Files = Annotated[list[Path], typer.Argument(help="Scenarios: given rows, when changes, then views.")]


@group.command("test", epilog="Example: concord rules test tests/behavior/practice_moves.toml")
def play_scenarios(files: Files, as_json: AsJson = False) -> None:
    """Play scenarios through the real decide hop, without any service; exit code 1 when one doesn't hold."""
    play("rules test", files, as_json)


@app.command("test", epilog="Example: concord test tests/behavior/practice_moves.toml")
def scenarios(files: Files, as_json: AsJson = False) -> None:
    """The same as `concord rules test`."""
    play("test", files, as_json)


def play(name: str, files: list[Path], as_json: bool) -> None:
    """Run the scenarios and answer."""

    def work() -> Any:
        from streams.operate.scenario import run

        return run(files)

    def text(results: Any) -> str:
        lines = [f"{'holds' if r.passed else 'FAILS'}  {r.title} ({r.path})" for r in results]
        return "\n".join([*lines, *(f"  {problem}" for r in results for problem in r.problems)])

    output.answer(name, as_json, work, text, fails=lambda results: not all(r.passed for r in results))


@group.command("list", epilog="Example: concord rules list --json")
def list_rules(as_json: AsJson = False) -> None:
    """Every rule with its code, severity and effect; then the rules that come later, and why."""
    from streams.operate.rules import book

    def text(found: Any) -> str:
        rows = [(r.rule, r.code, r.severity, what(r), r.message) for r in found.rules]
        same = [(rule, ", ".join(codes)) for rule, codes in found.same.items()]
        counted = [(rule, ", ".join(outcomes)) for rule, outcomes in found.counted.items()]
        parts = [("said by other codes", same), ("only counted, as outcomes of records", counted)]
        parts += [("said in part", [*found.partly.items()]), ("later", [*found.later.items()])]
        return "\n".join([*table(rows), *(line for name, told in parts for line in ("", name, *table(told)))])

    output.answer("rules list", as_json, book, text)


def what(line: Any) -> str:
    """Its effect; of a rule that waits also the one to come."""
    now = effects(line.effect)
    return f"{now} ({effects(line.then)} once {line.until})" if line.until else now


def effects(effect: dict[str, str]) -> str:
    """`hold`, or `directory withdraw, billing hold`."""
    return ", ".join(what if sink == "*" else f"{sink} {what}" for sink, what in effect.items())
