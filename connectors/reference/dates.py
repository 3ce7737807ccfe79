"""Dates as publishers write them, as ISO text: MM/DD/YYYY, YYYYMMDD, YYYY-MM-DD, and M/D/YY as spreadsheets leave it.

Pure. What is no date, 00000000 among it, is None; an impossible one is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache


@lru_cache(65_536)
def iso(text: str | None) -> str | None:
    """A date of any of these forms; a registry born in 2005 has no other century than the pivot of %y."""
    for form in _forms(text or ""):
        try:
            return datetime.strptime(text or "", form).date().isoformat()
        except ValueError:
            continue
    return None


def _forms(text: str) -> Iterator[str]:
    if "/" in text:
        yield from ("%m/%d/%Y", "%m/%d/%y")
    elif "-" in text:
        yield "%Y-%m-%d"
    elif len(text) == 8:
        yield "%Y%m%d"


def day(text: str) -> date:
    """An ISO date that was written here."""
    return date.fromisoformat(text)
