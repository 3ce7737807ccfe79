"""docs/codes.md, written from the tables that give the codes: findings, and reasons a record is quarantined.

    python -m streams.operate.codes        # writes the page; a contract test fails when it is out of date

Never invents a code: streams/core/rules/book.py, operate/guard/conditions.py and streams/core/malformed.py own them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from streams.core.malformed import REASONS
from streams.core.rules.book import CODES, COUNTED, LATER, PARTLY, SAME
from streams.core.rules.rule import Rule, words
from streams.operate.guard.conditions import CONDITIONS, UNVERIFIED

PAGE = Path(__file__).parents[2] / "docs" / "codes.md"
HEAD = """# Codes

Stable: a code is never renamed or given another meaning. Written by `python -m streams.operate.codes`; edit the
tables it reads, not this page.
"""
EFFECTS = """
Effects: **refuse** - the field keeps its last good value · **hold** - the system gets no new view and keeps its
last one, without what is over · **withdraw** - what the system has must go · **warn** - a person should look, nothing
waits. An effect with no system's name is on every system; a system that is not named is only warned. Rule ids are
those of the domain. *warn (hold once NAME)*: built and tested, and only warns until `ON` in streams/core/rules/rule.py
has the name.
"""


def markdown() -> str:
    """The page."""
    return "\n".join([HEAD, *_findings(), "", *_sources(), "", *_later(), "", *_reasons(), ""])


def _findings() -> Iterator[str]:
    yield "## Findings\n\nTopic `finding`; `concord explain KEY` shows an entity's open ones."
    yield EFFECTS
    yield "| Code | Rule | Severity | Effect | What is wrong | What to do | Who | Source |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for name in sorted(CODES):
        rule = CODES[name]
        said = (rule.id, rule.severity, _effect(rule), rule.message, rule.action, rule.actor, rule.source)
        yield f"| `{name}` | {' | '.join(said)} |"


def _effect(rule: Rule) -> str:
    return f"{rule.effect_text} ({words(rule.effect)} once {rule.until})" if rule.waits else rule.effect_text


def _sources() -> Iterator[str]:
    yield "## Findings about sources\n"
    yield "Kind `system`, told by `concord guard`; causes and remedies in [Capture guard](capture-guard.md).\n"
    yield "| Code | Severity | What is wrong | What to do |"
    yield "| --- | --- | --- | --- |"
    for found in sorted((*CONDITIONS, UNVERIFIED), key=lambda condition: condition.code):
        action = found.action.replace("{system}", "SYSTEM").replace("<", "&lt;")
        yield f"| `{found.code}` | {found.severity} | {found.title} | {action} |"


def _later() -> Iterator[str]:
    yield "## Rules of the domain that other codes say\n"
    yield "| Rule | Codes |"
    yield "| --- | --- |"
    for name in sorted(SAME):
        yield f"| {name} | {', '.join(f'`{code}`' for code in SAME[name])} |"
    yield "\n## Rules that are only counted\n"
    yield (
        "A stale or repeated row is `superseded`; an echo of the platform's own write is taken in as what its\n"
        "system holds (`applied`, or `unchanged`), and no view follows. Counted by topic in\n"
        "`concord_decide_records` and in `concord status --json`; none of them is a finding.\n"
    )
    yield "| Rule | Outcomes |"
    yield "| --- | --- |"
    for name in sorted(COUNTED):
        yield f"| {name} | {', '.join(f'`{outcome}`' for outcome in COUNTED[name])} |"
    yield "\n## What rules with a code don't say yet\n"
    yield "| Rule | What, and why |"
    yield "| --- | --- |"
    for name in sorted(PARTLY):
        yield f"| {name} | {PARTLY[name]} |"
    yield "\n## Rules that come later\n\nThey need payer exchange, directory serving or other entities' data.\n"
    yield "| Rule | Why |"
    yield "| --- | --- |"
    for name in sorted(LATER):
        yield f"| {name} | {LATER[name]} |"


def _reasons() -> Iterator[str]:
    yield "## Quarantined records\n\nTopic `quarantine`, header `concord-code`; the record itself is kept as it came.\n"
    yield "| Code | What was wrong with the record | What to do |"
    yield "| --- | --- | --- |"
    for name in sorted(REASONS):
        yield f"| `{name}` | {REASONS[name].message} | {REASONS[name].action} |"


if __name__ == "__main__":
    PAGE.write_text(markdown(), "utf-8")
