"""What may stand in the audit of what somebody wrote or changed: names as they are, restricted values masked. Pure.

A value is restricted by its name (a field that is S1, of whatever record: date of birth, TIN) or by its looks (a number
like a social security, tax or DEA number in any text). Invariant 11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from streams.operate.masking import HIDDEN, mask, restricted_names

ALSO = frozenset({"ssn", "dob", "dea", "dea_number", "password", "secret", "token"})
MOST = 100
"""Items of a list; how many there are more is said."""
LONGEST = 1_000
_NUMBERS = re.compile(r"(?<![\w/-])(?:\d{3}-?\d{2}-?\d{4}|\d{2}-\d{7}|[A-Za-z]{2}\d{7})(?![\w/-])")


def masked(value: Any, name: str = "") -> Any:
    """The value as plain data that may be kept for ever."""
    if _restricted(name):
        return mask(value) if isinstance(value, str) else (HIDDEN if value is not None else None)
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return _mapping(value)
        case list() | tuple() | set() | frozenset():
            return _items(value, name)
    return _NUMBERS.sub(HIDDEN, str(value)[:LONGEST])


def _mapping(values: Mapping[Any, Any]) -> dict[str, Any]:
    shown = {str(key): masked(each, str(key)) for key, each in islice(values.items(), MOST)}
    return {**shown, "...": f"and {len(values) - MOST:,} more"} if len(values) > MOST else shown


def _items(values: Iterable[Any], name: str) -> list[Any]:
    """A sorted set, or a list as it stands; of a long one, its beginning."""
    listed = sorted(values, key=str) if isinstance(values, set | frozenset) else list(values)
    shown = [masked(each, name) for each in listed[:MOST]]
    return [*shown, f"... and {len(listed) - MOST:,} more"] if len(listed) > MOST else shown


def _restricted(name: str) -> bool:
    """`tin`, `organization.tin`, `TIN`."""
    last = name.rpartition(".")[2].lower()
    return last in ALSO or last in restricted_names()
