"""Forms of the same value in different systems: ZIP, phone, names (domain pages, crosswalk).

Used by the request builders, between view and row. Pure; never judges a value: formats were judged before.
"""

from __future__ import annotations


def digits(value: str | None) -> str | None:
    """Only the digits, None when there is none."""
    return "".join(filter(str.isdigit, value)) or None if value else None


def zip5(postal_code: str | None) -> str | None:
    bare = digits(postal_code)
    return bare[:5] if bare else None


def zip4(postal_code: str | None) -> str | None:
    bare = digits(postal_code)
    return bare[5:] or None if bare else None


def phone10(phone: str | None) -> str | None:
    """E.164 to 10 bare digits; another country's number keeps its digits, for the target to refuse."""
    bare = digits(phone)
    return bare[1:] if bare and len(bare) == 11 and bare.startswith("1") else bare


def upper(name: str | None) -> str | None:
    """X12 names are upper case."""
    return name.upper() if name else name
