"""A claim under the master's id: what the rekey hop says on `claims.<system>` of rows it read under a local id.

    cdc.<system> --rekey--> claims.<system> --decode--> Change, Confirmation --> entity

Both directions of the format stand here. A claim's position is its row's with the link's number behind it, so that a
local id that is linked elsewhere and back moves its claims both times (design section 2). The topic is the platform's
own: rows travel as the arrays entities keep them in.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from streams.core.canonical import DECODE
from streams.core.change import Change, Confirmation, Malformed, Position, Values
from streams.core.entity import NIL, Claim, Confirmed, Link

APPLIED = "applied"
"""The record that stands for a row of concord_applied."""


class Told(Struct, array_like=True, gc=False):
    """A record of `claims.<system>`. `values`: the row encoded, NIL when it was deleted or is taken back.

    origin  the partition it was read from: its transactions are in order among themselves only
    """

    system: str
    kind: str
    id: str
    record: str
    row: str
    origin: int
    position: Position
    txid: int
    committed_us: int
    captured_us: int
    read: bool
    values: Raw = NIL
    beside: Values = {}
    gaps: list[str] = []
    revision: int = 0
    view_hash: str = ""


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Told).decode


def row(
    system: str, link: Link, kind: str, record: str, row_id: str, claim: Claim, origin: int, captured_us: int,
    *, gone: bool = False,
) -> bytes:  # fmt: skip
    """What the claim of a local row says of the entity it is linked to, or that it is no longer that entity's."""
    return encode(
        Told(
            system, kind, link.entity_id, record, row_id, origin, (*claim.position[:3], link.number), claim.txid,
            claim.committed_us, captured_us, False, NIL if gone else claim.held, claim.beside, claim.gaps,
        )
    )  # fmt: skip


def confirmation(system: str, link: Link, kind: str, held: Confirmed, origin: int, captured_us: int) -> bytes:
    """What the system holds, for the entity it is linked to."""
    return encode(
        Told(
            system, kind, link.entity_id, APPLIED, held.local_id, origin, (*held.position[:3], link.number),
            held.txid, held.committed_us, captured_us, not held.txid,
            revision=held.revision, view_hash=held.view_hash,
        )
    )  # fmt: skip


def decode(key: bytes | None, value: bytes | None) -> Change | Confirmation | Malformed:
    """What a record of `claims.<system>` says."""
    try:
        told = _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Malformed("claim.undecodable", "no claim of the rekey hop")
    if key != told.id.encode():
        return Malformed("change.key_mismatch", f"{told.record}: the key is not the claim's id")
    if told.record == APPLIED:
        return _confirmation(told)
    return _change(told)


def _confirmation(told: Told) -> Confirmation:
    return Confirmation(
        told.system, told.kind, told.id, told.row, told.revision, told.view_hash, told.position, told.read,
        told.txid, told.committed_us, told.captured_us, told.origin,
    )  # fmt: skip


def _change(told: Told) -> Change | Malformed:
    decode_row = DECODE.get(told.record)
    if decode_row is None:
        return Malformed("claim.record_unknown", "the catalogue has no such record", told.kind, told.id)
    try:
        values: Any = decode_row(told.values) if len(told.values) > 1 else None
    except msgspec.DecodeError:
        return Malformed(
            "claim.undecodable", f"{told.record}: no row of that record", told.kind, told.id, told.record,
            told.row, told.system, told.position,
        )  # fmt: skip
    return Change(
        told.system, told.kind, told.id, told.record, told.row, told.position, values, told.read, False,
        told.txid, told.committed_us, told.captured_us, False, tuple(told.gaps), told.beside,
        told.origin,
    )  # fmt: skip
