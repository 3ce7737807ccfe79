"""The shape of an NPPES V2 file (npidata_pfile): which columns are read, where they stand, what is no such file.

Pure. Columns are found by name, never by place. A file that is cut off, has other names or is HTML is refused with
line and column; reading less of it would look like success.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streams.errors import InvalidInput

SLOTS = range(1, 16)
NPI = "NPI"
ENTITY_TYPE = "Entity Type Code"
ORGANIZATION_NAME = "Provider Organization Name (Legal Business Name)"
OTHER_ORGANIZATION_NAME = "Provider Other Organization Name"
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
LINE1 = "Provider First Line Business Practice Location Address"
LINE2 = "Provider Second Line Business Practice Location Address"
CITY = "Provider Business Practice Location Address City Name"
STATE = "Provider Business Practice Location Address State Name"
POSTAL_CODE = "Provider Business Practice Location Address Postal Code"
PHONE = "Provider Business Practice Location Address Telephone Number"
FAX = "Provider Business Practice Location Address Fax Number"
DEACTIVATED = "NPI Deactivation Date"
REACTIVATED = "NPI Reactivation Date"


def taxonomy_column(slot: int) -> str:
    return f"Healthcare Provider Taxonomy Code_{slot}"


def license_column(slot: int) -> str:
    return f"Provider License Number_{slot}"


def license_state_column(slot: int) -> str:
    return f"Provider License Number State Code_{slot}"


def primary_column(slot: int) -> str:
    return f"Healthcare Provider Primary Taxonomy Switch_{slot}"


COLUMNS: tuple[str, ...] = (
    *(
        NPI,
        ENTITY_TYPE,
        ORGANIZATION_NAME,
        OTHER_ORGANIZATION_NAME,
        LAST_NAME,
        FIRST_NAME,
        MIDDLE_NAME,
        SUFFIX,
    ),
    *(CREDENTIAL, SEX, OTHER_LAST_NAME, OTHER_FIRST_NAME, OTHER_MIDDLE_NAME, OTHER_NAME_TYPE),
    *(LINE1, LINE2, CITY, STATE, POSTAL_CODE, PHONE, FAX, DEACTIVATED, REACTIVATED),
    *(
        column(slot)
        for slot in SLOTS
        for column in (taxonomy_column, license_column, license_state_column, primary_column)
    ),
)
"""Every column that is read; a file without one of them is refused."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each column stands in this file."""

    width: int
    at: dict[str, int]

    def text(self, row: list[str], column: str) -> str | None:
        """The trimmed value; blank and NPPES's <UNAVAIL> are None."""
        value = row[self.at[column]].strip()
        return None if value in ("", "<UNAVAIL>") else value


def rows_of(lines: Iterable[str], name: str) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of each line that is not blank."""
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as failure:
            message = f"{name}, line {reader.line_num}: {failure}; is the file cut off?"
            raise InvalidInput("nppes.not_csv", message, "download the file again") from failure
        except UnicodeDecodeError as failure:
            message = f"{name}, after line {reader.line_num}: not UTF-8 text"
            raise InvalidInput(
                "nppes.not_text", message, "unpack the zip and name the npidata_pfile CSV"
            ) from failure
        if row:
            yield reader.line_num, row


def layout_of(header: list[str], name: str = "the file") -> Layout:
    """The places of the columns that are read, or which are missing."""
    names = [column.strip().removeprefix("\ufeff") for column in header]
    if not names or names[0].lstrip().startswith("<"):
        what = "is HTML, not data" if names else "is empty"
        raise InvalidInput("nppes.not_data", f"{name} {what}", "download the dissemination file again")
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InvalidInput(
            "nppes.column_missing",
            f"{name}: no column {', '.join(repr(column) for column in missing[:3])}{more}",
            "use an NPPES V2 npidata file with its header line",
        )
    return Layout(len(names), {column: names.index(column) for column in COLUMNS})
