"""Puts the figures of finished benchmarks into docs/benchmarks.md, between its markers: no table there is typed by hand.

bench-results/<time>/summary.json --render--> docs/benchmarks.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from stack.layout import PROJECT
from tests.bench import report

PAGE = PROJECT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: begin (python -m tests.bench --docs) -->", "<!-- figures: end -->"
TITLES = {
    "a": "The core alone",
    "b": "The decide stage",
    "c": "The whole path",
    "d": "Latency",
    "e": "Snapshot, memory, restore",
    "v": "Verification",
    "w": "The console's pages",
}


def write(folders: Sequence[Path], page: Path = PAGE) -> None:
    """Replace what stands between the markers."""
    found = [json.loads((folder / "summary.json").read_text("utf-8")) for folder in folders]
    text = page.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    figures = "\n".join(line for summary in found for line in _summary(summary))
    page.write_text(f"{head}{BEGIN}\n\n{figures}\n{END}{tail}", encoding="utf-8")


def _summary(summary: Mapping[str, Any]) -> Iterator[str]:
    machine = summary["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    dirty = f" with {machine['changed_files']} changed files" if machine["changed_files"] else ""
    yield (
        f"Measured {summary['started'][:10]} at revision `{machine['revision']}`{dirty} on {machine['cores']} cores "
        f"({machine['cpu']}), {machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; "
        f"load average before: {machine['load_average'][0]}. {versions}."
    )
    if summary["quick"]:
        yield "\n**Small sizes (`--quick`): these figures show that the bench works, no more.**"
    yield ""
    for experiment in summary["experiments"]:
        yield from _experiment(experiment)


def _experiment(experiment: Mapping[str, Any]) -> Iterator[str]:
    name = experiment["experiment"]
    yield from (f"### {name}. {TITLES[name]}", "", experiment["method"], "")
    yield "| | value | A/A | must reach | work for | |"
    yield "|---|---:|---:|---:|---:|---|"
    for line in experiment["lines"]:
        _, what, value, unit, *rest = report.cells(line)
        yield f"| {what} | {value} {unit} | " + " | ".join(rest) + " |"
    yield ""
    for note in experiment["notes"]:
        yield f"- {note}"
    if experiment["notes"]:
        yield ""
