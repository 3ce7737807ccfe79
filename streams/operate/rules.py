"""The rule book as an answer: every rule, what it does to whom, and the rules that come later.

Derived from streams/core/rules/book.py; never judges anything itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.rules.book import COUNTED, LATER, PARTLY, RULES, SAME


@dataclass(frozen=True, slots=True)
class Line:
    """One rule."""

    rule: str
    code: str
    severity: str
    effect: dict[str, str]
    """system, or * for every one -> refuse, hold, withdraw or warn: what is in force"""
    message: str
    action: str
    who: str
    source: str
    reads: list[str]
    until: str
    """what it waits for, while it only warns; empty: it waits for nothing"""
    then: dict[str, str]
    """its effect once that is there"""


@dataclass(frozen=True, slots=True)
class Book:
    """All rules; and those of the domain that other codes say, that are only counted, that are here in part, that are
    missing, and why."""

    rules: list[Line]
    same: dict[str, tuple[str, ...]]
    counted: dict[str, tuple[str, ...]]
    partly: dict[str, str]
    later: dict[str, str]


def book() -> Book:
    """The whole book, by code."""
    lines = [
        Line(
            r.id,
            r.code,
            r.severity,
            dict(r.in_force),
            r.message,
            r.action,
            r.actor,
            r.source,
            list(r.records),
            r.until if r.waits else "",
            dict(r.effect) if r.waits else {},
        )
        for r in sorted(RULES, key=lambda rule: rule.code)
    ]
    return Book(
        lines,
        dict(sorted(SAME.items())),
        dict(sorted(COUNTED.items())),
        dict(sorted(PARTLY.items())),
        dict(sorted(LATER.items())),
    )
