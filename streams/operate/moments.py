"""A moment as an operator writes it: a date, a time, or a span back from now. Knows no topic and no table."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from streams.errors import InvalidInput

_AGO = re.compile(r"(\d{1,6})([mhd])").fullmatch
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def moment(text: str, code: str) -> str:
    """`2026-11-22`, `2026-11-22T14:30`, `90m`, `12h`, `7d` as ISO 8601 in UTC; times without zone are UTC.

    Empty stays empty; InvalidInput with this code says what to write instead.
    """
    if not text:
        return ""
    try:
        if ago := _AGO(text):
            found = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        step = "give 2026-11-22, 2026-11-22T14:30, or a span back from now such as 90m, 12h, 7d"
        raise InvalidInput(code, f"{text!r} is no time", step) from None
    return found.isoformat(timespec="milliseconds")
