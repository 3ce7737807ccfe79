"""Calendar arithmetic on ISO text, for rules: days between dates, dates some days or months away.

Timestamps count by their date. A date beyond the calendar gives None: unknown, never fail.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

_remembered = lru_cache(16_384)


def day(value: str | None) -> str | None:
    """The date of a date or timestamp."""
    return value[:10] if value else None


@_remembered
def parsed(value: str) -> date | None:
    """The date itself."""
    try:
        return date.fromisoformat(value[:10])
    except ValueError:
        return None


def between(start: str | None, end: str | None) -> int | None:
    """Days from one date to another; None while either is not known."""
    first, last = parsed(start) if start else None, parsed(end) if end else None
    return (last - first).days if first is not None and last is not None else None


@_remembered
def later(value: str, days: int) -> str | None:
    """The date so many days later, or earlier."""
    start = parsed(value)
    try:
        return (start + timedelta(days=days)).isoformat() if start is not None else None
    except OverflowError:
        return None


@_remembered
def months_later(value: str, months: int) -> str | None:
    """The same day of the month so many months later; the last of a month that has no such day."""
    start = parsed(value)
    if start is None:
        return None
    year, month = divmod(start.year * 12 + start.month - 1 + months, 12)
    for number in range(start.day, 27, -1):
        if (found := _date(year, month + 1, number)) is not None:
            return found
    return _date(year, month + 1, min(start.day, 27))


def _date(year: int, month: int, number: int) -> str | None:
    try:
        return date(year, month, number).isoformat()
    except ValueError:
        return None
