"""Check digits of the identifiers the generator invents: NPI (45 CFR 162.406) and DEA.

Pure. Checking belongs to streams/core/formats.py; this module only completes. python-stdnum judges it in tests.
"""

from __future__ import annotations

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def npi(stem: int) -> str:
    """Nine digits plus their check digit: Luhn over '80840' + stem, whose constant prefix adds 24."""
    digits = f"{stem:09d}"
    total = 24 + sum(_DOUBLED[int(d)] for d in digits[0::2]) + sum(int(d) for d in digits[1::2])
    return f"{digits}{-total % 10}"


def dea(registrant: str, last_name: str, stem: int) -> str:
    """Registrant letter, initial of the last name, six digits and (d1+d3+d5) + 2(d2+d4+d6) mod 10."""
    digits = f"{stem:06d}"
    odd = sum(int(d) for d in digits[0::2])
    even = sum(int(d) for d in digits[1::2])
    initial = last_name[:1].upper()
    letter = initial if "A" <= initial <= "Z" else "9"
    return f"{registrant}{letter}{digits}{(odd + 2 * even) % 10}"
