"""Value-only format checks: what a single row can get wrong by itself.

Read by `entity` (a failing value is *refused*: the field keeps its last good value) and by `finding` (which
says so to a steward). Checks are written by hand for speed; python-stdnum and phonenumbers judge them in
tests. Each check takes a value that is not null and returns a stable code, or None when it passes.
Sources: domain rules R01 (NPI), R04 (NUCC), R07 (DEA), R15 (dates), R23 (address, phone).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from streams.core.canonical import Row
from streams.core.change import Values

Check = Callable[[Any], str | None]

STATES = frozenset(
    "AL AK AZ AR CA CO CT DE FL GA HI ID IL IN IA KS KY LA ME MD MA MI MN MS MO MT NE NV NH NJ NM NY NC ND OH OK "
    "OR PA RI SC SD TN TX UT VT VA WA WV WI WY DC AS GU MP PR VI".split()
)

_NUCC = re.compile(r"[0-9]{3}[0-9A-Z]{6}X").fullmatch
_DEA = re.compile(r"[A-Z][A-Z9][0-9]{7}(-[A-Z0-9]+)?").fullmatch
_ZIP = re.compile(r"[0-9]{5}(-?[0-9]{4})?").fullmatch
_PHONE = re.compile(r"(\+?1)?[2-9][0-9]{2}[2-9][0-9]{6}").fullmatch
_NOT_DIALLED = str.maketrans("", "", " -().")
_remembered = lru_cache(65_536)
"""Rows change far more often than the numbers in them: a check is asked the same question again and again."""
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""Luhn: twice a digit, less 9 when above 9."""


@_remembered
def npi(value: str) -> str | None:
    """10 digits, Luhn over '80840' + npi (45 CFR 162.406; the constant prefix adds 24)."""
    if len(value) != 10 or not value.isdigit() or not value.isascii():
        return "format.npi_shape"
    digits = [ord(c) - 48 for c in value]
    total = 24 + sum(_DOUBLED[d] for d in digits[0:9:2]) + sum(digits[1:9:2])
    return None if (total + digits[9]) % 10 == 0 else "format.npi_check_digit"


@_remembered
def dea(value: str) -> str | None:
    """Two letters (the second may be 9) and seven digits; (d1+d3+d5) + 2(d2+d4+d6) ends in d7."""
    if not _DEA(value):
        return "format.dea_shape"
    d = [ord(c) - 48 for c in value[2:9]]
    return None if (d[0] + d[2] + d[4] + 2 * (d[1] + d[3] + d[5])) % 10 == d[6] else "format.dea_check_digit"


def nucc(value: str) -> str | None:
    """The shape of a NUCC taxonomy code; codes ending in N belong to another list."""
    return None if _NUCC(value) else "format.taxonomy_shape"


def postal_code(value: str) -> str | None:
    """NNNNN, NNNNN-NNNN or NNNNNNNNN."""
    return None if _ZIP(value) else "format.zip_shape"


def state(value: str) -> str | None:
    """A state or territory of practice (military pseudo states only occur in mailing addresses)."""
    return None if value in STATES else "format.state_unknown"


@_remembered
def phone(value: str) -> str | None:
    """A North American number, in E.164 or as commonly written."""
    return None if _PHONE(value.translate(_NOT_DIALLED)) else "format.phone_shape"


CHECKS: dict[str, dict[str, Check]] = {
    "provider": {"npi": npi},
    "organization": {"npi": npi},
    "location": {
        "location_npi": npi,
        "state": state,
        "postal_code": postal_code,
        "phone": phone,
        "fax": phone,
    },
    "license": {"state": state},
    "dea_registration": {"number": dea, "state": state},
    "cds_registration": {"state": state},
    "taxonomy": {"nucc_code": nucc},
}
"""record -> field -> check. A new check is one function and one line."""

DATES_IN_ORDER: dict[str, tuple[str, str]] = {
    "license": ("issued", "expires"),
    "board_certification": ("issued", "expires"),
    "taxonomy": ("effective_from", "effective_to"),
    "affiliation": ("effective_from", "effective_to"),
    "provider_location": ("effective_from", "effective_to"),
    "hospital_privilege": ("effective_from", "effective_to"),
    "malpractice_coverage": ("effective_from", "effective_to"),
    "network_participation": ("effective_from", "term_date"),
    "former_name": ("effective_from", "effective_to"),
}
"""record -> (start, end): an end before its start refuses both (R15)."""

DATES_CODE = "format.dates_order"
_NO_CHECKS: dict[str, Check] = {}


def refused_fields(record: str, row: Row) -> list[str]:
    """The fields of a row whose value fails its own check, in a stable order."""
    failing = [
        field
        for field, check in CHECKS.get(record, _NO_CHECKS).items()
        if (value := getattr(row, field)) is not None and check(value) is not None
    ]
    pair = DATES_IN_ORDER.get(record)
    if pair is not None:
        start, end = getattr(row, pair[0]), getattr(row, pair[1])
        if start is not None and end is not None and end < start:
            failing += pair
    return failing


KEPT: dict[str, tuple[str, ...]] = {
    "provider": ("npi", "last_name"),
    "organization": ("npi", "legal_name", "tin"),
    "location": ("state",),
    "license": ("state",),
}
"""record -> fields that identify: blanked, they keep their last good value (P05)."""

FIXED = {"provider": "npi"}
"""record -> the field that never changes by itself once a good value was there (R03)."""


def kept_fields(record: str, row: Row, good: Row | None) -> list[str]:
    """The fields of a row that keep what `good`, the row before it, had, although the new value passes its check."""
    if good is None:
        return []
    kept = [
        field
        for field in KEPT.get(record, ())
        if not getattr(row, field) and getattr(good, field) not in (None, "")
    ]
    field = FIXED.get(record, "")
    if field and field not in kept and getattr(good, field) not in (None, "", getattr(row, field)):
        kept.append(field)
    return kept


def refusal_code(record: str, field: str, row: Row) -> str:
    """Why a field of this row keeps its last good value."""
    check = CHECKS.get(record, _NO_CHECKS).get(field)
    value = getattr(row, field)
    if not value and field in KEPT.get(record, ()):
        return "identity.blanked"
    code = check(value) if check is not None and value is not None else None
    return code or ("identity.npi_changed" if FIXED.get(record) == field else DATES_CODE)


def covers_no_day(record: str, refused: Values) -> bool:
    """A period that is wrong and never was right: its row stands for no day, rather than for every day."""
    start, end = DATES_IN_ORDER.get(record, ("", ""))
    if start != "effective_from" or start not in refused or end not in refused:
        return False
    return refused[start] is None and refused[end] is None


@_remembered
def canonical_phone(value: str | None) -> str | None:
    """E.164 of a number that passed `phone`."""
    return None if value is None else "+1" + value.translate(_NOT_DIALLED)[-10:]


@_remembered
def canonical_postal_code(value: str | None) -> str | None:
    """NNNNN or NNNNN-NNNN of a code that passed `postal_code`."""
    if value is None or len(value) != 9:
        return value
    return f"{value[:5]}-{value[5:]}"


def zip4(value: str | None) -> str | None:
    """The last four of ZIP+4, for a system that holds them apart."""
    return "".join(filter(str.isdigit, value))[5:] or None if value else None


@_remembered
def canonical_license_number(value: str | None) -> str | None:
    """Upper case without punctuation or space; leading zeros stay."""
    return None if value is None else "".join(c for c in value.upper() if c.isalnum())
