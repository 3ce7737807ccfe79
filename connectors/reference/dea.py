"""DEA: the registration file (fixed width, 244 characters a line, no header). By licence; it names no NPI.

A row's key is the keyed hash of its number: who knows a number can ask for it, nobody can read the numbers off the
keys. Nothing of it can be claimed by NPI.
"""

from __future__ import annotations

from collections.abc import Iterator

from connectors.reference.dates import iso
from connectors.reference.files import File
from connectors.reference.names import folded
from connectors.reference.refusal import unusable
from connectors.reference.secret import Secret
from connectors.reference.source import Limit, Mode, Parcel, Row, Source, limits

WIDTH = 244
FIELDS = {
    "number": (1, 9),
    "business_activity": (10, 10),
    "schedules": (11, 26),
    "expires": (27, 34),
    "name": (35, 74),
    "company": (75, 114),
    "line1": (115, 154),
    "line2": (155, 194),
    "city": (195, 227),
    "state": (228, 229),
    "postal_code": (230, 234),
    "sub_code": (235, 235),
    "payment": (236, 236),
    "activity": (237, 244),
}
"""field -> first and last character, counted from 1 as the publisher does"""
ADDRESS = ("line1", "line2", "city", "postal_code")


def read(file: File, secret: Secret, mode: Mode | None) -> Parcel:
    """Always the whole file."""
    parcel = Parcel(mode or "full", tuple(FIELDS))

    def registration(fields: list[str]) -> Row | str:
        return _row(dict(zip(FIELDS, fields, strict=True)), secret)

    parcel.take(_records(file), registration)
    return parcel


def _records(file: File) -> Iterator[list[str]]:
    number, last = 0, "\n"
    for number, last in enumerate(file.lines, 1):
        line = last.rstrip("\r\n")
        if number == 1 and line.lstrip().startswith("<"):
            raise unusable("not_data", f"{file.name} is HTML, not data")
        if len(line) != WIDTH:
            message = f"{file.name}, line {number}: {len(line)} of {WIDTH} characters; is the file cut off?"
            raise unusable("row_shape", message)
        yield [line[first - 1 : end].strip() for first, end in FIELDS.values()]
    if number == 0:
        raise unusable("no_rows", f"{file.name} is empty")


def _row(said: dict[str, str], secret: Secret) -> Row | str:
    if not said["number"]:
        return "number_missing"
    values: dict[str, object] = {name: text or None for name, text in said.items() if name not in ADDRESS}
    values["schedules"] = said["schedules"].split() or None
    values["expires"] = iso(said["expires"])
    values["address"] = {name: said[name] for name in ADDRESS if said[name]} or None
    return Row(key_of(said["number"], secret), values, name=folded(said["name"]))


def key_of(number: str, secret: Secret) -> str:
    """Under which key a registration is kept."""
    return secret.hidden("dea", number.strip().upper())


SOURCE = Source(
    name="dea",
    title="DEA registrations",
    parser=1,
    member=r"\.(txt|dat|csv)$",
    read=read,
    stale=limits(Limit(35)),
    record="dea_registry",
)
