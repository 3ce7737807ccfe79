"""What a benchmark leaves: raw CSV, summary.json with method and machine, a table on the terminal.

Line (a figure and its target) --summary.json--> terminal, docs/benchmarks.md
"""

from __future__ import annotations

import csv
import json
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench import machine


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the summary. `met` is None where nothing is asked of it."""

    experiment: str
    what: str
    value: float
    unit: str
    target: str = ""
    goal: str = ""
    met: bool | None = None
    noise: float | None = None
    """spread of the same thing measured again (A/A): (largest - smallest) / median"""


@dataclass
class Result:
    """What one experiment found."""

    experiment: str
    method: str
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        what: str,
        values: float | Sequence[float],
        unit: str,
        *,
        least: float | None = None,
        most: float | None = None,
        goal: float | None = None,
    ) -> float:
        """A figure: the median of its runs, against what it must reach (`least`, `most`) and the real goal."""
        runs = [values] if isinstance(values, int | float) else list(values)
        value = statistics.median(runs)
        met = None if least is None and most is None else _met(value, least, most)
        bound, sign = (least, ">=") if least is not None else (most, "<=")
        target = f"{sign} {bound:g}" if bound is not None else ""
        wanted = f"{sign} {goal:g}" if goal is not None else ""
        self.lines.append(
            Line(self.experiment, what, round(value, 4), unit, target, wanted, met, noise(runs))
        )
        return value


def _met(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def noise(runs: Sequence[float]) -> float | None:
    """The spread of equal runs over their median; None for a single one."""
    middle = statistics.median(runs)
    return (max(runs) - min(runs)) / middle if len(runs) > 1 and middle else None


def quantiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p95, p99 and max of at least one value."""
    ordered = sorted(values)
    last = len(ordered) - 1

    def pick(share: float) -> float:
        return round(ordered[min(last, int(share * len(ordered)))], 3)

    return {"p50": pick(0.50), "p95": pick(0.95), "p99": pick(0.99), "max": pick(1)}


class Folder:
    """The output folder of one bench."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        self.machine = machine.describe()

    def csv(self, name: str, rows: Sequence[Any]) -> None:
        """Raw measurements: one dataclass instance a row."""
        if not rows:
            return
        with (self.path / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, [f.name for f in fields(rows[0])])
            writer.writeheader()
            writer.writerows(asdict(row) for row in rows)

    def summary(self, results: Sequence[Result], *, quick: bool) -> None:
        """Everything that stands in the table, with what it was measured on."""
        found = {
            "started": self.started,
            "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "quick": quick,
            "machine": self.machine,
            "experiments": [asdict(result) for result in results],
        }
        (self.path / "summary.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def show(console: Console, results: Sequence[Result]) -> None:
    """The table for people."""
    table = Table(
        "", "what", "value", "unit", "A/A", "must reach", "work for", "", title="Concord benchmarks"
    )
    for result in results:
        for line in result.lines:
            table.add_row(*cells(asdict(line)), style="red" if line.met is False else "")
        table.add_section()
    console.print(table)
    for result in results:
        for note in result.notes:
            console.print(f"{result.experiment}  {note}")


def cells(line: Mapping[str, Any]) -> list[str]:
    """A line of the summary as text."""
    spread = f"±{line['noise'] / 2:.0%}" if line["noise"] is not None else ""
    verdict = {None: "", True: "met", False: "missed"}[line["met"]]
    return [
        line["experiment"], line["what"], number(line["value"]), line["unit"], spread, line["target"], line["goal"],
        verdict,
    ]  # fmt: skip


def number(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
