"""The rule book as an answer: every rule, what it does to whom, and the rules that come later.

Derived from streams/core/rules/book.py; never judges anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.rules.book import LATER, RULES


@dataclass(frozen=True, slots=True)
class Line:
    """One rule."""

    rule: str
    code: str
    severity: str
    effect: dict[str, str]
    """system, or * for every one -> refuse, hold, withdraw or warn"""
    message: str
    action: str
    who: str
    source: str
    reads: list[str]


@dataclass(frozen=True, slots=True)
class Book:
    """All rules, and why those of the domain that are missing are missing."""

    rules: list[Line]
    later: dict[str, str]


def book() -> Book:
    """The whole book, by code."""
    lines = [
        Line(
            r.id, r.code, r.severity, dict(r.effect), r.message, r.action, r.actor, r.source, list(r.records)
        )
        for r in sorted(RULES, key=lambda rule: rule.code)
    ]
    return Book(lines, dict(sorted(LATER.items())))
