"""Rules on who a provider or organization is: R01 (NPI), R13 (TIN). R03 and P05: `formats.kept_fields`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from streams.core.canonical import Organization, Provider
from streams.core.today import Today

INDIVIDUAL = "1"
_TIN = re.compile(r"[0-9]{9}").fullmatch


def entity_type(today: Today) -> Iterator[str]:
    """A provider is an individual; a blank type is no evidence (R01)."""
    root: Provider = today.root
    if root.entity_type and root.entity_type != INDIVIDUAL:
        yield "provider/entity_type"


def first_digit(today: Today) -> Iterator[str]:
    """Every NPI issued so far begins with 1 or 2 (R01)."""
    npi = today.root.npi
    if npi and npi[0] not in "12":
        yield f"{today.golden.kind}/npi"


def tin_shape(today: Today) -> Iterator[str]:
    """Nine digits (R13)."""
    root: Organization = today.root
    if root.tin and not _TIN(root.tin.replace("-", "")):
        yield "organization/tin"


UNASSIGNED = frozenset("00 07 08 09 17 18 19 28 29 49 69 70 78 79 89 96 97".split())
"""Beginnings that the IRS gives no employer."""


def tin_prefix(today: Today) -> Iterator[str]:
    """An employer's TIN with a beginning that none has; a social security number has no such rule (R13)."""
    root: Organization = today.root
    if root.tin and root.tin[:2] in UNASSIGNED and (root.tin_type != "SSN" or root.tin[:2] == "00"):
        yield "organization/tin"
