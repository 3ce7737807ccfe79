"""What witnesses say of a provider or organization: R02 (NPPES), R08 (LEIE, SAM), R13 (the legal name), R07 (DEA)."""

from __future__ import annotations

from collections.abc import Iterator

from streams.core.canonical import DeaRegistry, FormerName, Leie, Nppes, Organization, Provider, Sam
from streams.core.today import Today


def npi_deactivated(today: Today) -> Iterator[str]:
    """Deactivated, and not reactivated on or after that day."""
    for row_id, row in today.golden.rows(Nppes).items():
        if row.deactivated_on and (row.reactivated_on or "") < row.deactivated_on:
            yield f"nppes/{row_id}/deactivated_on"


def npi_type(today: Today) -> Iterator[str]:
    """An organization's NPI on a person, or the other way round; a blank type is no evidence."""
    wanted = "1" if today.golden.kind == "provider" else "2"
    for row_id, row in today.golden.rows(Nppes).items():
        if row.entity_type and row.entity_type != wanted:
            yield f"nppes/{row_id}/entity_type"


def name_differs(today: Today) -> Iterator[str]:
    """The last name is neither today's nor a former one."""
    root: Provider = today.root
    known = {_plain(root.last_name), *(_plain(r.last_name) for r in today.golden.rows(FormerName).values())}
    for row_id, row in today.golden.rows(Nppes).items():
        if root.last_name and row.last_name and _plain(row.last_name) not in known:
            yield f"nppes/{row_id}/last_name"


def legal_name_differs(today: Today) -> Iterator[str]:
    """NPPES knows the organization neither by its legal name nor by the one it does business under (R13)."""
    root: Organization = today.root
    known = {_plain(root.legal_name), _plain(root.dba_name)}
    for row_id, row in today.golden.rows(Nppes).items():
        other = row.other_name.get("organization_name") if isinstance(row.other_name, dict) else None
        said = {_plain(name) for name in (row.organization_name, other) if isinstance(name, str) and name}
        if root.legal_name and said and not said & known:
            yield f"nppes/{row_id}/organization_name"


def _plain(name: str | None) -> str:
    return "".join(c for c in (name or "").upper() if c.isalnum())


def excluded_leie(today: Today) -> Iterator[str]:
    """On the LEIE under this NPI, and not reinstated or waived since."""
    return (f"leie/{row_id}" for row_id, row in _excluded(today) if row.leie_npi)


def possible_leie(today: Today) -> Iterator[str]:
    """On the LEIE under this name and date of birth: a row without NPI, told by a screening."""
    return (f"leie/{row_id}" for row_id, row in _excluded(today) if not row.leie_npi)


def _excluded(today: Today) -> Iterator[tuple[str, Leie]]:
    for row_id, row in today.golden.rows(Leie).items():
        since = max(row.reinstated_on or "", row.waived_on or "")
        if row.excluded_on and row.excluded_on <= today.as_of and since < row.excluded_on:
            yield row_id, row


def dea_expired(today: Today) -> Iterator[str]:
    """A registration on record that the DEA's own file has as expired."""
    for row_id, row in today.golden.rows(DeaRegistry).items():
        if row.expires and row.expires < today.as_of:
            yield f"dea_registry/{row_id}/expires"


def excluded_sam(today: Today) -> Iterator[str]:
    """An exclusion of SAM that runs today."""
    for row_id, row in today.golden.rows(Sam).items():
        begun = row.active_on is None or row.active_on <= today.as_of
        if begun and (row.indefinite or not row.terminates_on or today.as_of <= row.terminates_on):
            yield f"sam/{row_id}"
