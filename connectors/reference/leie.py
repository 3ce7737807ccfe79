"""LEIE: the OIG's list of excluded individuals and entities (UPDATED.csv, monthly supplements, reinstatements).

A row has no id: its key is a keyed hash of the published row but for what a reinstatement or a waiver adds, so that
a changed address is another row and a disposition of the old one no longer holds. Of a date of birth only its keyed
hash is kept. Who was reinstated is in the list no more; the supplement finds the rows by whom and what they are about.
"""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from sqlite3 import Connection

from connectors.reference import delimited
from connectors.reference.dates import iso
from connectors.reference.delimited import Layout, Shape
from connectors.reference.files import File
from connectors.reference.names import folded
from connectors.reference.refusal import unusable
from connectors.reference.secret import Secret
from connectors.reference.source import Limit, Mode, Parcel, Row, Source, Values, Version, limits

COLUMNS = (
    *("LASTNAME", "FIRSTNAME", "MIDNAME", "BUSNAME", "GENERAL", "SPECIALTY", "UPIN", "NPI", "DOB"),
    *("ADDRESS", "CITY", "STATE", "ZIP", "EXCLTYPE", "EXCLDATE", "REINDATE", "WAIVERDATE", "WVRSTATE"),
)
PLAIN = {
    "last_name": "LASTNAME",
    "first_name": "FIRSTNAME",
    "middle_name": "MIDNAME",
    "business_name": "BUSNAME",
    "general": "GENERAL",
    "specialty": "SPECIALTY",
    "state": "STATE",
    "exclusion_type": "EXCLTYPE",
    "waiver_state": "WVRSTATE",
}
DATES = {"excluded_on": "EXCLDATE", "reinstated_on": "REINDATE", "waived_on": "WAIVERDATE"}
ADDRESS = {"line1": "ADDRESS", "city": "CITY", "postal_code": "ZIP"}
IDENTITY = ("LASTNAME", "FIRSTNAME", "MIDNAME", "BUSNAME", "UPIN", "NPI", "DOB", "EXCLTYPE", "EXCLDATE")
ADDED_LATER = ("REINDATE", "WAIVERDATE", "WVRSTATE")
NO_NPI = "0000000000"


def read(file: File, secret: Secret, mode: Mode | None) -> Parcel:
    """UPDATED.csv unless its name says supplement: 2610EXCL.csv, 2610REIN.csv."""
    rows = file.rows()
    layout = delimited.layout_of(next(rows, (0, []))[1], Shape(COLUMNS), file.name, unusable)
    parcel = Parcel(mode or _mode(file), layout.names, as_of=_as_of(file))
    parcel.unknown(layout.unknown)
    parcel.take(delimited.complete(rows, layout, file.name, unusable), Exclusion(layout, secret, parcel))
    return parcel


def _mode(file: File) -> Mode:
    supplement = file.named(r"\d{4}(excl|rein)")
    if not supplement:
        return "full"
    return "increment" if supplement[1].lower() == "excl" else "reinstated"


def _as_of(file: File) -> str | None:
    """A supplement is of its month; UPDATED.csv doesn't say."""
    supplement = file.named(r"(\d{2})(0[1-9]|1[0-2])(?:excl|rein)")
    if not supplement:
        return None
    year, month = 2000 + int(supplement[1]), int(supplement[2])
    return f"{year}-{month:02}-{monthrange(year, month)[1]}"


class Exclusion:
    """Maps the fields of one exclusion."""

    def __init__(self, layout: Layout, secret: Secret, parcel: Parcel) -> None:
        self._layout = layout
        self._secret = secret
        self._parcel = parcel

    def __call__(self, row: list[str]) -> Row | str:
        said = {column: self._layout.text(row, column) for column in COLUMNS}
        if not (said["LASTNAME"] or said["BUSNAME"]):
            return "name_missing"
        values: Values = {name: said[column] for name, column in PLAIN.items()}
        values |= {name: iso(said[column]) for name, column in DATES.items()}
        npi = None if said["NPI"] == NO_NPI else said["NPI"]
        values |= {"leie_npi": npi, "dob_hash": self._secret.birth(iso(said["DOB"]))}
        values["address"] = {name: said[column] for name, column in ADDRESS.items() if said[column]} or None
        self._parcel.saw(values["excluded_on"])
        return Row(
            key=self._secret.hidden("leie", *(said[c] for c in COLUMNS if c not in ADDED_LATER)),
            values=values,
            npi=npi,
            name=folded(said["LASTNAME"] or said["BUSNAME"]),
            subject=self._secret.hidden("leie-subject", *(said[column] for column in IDENTITY)),
        )


def _reinstate(db: Connection, version: Version) -> Counter[str]:
    """Take the reinstated out of the list; who isn't found in it is counted."""
    unknown = "select count(*) from incoming where subject not in (select subject from entry)"
    (unmatched,) = db.execute(unknown).fetchone()
    out = db.execute("delete from entry where subject in (select subject from incoming)").rowcount
    db.execute("delete from incoming")
    return Counter({"reinstated": out, "reinstated_unknown": unmatched})


SOURCE = Source(
    name="leie",
    title="OIG list of excluded individuals and entities",
    parser=1,
    member=r"updated.*\.csv$|\d{4}(excl|rein).*\.csv$",
    read=read,
    stale=limits(Limit(40)),
    record="leie",
    by="npi",
    search="leie_search",
    modes=("full", "increment", "reinstated"),
    merge={"reinstated": _reinstate},
)
