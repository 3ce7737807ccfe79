"""Marks: one token of a transaction, written into several rows of a provider that all show in one view.

    token 17 -> last name Fern000017 · taxonomy 207000017X · network product T000017 · licence L000017

A view that shows two tokens is a view of half a transaction. Every mark is valid by the formats' own rules.
"""

from __future__ import annotations

import re
from typing import Any

STATEMENTS = (
    "update provider set last_name = %(name)s where provider_id = %(who)s",
    "update taxonomy set nucc_code = %(code)s where provider_id = %(who)s and is_primary",
    "update network_participation set product = %(product)s where provider_id = %(who)s",
    """update license set number = %(number)s where license_id in (
           select license_id from taxonomy where provider_id = %(who)s and is_primary)""",
)
_NAME = re.compile(r"fern(\d{6})", re.IGNORECASE)  # billing writes names in upper case
_CODE = re.compile(r"207(\d{6})X")
_PRODUCT = re.compile(r"T(\d{6})")
_NUMBER = re.compile(r"L(\d{6})")


def values(who: str, token: int) -> dict[str, str]:
    """The parameters of STATEMENTS."""
    marks = {"name": f"Fern{token:06d}", "code": f"207{token:06d}X", "product": f"T{token:06d}"}
    return {**marks, "number": f"L{token:06d}", "who": who}


def of_name(name: str | None) -> int:
    """The token in a last name."""
    return _token(_NAME, name)


def of_view(content: dict[str, Any]) -> set[int]:
    """The tokens a provider's view shows; 0 stands for a value from before the first mark."""
    shown = [(_NAME, content["last_name"])]
    for row in content.get("listings", ()):
        shown += [(_PRODUCT, row["product"]), (_CODE, row["specialty_nucc"])]
    shown += [(_CODE, content[name]) for name in ("taxonomy_code",) if name in content]
    shown += [(_NUMBER, content[name]) for name in ("license_number",) if name in content]
    return {_token(pattern, value) for pattern, value in shown}


def _token(pattern: re.Pattern[str], value: str | None) -> int:
    match = pattern.fullmatch(value or "")
    return int(match[1]) if match else 0
