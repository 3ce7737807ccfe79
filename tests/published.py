"""Published reference files with their true headers and invented rows: NPPES, LEIE, SAM, NUCC, DEA, workbooks."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from connectors.reference.load import Loaded, Options, load
from connectors.reference.sources import named
from connectors.reference.store import Folder

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
SHARED = Path(__file__).parents[2] / "shared" / "data"


def _address(what: str) -> list[str]:
    first, second = (f"Provider {line} Line Business {what} Address" for line in ("First", "Second"))
    rest = (
        "City Name",
        "State Name",
        "Postal Code",
        "Country Code (If outside U.S.)",
        "Telephone Number",
        "Fax Number",
    )
    return [first, second, *(f"Provider Business {what} Address {name}" for name in rest)]


NPPES = [
    *("NPI", "Entity Type Code", "Replacement NPI", "Employer Identification Number (EIN)"),
    *("Provider Organization Name (Legal Business Name)", "Provider Last Name (Legal Name)", "Provider First Name"),
    *("Provider Middle Name", "Provider Name Prefix Text", "Provider Name Suffix Text", "Provider Credential Text"),
    *("Provider Other Organization Name", "Provider Other Organization Name Type Code", "Provider Other Last Name"),
    *("Provider Other First Name", "Provider Other Middle Name", "Provider Other Name Prefix Text"),
    *("Provider Other Name Suffix Text", "Provider Other Credential Text", "Provider Other Last Name Type Code"),
    *_address("Mailing"),
    *_address("Practice Location"),
    *("Provider Enumeration Date", "Last Update Date", "NPI Deactivation Reason Code", "NPI Deactivation Date"),
    *("NPI Reactivation Date", "Provider Sex Code", "Authorized Official Last Name", "Authorized Official First Name"),
    *("Authorized Official Middle Name", "Authorized Official Title or Position"),
    "Authorized Official Telephone Number",
    *(
        name.format(slot)
        for slot in range(1, 16)
        for name in (
            "Healthcare Provider Taxonomy Code_{}",
            "Provider License Number_{}",
            "Provider License Number State Code_{}",
            "Healthcare Provider Primary Taxonomy Switch_{}",
        )
    ),
    *(
        name.format(number)
        for number in range(1, 51)
        for name in (
            "Other Provider Identifier_{}",
            "Other Provider Identifier Type Code_{}",
            "Other Provider Identifier State_{}",
            "Other Provider Identifier Issuer_{}",
        )
    ),
    *("Is Sole Proprietor", "Is Organization Subpart", "Parent Organization LBN", "Parent Organization TIN"),
    *("Authorized Official Name Prefix Text", "Authorized Official Name Suffix Text"),
    "Authorized Official Credential Text",
    *(f"Healthcare Provider Taxonomy Group_{slot}" for slot in range(1, 16)),
    "Certification Date",
]  # fmt: skip
LEIE = (
    "LASTNAME FIRSTNAME MIDNAME BUSNAME GENERAL SPECIALTY UPIN NPI DOB ADDRESS CITY STATE ZIP EXCLTYPE EXCLDATE REINDATE "
    "WAIVERDATE WVRSTATE"
).split()
SAM = [
    *("Classification", "Name", "Prefix", "First", "Middle", "Last", "Suffix", "Address 1", "Address 2", "Address 3"),
    *("Address 4", "City", "State / Province", "Country", "Zip Code", "Open Data Flag", "Blank (Deprecated)"),
    *("Unique Entity ID", "SAM Number", "CAGE", "NPI", "Exclusion Program", "Excluding Agency", "CT Code"),
    *("Exclusion Type", "Additional Comments", "Active Date", "Termination Date", "Record Status", "Cross-Reference"),
    "Creation_Date",
]  # fmt: skip
NUCC = "Code,Grouping,Classification,Specialization,Definition,Notes,Display Name,Section".split(",")

PERSON = {
    "NPI": "2234567891",
    "Entity Type Code": "1",
    "Provider Last Name (Legal Name)": "QUILLMERE",
    "Provider First Name": "ODALYS",
    "Provider Credential Text": "M.D.",
    "Provider Other Last Name": "FENWICK",
    "Provider Other Last Name Type Code": "1",
    "Provider First Line Business Practice Location Address": "12 NUTMEG TERRACE",
    "Provider Business Practice Location Address City Name": "MADISON",
    "Provider Business Practice Location Address State Name": "WI",
    "Provider Business Practice Location Address Postal Code": "537031234",
    "Provider First Line Business Mailing Address": "PO BOX 9",
    "Last Update Date": "10/20/2026",
    "Healthcare Provider Taxonomy Code_1": "207R00000X",
    "Provider License Number_1": "0012",
    "Provider License Number State Code_1": "WI",
    "Healthcare Provider Primary Taxonomy Switch_1": "N",
    "Healthcare Provider Taxonomy Code_3": "207Q00000X",
    "Healthcare Provider Primary Taxonomy Switch_3": "Y",
}
GROUP = {
    "NPI": "2234567909",
    "Entity Type Code": "2",
    "Employer Identification Number (EIN)": "<UNAVAIL>",
    "Provider Organization Name (Legal Business Name)": "WRENFIELD CLINIC LLC",
    "Last Update Date": "10/21/2026",
}
DARK = {"NPI": "2234567917", "NPI Deactivation Date": "03/04/2024"}
EXCLUDED = {
    "LASTNAME": "QUILLMERE",
    "FIRSTNAME": "ODALYS",
    "GENERAL": "IND- LIC HC SERV PRO",
    "SPECIALTY": "PODIATRY",
    "NPI": "2234567891",
    "DOB": "19610203",
    "ADDRESS": "12 NUTMEG TERRACE",
    "CITY": "MADISON",
    "STATE": "WI",
    "ZIP": "53703",
    "EXCLTYPE": "1128a1",
    "EXCLDATE": "20261020",
    "REINDATE": "00000000",
    "WAIVERDATE": "00000000",
}
DEBARRED = {
    "Classification": "Individual",
    "Name": "Odalys Quillmere",
    "First": "Odalys",
    "Last": "Quillmere",
    "City": "Madison",
    "State / Province": "WI",
    "Country": "USA",
    "SAM Number": "S4MR0000001",
    "NPI": "2234567891",
    "Exclusion Program": "Reciprocal",
    "Excluding Agency": "OPM",
    "CT Code": "A",
    "Exclusion Type": "Prohibition/Restriction",
    "Active Date": "10/20/2026",
    "Termination Date": "Indefinite",
    "Record Status": "Active",
    "Creation_Date": "2026-10-21",
}
CODE = {
    "Code": "207Q00000X",
    "Grouping": "Allopathic & Osteopathic Physicians",
    "Classification": "Family Medicine",
    "Definition": "not kept",
    "Notes": "not kept",
    "Display Name": "Family Medicine Physician",
    "Section": "Individual",
}


def text(header: Sequence[str], *rows: Mapping[str, str], end: str = "\n") -> str:
    """The file as published: every field quoted."""
    out = io.StringIO()
    writer = csv.DictWriter(out, header, restval="", quoting=csv.QUOTE_ALL, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def registration(number: str, name: str = "QUILLMERE, ODALYS MD", **fields: str) -> str:
    """One line of DEA's file: 244 characters."""
    widths = {
        "number": 9, "activity": 1, "schedules": 16, "expires": 8, "name": 40, "company": 40, "line1": 40, "line2": 40,
        "city": 33, "state": 2, "zip": 5, "sub": 1, "payment": 1, "last": 8,
    }  # fmt: skip
    said = {
        "number": number,
        "name": name,
        "activity": "C",
        "schedules": "22N 33N 4 5",
        "expires": "20271231",
        **fields,
    }
    return "".join(said.get(field, "").ljust(width)[:width] for field, width in widths.items())


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(path: Path, **members: str | bytes) -> Path:
    """A zip of files; `__` in a name stands for the dot."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return path


def workbook(*rows: Sequence[str | int]) -> bytes:
    """An xlsx: texts shared, numbers as they are."""
    texts = list(dict.fromkeys(cell for row in rows for cell in row if isinstance(cell, str)))
    sheet = "".join(
        f'<row r="{number}">{"".join(_cell(cell, number, place, texts) for place, cell in enumerate(row))}</row>'
        for number, row in enumerate(rows, 1)
    )
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", f"<workbook {space}/>")
        archive.writestr(
            "xl/worksheets/sheet1.xml", f"<worksheet {space}><sheetData>{sheet}</sheetData></worksheet>"
        )
        shared = "".join(f"<si><t>{escape(item)}</t></si>" for item in texts)
        archive.writestr("xl/sharedStrings.xml", f"<sst {space}>{shared}</sst>")
    return out.getvalue()


def _cell(cell: str | int, row: int, place: int, texts: list[str]) -> str:
    where = f'r="{chr(ord("A") + place)}{row}"'
    if isinstance(cell, int):
        return f"<c {where}><v>{cell}</v></c>"
    return f'<c {where} t="s"><v>{texts.index(cell)}</v></c>'


def take(
    folder: Folder, source: str, path: Path, *, accept: bool = False, now: datetime = NOW, **options: Any
) -> Loaded:
    """Load a file, as the command does; `as_of` may be ISO text."""
    if isinstance(options.get("as_of"), str):
        options["as_of"] = date.fromisoformat(options["as_of"])
    return load(folder, named(source), path, Options(**options), lambda question: accept, now)
