"""What a witness says becomes a change: rows of NPPES, LEIE or SAM about an NPI that an entity holds.

    claims.witness --claim--> Change (system = the witness) --> entity

A witness owns nothing (design section 1): its rows are evidence that rules read and stewards see. A row that is gone is
told as None, never as blanks. Bad input is a value (`Malformed`), never an exception.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from streams.core.canonical import RECORDS
from streams.core.change import Change, Malformed, Position


class Said(Struct, frozen=True):
    """A record of `claims.witness`; `as_of` is the publisher's date."""

    witness: str
    kind: str
    id: str
    record: str
    row: str
    position: Position
    as_of: str = ""
    values: dict[str, Any] | None = None


_decode = msgspec.json.Decoder(Said).decode


def claim(key: bytes | None, value: bytes | None) -> Change | Malformed:
    """The change a record of `claims.witness` stands for."""
    try:
        said = _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Malformed("witness.undecodable", "no claim of a witness")
    record = RECORDS.get(said.record)
    if record is None:
        return Malformed("witness.record_unknown", "the catalogue has no such record", said.kind, said.id)
    if key != said.id.encode():
        return Malformed("change.key_mismatch", f"{said.record}: the key is not the claim's id")
    try:
        fields = [(said.values or {}).get(field) for field in record.__struct_fields__]
        row = msgspec.convert(fields, record) if said.values is not None else None
    except msgspec.ValidationError as error:
        return Malformed(
            "change.type_wrong", f"{said.record}: {error}", said.kind, said.id, said.record, said.row,
            said.witness, said.position,
        )  # fmt: skip
    return Change(
        said.witness, said.kind, said.id, said.record, said.row, said.position, row,
        False, False, 0, 0, 0, False, origin=0,
    )  # fmt: skip
