"""The demo on a terminal: progress, the story's tables, the summary. Words and layout only; `operate.demo` does it.

Ctrl-C leaves nothing running: what the demo needs (processes and the native stack) is stopped before it ends.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import typer
from rich.console import Console
from rich.table import Table

from streams.cli.output import say
from streams.operate import demo, presence, processes
from streams.operate.demo import Latency, Plan, Scene
from streams.operate.follow import Delivery
from streams.operate.status import Status
from streams.operate.status import status as take_status
from streams.settings import Settings

INTERRUPTED = 130
CHILDREN_SHOWN = 2


def perform(plan: Plan, *, stop: bool, quiet: bool) -> dict[str, Any]:
    """Play the whole demo; the figures it ends with."""
    console = Console(stderr=quiet, highlight=False)
    with _nothing_left_running(console):
        result = _perform(plan, console)
        if stop:
            processes.down(say)
    return result


@contextmanager
def _nothing_left_running(console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop everything; a second one does not hurry it."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        console.print("\n[bold]stopping everything ...[/]")
        processes.down(say)
        raise typer.Exit(INTERRUPTED) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _perform(plan: Plan, console: Console) -> dict[str, Any]:
    console.rule("Concord: one provider's change reaches every system")
    settings = processes.up(say)
    loaded = demo.fill(settings, plan, say)
    with console.status("waiting until every system holds every provider ..."):
        equal = demo.settle(settings, loaded, say)
    console.print(
        f"[green]equal[/]: {equal.active:,} active providers in credentialing, all in three systems "
        f"({equal.held:,} held back by a finding)\n"
    )
    scenes = _play(settings, console)
    return _finish(settings, console, scenes)


def _play(settings: Settings, console: Console) -> list[Scene]:
    scenes = []
    for number, scene in enumerate(demo.play(settings), 1):
        who = (
            f"provider NPI {scene.event.npi}"
            if scene.event.kind == "provider"
            else f"a clinic ({scene.event.key})"
        )
        console.print(
            f"[bold]{number}. {who} {scene.event.title}[/]  [dim]{', '.join(scene.event.tables)}[/]"
        )
        console.print(_deliveries(scene) if scene.deliveries else "nothing is written anywhere")
        console.print(f"[dim]{scene.sent} views sent; {scene.echoes} more once they were confirmed[/]")
        console.print()
        scenes.append(scene)
    return scenes


def _deliveries(scene: Scene) -> Table:
    table = _table("system", "who", "what changed", ">in Kafka after", ">applied after")
    for key, group in _grouped(scene):
        system, kind = key
        table.add_row(
            system,
            f"{len(group)} x {kind}" if len(group) > 1 else kind,
            _changes(group[0]) if len(group) == 1 else f"{', '.join(group[0].changed)} of each",
            _ms(max(d.recorded_us for d in group) - scene.committed_us),
            _ms(max(d.applied_us or d.recorded_us for d in group) - scene.committed_us),
        )
    return table


def _grouped(scene: Scene) -> list[tuple[tuple[str, str], list[Delivery]]]:
    """By system and kind, the event's own entity first."""
    groups: dict[tuple[str, str], list[Delivery]] = {}
    for d in sorted(scene.deliveries, key=lambda d: (d.system, d.entity_id != scene.event.key, d.kind)):
        groups.setdefault((d.system, d.kind), []).append(d)
    return list(groups.items())


def _changes(delivery: Delivery) -> str:
    """The fields that changed, with what they say now."""
    if delivery.content["status"] == "withdrawn":
        return f"[red]withdrawn[/]: {delivery.content['reason']}"
    names = [
        name for name in delivery.changed if name not in ("status", "reason") and delivery.content.get(name)
    ]
    if len(names) > 5:
        return f"new: {len(names)} fields, {_said(delivery, names[-1])}"
    return "\n".join(_said(delivery, name) for name in names) or ", ".join(delivery.changed)


def _said(delivery: Delivery, name: str) -> str:
    value = delivery.content[name]
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return f"{name} = {value}"
    items = [_item(item) for item in value[:CHILDREN_SHOWN]]
    more = [f"and {len(value) - CHILDREN_SHOWN} more"] if len(value) > CHILDREN_SHOWN else []
    count = f"{len(value)} {name if len(value) > 1 else name.removesuffix('s')}"
    return f"{count}: " + "; ".join([*items, *more])


def _item(item: dict[str, Any]) -> str:
    words: Sequence[str] = (
        "line1",
        "city",
        "payer",
        "network",
        "group_npi",
        "effective_from",
        "effective_to",
    )
    said = [f"{item[word]}" for word in words if item.get(word)]
    return ", ".join(said) or str(next(iter(item.values())))


def _finish(settings: Settings, console: Console, scenes: list[Scene]) -> dict[str, Any]:
    counts, figures, status = presence.counts(settings), demo.latencies(scenes), take_status(settings)
    console.rule("What stands where")
    console.print(_count_table(counts))
    console.print(_latency_table(figures))
    console.print(_outcome_table(status))
    console.print(_echo_line(scenes))
    _farewell(settings, console, scenes)
    return {"counts": counts, "latencies": figures, "status": status, "scenes": [_plain(s) for s in scenes]}


def _plain(scene: Scene) -> dict[str, Any]:
    """A scene without its views: --json tells fields and times."""
    told = [
        {
            "system": d.system,
            "kind": d.kind,
            "entity_id": d.entity_id,
            "revision": d.revision,
            "status": d.content["status"],
            "changed": d.changed,
            "sink_ms": (d.recorded_us - scene.committed_us) / 1000,
            "applied_ms": (d.applied_us - scene.committed_us) / 1000 if d.applied_us else None,
        }
        for d in scene.deliveries
    ]
    counted = {"sent": scene.sent, "echoes": scene.echoes}
    return {"event": scene.event, "committed_us": scene.committed_us, "deliveries": told, **counted}


def _count_table(counts: dict[str, dict[str, int]]) -> Table:
    table = _table("system", "rows")
    for system, rows in counts.items():
        table.add_row(system, ", ".join(f"{name} {count:,}" for name, count in rows.items()))
    return table


def _latency_table(figures: list[Latency]) -> Table:
    table = _table("hop", ">views", ">p50 ms", ">max ms")
    for f in figures:
        table.add_row(f.hop, str(f.count), f"{f.p50:,.1f}", f"{f.max:,.1f}")
    table.caption = "a withdrawal waits 2 s by design: half a transaction must never remove anything"
    table.caption_justify = "left"
    return table


def _outcome_table(status: Status) -> Table:
    table = _table("counted", "")
    for topic, found in status.decide.outcomes.items():
        parts = ", ".join(f"{name} {count:,}" for name, count in sorted(found.outcomes.items()))
        table.add_row(
            topic, f"{found.consumed:,} records = {parts}{'' if found.balanced else '  NOT BALANCED'}"
        )
    codes = ", ".join(f"{code} {count}" for code, count in status.findings.by_code.items())
    table.add_row("open findings", codes or "none")
    return table


def _echo_line(scenes: list[Scene]) -> str:
    sent, echoes = sum(scene.sent for scene in scenes), sum(scene.echoes for scene in scenes)
    verdict = "[green]an echo stops[/]" if not echoes else "[red]an echo goes on[/]"
    return f"{verdict}: {sent:,} views sent, captured again in every system, and {echoes:,} more followed from that"


def _farewell(settings: Settings, console: Console, scenes: list[Scene]) -> None:
    npi = next(
        (scene.event.npi for scene in scenes if scene.event.kind == "provider" and scene.event.npi), ""
    )
    console.print(f"\nKafka {settings.kafka}  registry {settings.registry}  Connect {settings.connect}")
    console.print("every address and DSN: [bold].venv/bin/python -m stack env[/]\n")
    for command in (f"explain {npi}", f"trace {npi}", "status --watch"):
        console.print(f"  [bold].venv/bin/concord {command}[/]")
    console.print("\nIt is still running; [bold]make down[/] stops everything and keeps the data.")


def _table(*columns: str) -> Table:
    """Plain columns; `>` marks one that is aligned to the right."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _ms(us: int) -> str:
    return f"{us / 1000:,.0f} ms"
