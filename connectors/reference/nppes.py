"""NPPES: the registry of NPIs (monthly file, weekly increment, list of deactivated NPIs).

    npidata_pfile --read--> a row an NPI · list of deactivated NPIs --read--> dark rows

A deactivated NPI's row has nothing but NPI and date: it stays that dark, and blanks nothing anywhere. Deactivated is
who has a deactivation date and no reactivation date on or after it.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from sqlite3 import Connection

from connectors.reference import delimited, npidata
from connectors.reference.dates import iso
from connectors.reference.delimited import Layout
from connectors.reference.files import File
from connectors.reference.refusal import unusable
from connectors.reference.secret import Secret
from connectors.reference.source import Limit, Mode, Parcel, Row, Source, Values, Version, limits
from connectors.reference.workbook import date_text

ACTIVE, DEACTIVATED = "active", "deactivated"
LISTED = delimited.Shape(
    (npidata.NPI, npidata.DEACTIVATED),
    aliases={npidata.DEACTIVATED: ("NPPES Deactivation Date", "Deactivation Date")},
)
ADDRESS = ("line1", "line2", "city", "state", "postal_code", "country", "phone", "fax")
HEADER_WITHIN = 5
"""The list has a title above its header."""
BEGINNING = "20050601"
"""The full file's period begins in May 2005, an increment's in its week."""


def read(file: File, secret: Secret, mode: Mode | None) -> Parcel:
    """The file by its header: 330 columns are rows of NPIs, two a list of those deactivated."""
    rows = file.rows()
    header = _header(rows)
    if mode == "deactivated" or (mode is None and len(header) <= 3 and _names_npi(header)):
        return _listed(file, rows, header)
    layout = delimited.layout_of(header, npidata.WITNESS, file.name, unusable)
    parcel = Parcel(mode or _mode(file), layout.names, as_of=_as_of(file))
    parcel.unknown(layout.unknown)
    parcel.take(delimited.complete(rows, layout, file.name, unusable), Npi(layout, parcel))
    return parcel


def _header(rows: delimited.Rows) -> list[str]:
    """The first row, or the one below a title that names an NPI."""
    first = [row for _, row in islice(rows, 1)]
    if not first or len(list(filter(None, first[0]))) > 1 or first[0][0].lstrip().startswith("<"):
        return first[0] if first else []
    return next((row for _, row in islice(rows, HEADER_WITHIN) if _names_npi(row)), first[0])


def _names_npi(row: list[str]) -> bool:
    return any(delimited.folded(field) == "npi" for field in row)


def _mode(file: File) -> Mode:
    period = file.named(r"npidata_pfile_(\d{8})-\d{8}")
    weekly = period[1] > BEGINNING if period else file.named("weekly")
    return "increment" if weekly else "full"


def _as_of(file: File) -> str | None:
    """The last day of the period: npidata_pfile_20050523-20261108, or Weekly's MMDDYY_MMDDYY."""
    if period := file.named(r"npidata_pfile_\d{8}-(\d{8})"):
        return iso(period[1])
    week = file.named(r"_\d{6}_(\d{6})_weekly")
    return _short(week[1]) if week else None


def _short(mmddyy: str) -> str | None:
    return iso(f"20{mmddyy[4:]}{mmddyy[:4]}")


# ---- rows of NPIs ----


class Npi:
    """Maps the fields of one NPI, whose places are looked up once."""

    def __init__(self, layout: Layout, parcel: Parcel) -> None:
        at = layout.at
        self._parcel = parcel
        self._npi, self._type = at[npidata.NPI], at[npidata.ENTITY_TYPE]
        self._since, self._again = at[npidata.DEACTIVATED], at[npidata.REACTIVATED]
        self._updated = at[npidata.LAST_UPDATE]
        self._plain = [(name, at[column]) for name, column in PLAIN.items()]
        self._other = [(name, at[column]) for name, column in OTHER_NAME.items()]
        self._practice = [(name, at[column]) for name, column in zip(ADDRESS, npidata.PRACTICE, strict=True)]
        self._mailing = [(name, at[column]) for name, column in zip(ADDRESS, npidata.MAILING, strict=True)]
        self._slots = [tuple(at[column] for column in slot) for slot in npidata.TAXONOMIES]

    def __call__(self, row: list[str]) -> Row | str:
        npi = row[self._npi].strip()
        if not npi_shaped(npi):
            return "npi_shape" if npi else "npi_missing"
        values: Values = {"nppes_npi": npi} | _texts(row, self._plain) | self._status(row)
        if "entity_type" not in values and values["status"] == DEACTIVATED:
            self._parcel.counts["dark"] += 1
        for name, places in (("practice", self._practice), ("mailing", self._mailing)):
            values |= {name: found} if (found := _texts(row, places)) else {}
        values |= self._other_name(row) | self._taxonomies(row)
        if updated := iso(row[self._updated].strip()):
            values["last_update"] = updated
            self._parcel.saw(updated)
        return Row(npi, values)

    def _status(self, row: list[str]) -> Values:
        since, again = row[self._since].strip(), row[self._again].strip()
        if not since:
            return {"status": ACTIVE}
        ended, resumed = iso(since), iso(again)
        active = resumed is not None and (ended is None or resumed >= ended)
        dates = {"deactivated_on": ended, "reactivated_on": resumed}
        if ended is None:
            self._parcel.counts["date_unreadable"] += 1
        return {"status": ACTIVE if active else DEACTIVATED, **{k: v for k, v in dates.items() if v}}

    def _other_name(self, row: list[str]) -> Values:
        found = _texts(row, self._other)
        return {"other_name": found} if found.keys() - {"type"} else {}

    def _taxonomies(self, row: list[str]) -> Values:
        """The switch Y marks the primary, in whatever slot it stands."""
        found = [
            {
                "code": row[code].strip(),
                "license": row[number].strip() or None,
                "state": row[state].strip() or None,
                "primary": row[switch].strip() == "Y",
            }
            for code, number, state, switch in self._slots
            if row[code] or row[number]
        ]
        return {"taxonomies": found} if found else {}


PLAIN = {
    "entity_type": npidata.ENTITY_TYPE,
    "last_name": npidata.LAST_NAME,
    "first_name": npidata.FIRST_NAME,
    "middle_name": npidata.MIDDLE_NAME,
    "name_suffix": npidata.SUFFIX,
    "organization_name": npidata.ORGANIZATION_NAME,
    "credential": npidata.CREDENTIAL,
    "replacement_npi": npidata.REPLACEMENT_NPI,
}
OTHER_NAME = {
    "last_name": npidata.OTHER_LAST_NAME,
    "first_name": npidata.OTHER_FIRST_NAME,
    "middle_name": npidata.OTHER_MIDDLE_NAME,
    "organization_name": npidata.OTHER_ORGANIZATION_NAME,
    "type": npidata.OTHER_NAME_TYPE,
}


def _texts(row: list[str], places: list[tuple[str, int]]) -> Values:
    """Those that say something."""
    return {name: text for name, place in places if (text := row[place].strip()) and text != "<UNAVAIL>"}


def npi_shaped(text: str) -> bool:
    """Ten ASCII digits; whether the check digit fits is for the rules to say."""
    return len(text) == 10 and text.isascii() and text.isdigit()


# ---- the list of deactivated NPIs ----


def _listed(file: File, rows: delimited.Rows, header: list[str]) -> Parcel:
    layout = delimited.layout_of(header, LISTED, file.name, unusable)
    told = file.named(r"deactivated_npi_report_(\d{6})")
    parcel = Parcel("deactivated", layout.names, as_of=_short(told[1]) if told else None)
    parcel.unknown(layout.unknown)
    padded = ((line, [*row, *[""] * (layout.width - len(row))]) for line, row in rows)

    def dark(row: list[str]) -> Row | str:
        npi, since = layout.text(row, npidata.NPI) or "", layout.text(row, npidata.DEACTIVATED)
        if not npi_shaped(npi):
            return "npi_shape" if npi else "npi_missing"
        ended = iso(date_text(since or ""))
        if ended is None:
            return "date_unreadable"
        parcel.saw(ended)
        return Row(npi, {"nppes_npi": npi, "status": DEACTIVATED, "deactivated_on": ended})

    parcel.take(delimited.complete(padded, layout, file.name, unusable), dark)
    return parcel


def _merge_list(db: Connection, version: Version) -> Counter[str]:
    """The list is everything that is deactivated: who dropped out since the last one is active again, as dark as
    before; who was reactivated on or after the date listed is left alone."""
    db.execute(LISTING)
    dropped = db.execute(DROPPED_OUT).rowcount
    reactivated = db.execute(REACTIVATED_SINCE).rowcount
    db.execute("delete from listed")
    db.execute("insert into listed select npi, since from listing")
    return Counter({"dropped_out": dropped, "reactivated_since": reactivated})


LISTING = """
    create temp table listing as
    select key as npi, max(json_extract(body, '$.deactivated_on')) as since from incoming group by key
"""
DROPPED_OUT = """
    insert into incoming (key, hash, body)
    select key, digest(body), body from (
        select entry.key as key, json_object('nppes_npi', entry.key, 'status', 'active') as body
        from listed join entry on entry.key = listed.npi
        where listed.npi not in (select npi from listing)
          and json_extract(entry.body, '$.status') = 'deactivated'
          and json_extract(entry.body, '$.deactivated_on') = listed.since)
"""
REACTIVATED_SINCE = """
    delete from incoming where exists (
        select 1 from entry where entry.key = incoming.key
        and json_extract(entry.body, '$.reactivated_on') >= json_extract(incoming.body, '$.deactivated_on'))
"""


SOURCE = Source(
    name="nppes",
    title="NPPES registry of NPIs",
    parser=1,
    member=r"^npidata_pfile.*\.csv$|deactivated.*\.(xlsx|csv)$",
    read=read,
    stale=limits(Limit(14), Limit(45, ("full",))),
    record="nppes",
    by="key",
    search="nppes_search",
    modes=("full", "increment", "deactivated"),
    merge={"deactivated": _merge_list},
)
