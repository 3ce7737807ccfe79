"""The rows of a workbook's first sheet (xlsx): the deactivation list is published as one.

    zip of XML --first_sheet--> Sheet.rows() --> fields as text

A stream over the sheet's XML; only its shared texts are in memory (some 25 MB for 355,000 NPIs). Reads values, no
formulas; a date may be text or a day number, which `date_text` tells apart. Never resolves anything outside.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import IO
from xml.etree import ElementTree

from connectors.reference import delimited
from connectors.reference.refusal import unusable

BOOK = "xl/workbook.xml"
SHEETS = "xl/worksheets/"
SHARED = "xl/sharedStrings.xml"
EPOCH = date(1899, 12, 30)
"""Day 0 of a workbook, with its leap day that never was."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The first sheet, open."""

    name: str
    file: IO[bytes]
    size: int
    shared: list[str]

    def rows(self) -> delimited.Rows:
        """Row number and fields; rows without a value are left out."""
        try:
            for number, row in enumerate(_elements(self.file, "row", within="sheetData"), 1):
                fields = self._fields(row)
                if any(fields):
                    yield number, fields
        except ElementTree.ParseError as fault:
            raise unusable("not_data", f"{self.name}: the sheet breaks off: {fault}") from fault

    def _fields(self, row: ElementTree.Element) -> list[str]:
        fields: list[str] = []
        for cell in row:
            place = _column(cell.get("r", "")) if cell.get("r") else len(fields)
            fields += [""] * (place - len(fields))
            fields.append(self._value(cell))
        return fields

    def _value(self, cell: ElementTree.Element) -> str:
        if cell.get("t") == "inlineStr":
            return _text(cell)
        value = next((child.text or "" for child in cell if _plain(child) == "v"), "")
        return self.shared[int(value)] if cell.get("t") == "s" and value else value


def is_one(archive: zipfile.ZipFile) -> bool:
    return BOOK in archive.namelist()


def first_sheet(archive: zipfile.ZipFile, name: str) -> Sheet:
    """Opened for reading; refused where there is none."""
    sheets = sorted(part for part in archive.namelist() if part.startswith(SHEETS) and part.endswith(".xml"))
    if not sheets:
        raise unusable("not_data", f"{name}: a workbook without a sheet")
    try:
        shared = list(_shared(archive)) if SHARED in archive.namelist() else []
        return Sheet(name, archive.open(sheets[0]), archive.getinfo(sheets[0]).file_size, shared)
    except (ElementTree.ParseError, zipfile.BadZipFile) as fault:
        raise unusable("bad_zip", f"{name}: {fault}; is it cut off?") from fault


def date_text(value: str) -> str:
    """A date cell as text: a day number becomes an ISO date, text stays as it is."""
    number = value.removesuffix(".0")
    if number.isdigit() and len(number) == 5:
        return (EPOCH + timedelta(days=int(number))).isoformat()
    return value


def _shared(archive: zipfile.ZipFile) -> Iterator[str]:
    with archive.open(SHARED) as file:
        for item in _elements(file, "si", within="sst"):
            yield _text(item)


def _elements(file: IO[bytes], name: str, within: str) -> Iterator[ElementTree.Element]:
    """Each `name`; what was read is let go, or the whole sheet would stay in memory."""
    parent: ElementTree.Element | None = None
    # expat 2.4 and later bounds what entities may grow to.
    for event, element in ElementTree.iterparse(file, ("start", "end")):  # noqa: S314
        if event == "start" and _plain(element) == within:
            parent = element
        elif event == "end" and _plain(element) == name:
            yield element
            if parent is not None:
                parent.clear()


def _text(element: ElementTree.Element) -> str:
    return "".join(part.text or "" for part in element.iter() if _plain(part) == "t")


def _plain(element: ElementTree.Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _column(reference: str) -> int:
    """`B7` -> 1."""
    place = 0
    for letter in filter(str.isalpha, reference):
        place = place * 26 + ord(letter.upper()) - ord("A") + 1
    return place - 1
