"""docs/codes.md, written from the tables that give the codes: findings, and reasons a record is quarantined.

    python -m streams.operate.codes        # writes the page; a contract test fails when it is out of date

Never invents a code: streams/core/finding.py and streams/core/malformed.py own them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streams.core.finding import CODES
from streams.core.malformed import REASONS

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"
HEAD = """# Codes

Stable: a code is never renamed or given another meaning. Written by `python -m streams.operate.codes`; edit the
tables it reads, not this page.
"""
EFFECTS = """
Effects: **refuse** - the field keeps its last good value · **hold** - no system gets a new view, each keeps its
last one · **warn** - a person should look, nothing waits.
"""


def markdown() -> str:
    """The page."""
    return "\n".join([HEAD, *_findings(), "", *_reasons(), ""])


def _findings() -> Iterator[str]:
    yield "## Findings\n\nTopic `finding`; `concord explain KEY` shows an entity's open ones."
    yield EFFECTS
    yield "| Code | Severity | Effect | What is wrong | What to do | Source |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name in sorted(CODES):
        code = CODES[name]
        yield f"| `{name}` | {code.severity} | {code.effect} | {code.message} | {code.action} | {code.source} |"


def _reasons() -> Iterator[str]:
    yield "## Quarantined records\n\nTopic `quarantine`, header `concord-code`; the record itself is kept as it came.\n"
    yield "| Code | What was wrong with the record | What to do |"
    yield "| --- | --- | --- |"
    for name in sorted(REASONS):
        yield f"| `{name}` | {REASONS[name].message} | {REASONS[name].action} |"


if __name__ == "__main__":
    PAGE.write_text(markdown(), "utf-8")
