"""`concord handoffs`: every flow between two systems, how many are open or late, and where a person is in it."""

from __future__ import annotations

from typing import Any

import typer

from streams import settings as configuration
from streams.cli import output
from streams.cli.output import AsJson
from streams.cli.show import table

app = typer.Typer(rich_markup_mode=None)


@app.command("handoffs", epilog="Example: concord handoffs --json")
def handoffs(as_json: AsJson = False) -> None:
    """The handoff map as it stands: open, late by age, waiting for a person, and what Concord does not carry.

    What nobody can say is `?`, never zero. Exit codes: 0 shown, 2 the map is wrong: concord authority check.
    """

    def work() -> Any:
        from streams.operate import handoffs as operate

        return operate.overview(configuration.load())

    output.answer("handoffs", as_json, work, text)


def text(found: Any) -> str:
    """A line a handoff, then the sums, then what is unknown."""
    head = ("from", "to", "carries", "by", "open", "late", "oldest", "objective", "for a person")
    lines = table([head, *(_row(one) for one in found.handoffs)], "")
    if any(one.shared for one in found.handoffs):
        lines.append(
            "  * a view carries what every owner says at once: handoffs into one system share its count"
        )
    sums = f"{found.open:,} open, {found.late:,} late, {found.waits_for_person:,} wait for a person"
    lines.append(f"{len(found.handoffs)} handoffs, {found.manual} of them manual: {sums}")
    return "\n".join([*lines, *(f"unknown {why}" for why in found.unknown)])


def _row(one: Any) -> tuple[str, ...]:
    manual = " (manual)" if one.manual else ""
    late = f"{_count(one.late)}{'+' if one.late_at_least else ''}"
    age = f"{one.oldest_seconds:,.0f} s" if one.oldest_seconds is not None else ""
    return (
        one.source, one.to, f"{one.carries}{manual}", one.transport, f"{_count(one.open)}{'*' if one.shared else ''}",
        late, age, one.objective, _count(one.waits_for_person),
    )  # fmt: skip


def _count(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
