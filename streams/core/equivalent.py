"""When two systems' words for a field are the same value: case, punctuation, telephone and ZIP forms, list order.

Read by `edit` to tell an edit from a formatting of one's own, and by parity. Pure; never says which form is right.
Source: the crosswalk of entities.md (section 9), policy IGNORE of the authority matrix (section 2).
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from streams.core.combine import element_name

_PHONES = frozenset({"phone", "fax"})
_LANGUAGES = "languages"
_NUMBERS = frozenset({"latitude", "longitude"})


def equivalent(field: str, ours: Any, theirs: Any) -> bool:
    """Whether `theirs`, as another system holds it, is the value `ours`."""
    if ours == theirs:
        return True
    if field == "postal_code" and isinstance(ours, str) and isinstance(theirs, str):
        return _same_area(_digits(ours), _digits(theirs))
    return bool(_form(field, ours) == _form(field, theirs))


def _same_area(ours: str, theirs: str) -> bool:
    """A system that holds five digits says nothing of the other four."""
    return ours == theirs or (len(theirs) == 5 and ours[:5] == theirs)


def _form(field: str, value: Any) -> Any:
    if value is None or value == "" or value == []:
        return None
    if isinstance(value, str):
        return _text(field, value)
    if isinstance(value, list):
        return _elements(field, value)
    return value


def _text(field: str, value: str) -> str:
    if field in _PHONES:
        return _digits(value)[-10:]
    if field in _NUMBERS:
        return _number(value)
    return "".join(filter(str.isalnum, value.casefold())) or value


def _number(value: str) -> str:
    """Without a sign that says nothing and zeros that say nothing."""
    whole, _, rest = value.lstrip("+").partition(".")
    return f"{whole}.{rest.rstrip('0')}"


def _digits(value: str) -> str:
    return "".join(filter(str.isdigit, value))


def _elements(field: str, value: list[Any]) -> Any:
    if field == _LANGUAGES:
        return sorted({element_name(item) for item in value})
    plain = [asdict(item) if isinstance(item, Struct) else item for item in value]
    return sorted(plain, key=str)
