"""NPPES V2 rows as rows of the credentialing tables.

    npidata_pfile.csv --read--> Mapped | Skipped per row --> load.py

Pure: reads any iterable of lines (npidata.py names the columns). Entity type 1 becomes a provider with
its practice location, licences and taxonomies (15 slots); type 2 an organization with its location. NPPES says
nothing about networks, affiliations or a licence's status, so neither do the rows. A deactivated row blanks
nothing: it is skipped and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias
from uuid import UUID, uuid5

from connectors.credentialing.bundle import Bundle
from connectors.reference import delimited
from connectors.reference.dates import iso
from connectors.reference.delimited import Layout
from connectors.reference.npidata import (
    CITY,
    CREDENTIAL,
    DEACTIVATED,
    ENTITY_TYPE,
    FAX,
    FIRST_NAME,
    LAST_NAME,
    LINE1,
    LINE2,
    MIDDLE_NAME,
    NPI,
    ORGANIZATION_NAME,
    OTHER_FIRST_NAME,
    OTHER_LAST_NAME,
    OTHER_MIDDLE_NAME,
    OTHER_NAME_TYPE,
    OTHER_ORGANIZATION_NAME,
    PHONE,
    POSTAL_CODE,
    REACTIVATED,
    ROSTER,
    SEX,
    SLOTS,
    STATE,
    SUFFIX,
    license_column,
    license_state_column,
    primary_column,
    taxonomy_column,
)  # fmt: skip
from streams.errors import InvalidInput

NAMESPACE = UUID("6f0c3f3e-3b52-5f0e-9a55-0f7b1c6a2d10")
"""Ids follow from the NPI, so that a file loaded twice is one set of rows."""

NAME_TYPES = {"1": "former", "2": "professional", "5": "other"}


class Mapped(NamedTuple):
    """A row that became rows."""

    bundle: Bundle


class Skipped(NamedTuple):
    """A row that became nothing, and why: deactivated, entity_type_missing, npi_missing."""

    reason: str


Outcome: TypeAlias = Mapped | Skipped


NEXT = {
    "not_csv": "download the file again",
    "not_text": "unpack the zip and name the npidata_pfile CSV",
    "not_data": "download the dissemination file again",
    "column_missing": "use an NPPES V2 npidata file with its header line",
    "row_shape": "download it again and compare its size",
    "no_rows": "download the file again",
}


def read(lines: Iterable[str], name: str = "the file") -> Iterator[Outcome]:
    """One outcome a data row, in order; raises InvalidInput where the file stops being an NPPES V2 file."""
    rows = delimited.rows_of(lines, name, _refuse)
    layout = delimited.layout_of(next(rows, (0, []))[1], ROSTER, name, _refuse)
    for row in delimited.complete(rows, layout, name, _refuse):
        yield map_row(layout, row)


def _refuse(why: str, message: str) -> InvalidInput:
    return InvalidInput(f"nppes.{why}", message, NEXT[why])


def map_row(layout: Layout, row: list[str]) -> Outcome:
    """One NPPES row."""
    npi = layout.text(row, NPI)
    if npi is None:
        return Skipped("npi_missing")
    if _deactivated(layout.text(row, DEACTIVATED), layout.text(row, REACTIVATED)):
        return Skipped("deactivated")
    match layout.text(row, ENTITY_TYPE):
        case "1":
            return Mapped(_provider(layout, row, npi))
        case "2":
            return Mapped(_organization(layout, row, npi))
        case _:
            return Skipped("entity_type_missing")


def _deactivated(since: str | None, again: str | None) -> bool:
    """Deactivated, and not reactivated on or after that day."""
    if since is None:
        return False
    ended, resumed = iso(since), iso(again)
    return resumed is None or (ended is not None and resumed < ended)


def _provider(layout: Layout, row: list[str], npi: str) -> Bundle:
    bundle = Bundle()
    provider_id = _id("provider", npi)
    location_id = _location(bundle, layout, row, None, None, None)
    bundle.add(
        "provider",
        provider_id=provider_id,
        npi=npi,
        entity_type="1",
        first_name=layout.text(row, FIRST_NAME),
        middle_name=layout.text(row, MIDDLE_NAME),
        last_name=layout.text(row, LAST_NAME),
        name_suffix=layout.text(row, SUFFIX),
        degree=_degree(layout.text(row, CREDENTIAL)),
        sex=_sex(layout.text(row, SEX)),
        status="active",
        updated_by="nppes",
    )
    _former_name(bundle, layout, row, provider_id, npi)
    _licenses_and_taxonomies(bundle, layout, row, provider_id, npi)
    if location_id is not None:
        bundle.add(
            "provider_location",
            id=_id("provider_location", npi),
            provider_id=provider_id,
            location_id=location_id,
            is_primary=True,
        )
    return bundle


def _degree(credential: str | None) -> str | None:
    """`M.D.` and `md` are MD; what doesn't fit in 20 characters is cut where it does."""
    return credential.upper().replace(".", "").strip()[:20] or None if credential else None


def _sex(code: str | None) -> str | None:
    return code if code in ("M", "F", "X") else None


def _former_name(bundle: Bundle, layout: Layout, row: list[str], provider_id: UUID, npi: str) -> None:
    if last_name := layout.text(row, OTHER_LAST_NAME):
        bundle.add(
            "provider_name_history",
            id=_id("former_name", npi),
            provider_id=provider_id,
            name_type=NAME_TYPES.get(layout.text(row, OTHER_NAME_TYPE) or "", "other"),
            first_name=layout.text(row, OTHER_FIRST_NAME),
            middle_name=layout.text(row, OTHER_MIDDLE_NAME),
            last_name=last_name,
        )


def _licenses_and_taxonomies(
    bundle: Bundle, layout: Layout, row: list[str], provider_id: UUID, npi: str
) -> None:
    """Each slot's licence once and its taxonomy with that licence; the switch Y marks the primary, in any slot."""
    for slot in SLOTS:
        license_id = _license(bundle, layout, row, slot, provider_id, npi)
        if code := layout.text(row, taxonomy_column(slot)):
            bundle.add(
                "taxonomy",
                taxonomy_id=_id("taxonomy", npi, str(slot)),
                provider_id=provider_id,
                nucc_code=code,
                is_primary=layout.text(row, primary_column(slot)) == "Y",
                license_id=license_id,
            )


def _license(
    bundle: Bundle, layout: Layout, row: list[str], slot: int, provider_id: UUID, npi: str
) -> UUID | None:
    number = layout.text(row, license_column(slot))
    state = layout.text(row, license_state_column(slot))
    if number is None or state is None or len(state) != 2:
        return None
    license_id = _id("license", npi, state, number)
    if all(known["license_id"] != license_id for known in bundle.rows.get("license", ())):
        bundle.add(
            "license",
            license_id=license_id,
            provider_id=provider_id,
            state=state,
            license_type="unspecified",  # NPPES names neither the type
            number=number,
            status="pending",  # nor the status: nobody has verified it
        )
    return license_id


def _organization(layout: Layout, row: list[str], npi: str) -> Bundle:
    bundle = Bundle()
    org_id, name = _id("organization", npi), layout.text(row, ORGANIZATION_NAME)
    bundle.add(
        "organization",
        org_id=org_id,
        npi=npi,
        legal_name=name,
        dba=layout.text(row, OTHER_ORGANIZATION_NAME),
        org_type="prvgrp",
    )
    _location(bundle, layout, row, org_id, npi, name)
    return bundle


def _location(
    bundle: Bundle, layout: Layout, row: list[str], org_id: UUID | None, npi: str | None, name: str | None
) -> UUID | None:
    """The practice address: an organization's own location, or one that individuals at the address share."""
    line1 = layout.text(row, LINE1)
    if line1 is None:
        return None
    address = [layout.text(row, column) for column in (LINE1, LINE2, CITY, STATE, POSTAL_CODE)]
    location_id = _id("location", *([npi] if npi else [(part or "").upper() for part in address]))
    bundle.add(
        "practice_location",
        location_id=location_id,
        org_id=org_id,
        location_npi=npi,
        name=name or line1,
        **dict(zip(("line1", "line2", "city", "state", "zip"), address, strict=True)),
        phone=layout.text(row, PHONE),
        fax=layout.text(row, FAX),
    )
    return location_id


def _id(*parts: str) -> UUID:
    return uuid5(NAMESPACE, "\x1f".join(parts))
