"""The rule types of the authority matrix: what several owners' words about one field come to.

Read by `entity.golden` for the fields more than one system has a say on. Pure functions over (system, value) pairs in
order of precedence; a system that says nothing says None. Never looks at who may speak: authority admitted them
(invariant 4). Source: authority matrix, section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Said = Sequence[tuple[str, Any]]
"""(system, value), the first in precedence first"""

STRICTEST = (
    "revoked",
    "surrendered",
    "suspended",
    "expired",
    "inactive",
    "restricted",
    "probation",
    "pending",
)
"""States of a licence or registration, the strictest first; any other says less (entities 2.3)."""


def combine(kind: str, field: str, said: Said) -> Any:
    """The value of a field by its rule type; one who speaks alone is taken at his word."""
    spoken = [(system, value) for system, value in said if value is not None]
    if len(spoken) < 2:
        return spoken[0][1] if spoken else None
    return _RULES.get(kind, first)(field, spoken)


def first(field: str, said: Said) -> Any:
    """The first in precedence that says something; an empty list or text says nothing."""
    return next((value for _, value in said if value not in _NOTHING), None)


def union(field: str, said: Said) -> Any:
    """Every element, in the words of the first that names it."""
    found: dict[str, Any] = {}
    for _, elements in said:
        for element in elements if isinstance(elements, list) else ():
            found.setdefault(element_name(element), element)
    return list(found.values()) or None


def element_name(element: Any) -> str:
    """What tells elements apart: `{code, proficiency}` and a bare code name the same language."""
    return str(element.get("code") if isinstance(element, dict) else element).strip().lower()


def most_restrictive(field: str, said: Said) -> Any:
    """The strictest state, the earliest end."""
    values = [value for _, value in said if value not in _NOTHING]
    return min(values, key=_strictness) if values else None


def _strictness(value: Any) -> tuple[int, str]:
    text = str(value)
    return (STRICTEST.index(text) if text in STRICTEST else len(STRICTEST), text)


_NOTHING: tuple[Any, ...] = (None, "", [])

_RULES: dict[str, Callable[[str, Said], Any]] = {
    "precedence": first,
    "union": union,
    "most_restrictive": most_restrictive,
}
