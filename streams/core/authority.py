"""Who may say what: the owner of each canonical field, compiled from `schemas/authority.toml`.

Read by `entity.golden`. A golden value depends only on the claims its authority row admits (invariant 4).
Today's only rule type is `source_of_truth`; the file names the others' places.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Authority(Struct, frozen=True):
    """Who owns what.

    owners    record -> field -> the system whose claims are admitted
    admitted  record -> system -> the fields it owns; None means every field of the record
    keepers   record -> the system that says which rows there are; others only add their fields to them
    """

    version: int
    owners: Mapping[str, Mapping[str, str]]
    admitted: Mapping[str, Mapping[str, frozenset[str] | None]]
    keepers: Mapping[str, str]


def compile_owners(
    version: int, owners: Mapping[str, Mapping[str, str]], keepers: Mapping[str, str]
) -> Authority:
    """The authority of an owners table (record -> field -> system)."""
    admitted = {record: _admitted(fields) for record, fields in owners.items()}
    return Authority(version, owners, admitted, keepers)


def _admitted(fields: Mapping[str, str]) -> dict[str, frozenset[str] | None]:
    systems = set(fields.values())
    if len(systems) == 1:
        return {systems.pop(): None}
    return {system: frozenset(f for f, owner in fields.items() if owner == system) for system in systems}


def owned_by(system: str, records: Mapping[str, list[str]], version: int = 0) -> Authority:
    """An authority where one system owns every field: for tests and tools that look at one system alone."""
    owners = {record: dict.fromkeys(fields, system) for record, fields in records.items()}
    return compile_owners(version, owners, dict.fromkeys(records, system))
