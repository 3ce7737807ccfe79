"""SAM: exclusions of all federal agencies (daily public extract, V2). One row in 25 has an NPI; none a birth date.

A row's key is a keyed hash of what identifies the exclusion: its SAM number where there is one, whom, what and since
when. Names of columns vary between extracts (Unique Entity ID, UEI, DUNS): mapped by any of them.
"""

from __future__ import annotations

from datetime import date, timedelta

from connectors.reference import delimited
from connectors.reference.dates import iso
from connectors.reference.delimited import Layout, Shape
from connectors.reference.files import File
from connectors.reference.names import folded
from connectors.reference.refusal import unusable
from connectors.reference.secret import Secret
from connectors.reference.source import Limit, Mode, Parcel, Row, Source, Values, limits

SHAPE = Shape(
    required=(
        *("Classification", "Name", "First", "Middle", "Last", "City", "State / Province", "Country"),
        *(
            "NPI",
            "Exclusion Program",
            "Excluding Agency",
            "Exclusion Type",
            "Active Date",
            "Termination Date",
        ),
    ),
    optional=(
        *(
            "Suffix",
            "Address 1",
            "Address 2",
            "Zip Code",
            "Unique Entity ID",
            "SAM Number",
            "CAGE",
            "CT Code",
        ),
        *("Additional Comments", "Record Status", "Cross-Reference", "Creation_Date"),
    ),
    ignored=("Prefix", "Address 3", "Address 4", "Open Data Flag", "Blank", "Blank (Deprecated)"),
    aliases={
        "Unique Entity ID": ("UEI", "UEI SAM", "DUNS"),
        "State / Province": ("State",),
        "Zip Code": ("Zip", "ZIP/Postal Code"),
        "Country": ("Country Code",),
    },
)
PLAIN = {
    "classification": "Classification",
    "name": "Name",
    "last_name": "Last",
    "first_name": "First",
    "middle_name": "Middle",
    "name_suffix": "Suffix",
    "state": "State / Province",
    "sam_number": "SAM Number",
    "uei": "Unique Entity ID",
    "cage": "CAGE",
    "program": "Exclusion Program",
    "agency": "Excluding Agency",
    "ct_code": "CT Code",
    "exclusion_type": "Exclusion Type",
    "comments": "Additional Comments",
    "record_status": "Record Status",
    "cross_reference": "Cross-Reference",
}
ADDRESS = {
    "line1": "Address 1",
    "line2": "Address 2",
    "city": "City",
    "postal_code": "Zip Code",
    "country": "Country",
}
IDENTITY = (
    *("SAM Number", "Unique Entity ID", "CAGE", "NPI", "Name", "First", "Middle", "Last", "Suffix"),
    *("Exclusion Program", "Excluding Agency", "CT Code", "Exclusion Type", "Active Date"),
)
INDEFINITE = "indefinite"
NO_NPI = "0000000000"


def read(file: File, secret: Secret, mode: Mode | None) -> Parcel:
    """Always the whole list: who is in it no more, is excluded no more."""
    rows = file.rows()
    layout = delimited.layout_of(next(rows, (0, []))[1], SHAPE, file.name, unusable)
    parcel = Parcel(mode or "full", layout.names, as_of=_as_of(file))
    parcel.unknown(layout.unknown)
    parcel.take(delimited.complete(rows, layout, file.name, unusable), Exclusion(layout, secret, parcel))
    return parcel


def _as_of(file: File) -> str | None:
    """..._V2_26325: the 325th day of 2026."""
    told = file.named(r"_(\d{2})(\d{3})(?:\.|$)")
    if not told or not 1 <= int(told[2]) <= 366:
        return None
    return (date(2000 + int(told[1]), 1, 1) + timedelta(days=int(told[2]) - 1)).isoformat()


class Exclusion:
    """Maps the fields of one exclusion."""

    def __init__(self, layout: Layout, secret: Secret, parcel: Parcel) -> None:
        self._layout = layout
        self._secret = secret
        self._parcel = parcel

    def __call__(self, row: list[str]) -> Row | str:
        said = {column: self._layout.text(row, column) for column in SHAPE.read}
        if not (said["Name"] or said["Last"]):
            return "name_missing"
        npi = None if said["NPI"] == NO_NPI else said["NPI"]
        ends = said["Termination Date"] or ""
        values: Values = {name: said[column] for name, column in PLAIN.items()}
        values |= {
            "sam_npi": npi,
            "active_on": iso(said["Active Date"]),
            "created_on": iso(said["Creation_Date"]),
        }
        values |= {"terminates_on": iso(ends), "indefinite": ends.lower() == INDEFINITE}
        values["address"] = {name: said[column] for name, column in ADDRESS.items() if said[column]} or None
        self._parcel.saw(values["created_on"] or values["active_on"])
        key = self._secret.hidden("sam", *(said[column] for column in IDENTITY))
        return Row(key, values, npi=npi, name=folded(said["Last"] or said["Name"]))


SOURCE = Source(
    name="sam",
    title="SAM exclusions",
    parser=1,
    member=r"exclusions.*\.csv$",
    read=read,
    stale=limits(Limit(3)),
    record="sam",
    by="npi",
    search="sam_search",
)
