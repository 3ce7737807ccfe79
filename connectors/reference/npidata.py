"""The columns of an NPPES V2 file (npidata_pfile), by the names CMS publishes them under.

Read by the credentialing loader and by the witness; what each needs is a Shape. Columns are found by name, never by
place. No row is read here.
"""

from __future__ import annotations

from connectors.reference.delimited import Shape

SLOTS = range(1, 16)
"""Taxonomies, with their licence."""
OTHER_IDENTIFIERS = range(1, 51)

NPI = "NPI"
ENTITY_TYPE = "Entity Type Code"
REPLACEMENT_NPI = "Replacement NPI"
ORGANIZATION_NAME = "Provider Organization Name (Legal Business Name)"
OTHER_ORGANIZATION_NAME = "Provider Other Organization Name"
OTHER_ORGANIZATION_TYPE = "Provider Other Organization Name Type Code"
LAST_NAME = "Provider Last Name (Legal Name)"
FIRST_NAME = "Provider First Name"
MIDDLE_NAME = "Provider Middle Name"
SUFFIX = "Provider Name Suffix Text"
CREDENTIAL = "Provider Credential Text"
SEX = "Provider Sex Code"
OTHER_LAST_NAME = "Provider Other Last Name"
OTHER_FIRST_NAME = "Provider Other First Name"
OTHER_MIDDLE_NAME = "Provider Other Middle Name"
OTHER_NAME_TYPE = "Provider Other Last Name Type Code"
LAST_UPDATE = "Last Update Date"
DEACTIVATED = "NPI Deactivation Date"
REACTIVATED = "NPI Reactivation Date"

_ADDRESS = (
    "Provider First Line Business {} Address",
    "Provider Second Line Business {} Address",
    "Provider Business {} Address City Name",
    "Provider Business {} Address State Name",
    "Provider Business {} Address Postal Code",
    "Provider Business {} Address Country Code (If outside U.S.)",
    "Provider Business {} Address Telephone Number",
    "Provider Business {} Address Fax Number",
)
PRACTICE = tuple(column.format("Practice Location") for column in _ADDRESS)
MAILING = tuple(column.format("Mailing") for column in _ADDRESS)
"""line 1 and 2, city, state, postal code, country, telephone, fax"""
LINE1, LINE2, CITY, STATE, POSTAL_CODE, _COUNTRY, PHONE, FAX = PRACTICE


def taxonomy_column(slot: int) -> str:
    return f"Healthcare Provider Taxonomy Code_{slot}"


def license_column(slot: int) -> str:
    return f"Provider License Number_{slot}"


def license_state_column(slot: int) -> str:
    return f"Provider License Number State Code_{slot}"


def primary_column(slot: int) -> str:
    return f"Healthcare Provider Primary Taxonomy Switch_{slot}"


TAXONOMIES = tuple(
    (taxonomy_column(slot), license_column(slot), license_state_column(slot), primary_column(slot))
    for slot in SLOTS
)

COLUMNS: tuple[str, ...] = (
    *(NPI, ENTITY_TYPE, ORGANIZATION_NAME, OTHER_ORGANIZATION_NAME),
    *(LAST_NAME, FIRST_NAME, MIDDLE_NAME, SUFFIX, CREDENTIAL, SEX),
    *(OTHER_LAST_NAME, OTHER_FIRST_NAME, OTHER_MIDDLE_NAME, OTHER_NAME_TYPE),
    *(LINE1, LINE2, CITY, STATE, POSTAL_CODE, PHONE, FAX, DEACTIVATED, REACTIVATED),
    *(column for slot in TAXONOMIES for column in slot),
)
"""What credentialing is filled from."""

EVIDENCE: tuple[str, ...] = (
    *(NPI, ENTITY_TYPE, REPLACEMENT_NPI, ORGANIZATION_NAME, OTHER_ORGANIZATION_NAME, OTHER_ORGANIZATION_TYPE),
    *(LAST_NAME, FIRST_NAME, MIDDLE_NAME, SUFFIX, CREDENTIAL),
    *(OTHER_LAST_NAME, OTHER_FIRST_NAME, OTHER_MIDDLE_NAME, OTHER_NAME_TYPE),
    *(*PRACTICE, *MAILING, LAST_UPDATE, DEACTIVATED, REACTIVATED),
    *(column for slot in TAXONOMIES for column in slot),
)
"""What the witness keeps."""

PUBLISHED: tuple[str, ...] = (
    *dict.fromkeys((*EVIDENCE, *COLUMNS)),
    "Employer Identification Number (EIN)",
    *(f"Provider {text} Text" for text in ("Name Prefix", "Other Name Prefix", "Other Name Suffix")),
    *("Provider Other Credential Text", "Provider Enumeration Date", "NPI Deactivation Reason Code"),
    *(f"Authorized Official {name}" for name in ("Last Name", "First Name", "Middle Name")),
    *(f"Authorized Official {name}" for name in ("Title or Position", "Telephone Number")),
    *(f"Authorized Official {name} Text" for name in ("Name Prefix", "Name Suffix", "Credential")),
    *(
        column.format(number)
        for number in OTHER_IDENTIFIERS
        for column in (
            "Other Provider Identifier_{}",
            "Other Provider Identifier Type Code_{}",
            "Other Provider Identifier State_{}",
            "Other Provider Identifier Issuer_{}",
        )
    ),
    *("Is Sole Proprietor", "Is Organization Subpart", "Parent Organization LBN", "Parent Organization TIN"),
    *(f"Healthcare Provider Taxonomy Group_{slot}" for slot in SLOTS),
    "Certification Date",
)
"""All 330 columns of V2."""

ROSTER = Shape(COLUMNS, ignored=PUBLISHED)
WITNESS = Shape(EVIDENCE, ignored=PUBLISHED)
