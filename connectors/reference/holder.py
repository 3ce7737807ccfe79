"""Who holds an NPI, as the platform says it: announced on `claims.npi`, and kept in the state of the NPI's entity.

Pure. Reads only the beginning of what is stored, which is only ever appended to; it knows nothing of the core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta, Raw, Struct

Position: TypeAlias = tuple[int, int, int]
Told = Annotated[tuple[int, ...], Meta(min_length=3)]
"""A position as it was told: once with a fourth number, where a re-keyed row had touched the holder last."""

KINDS = frozenset({"provider", "organization"})
DELETED = b"\xc0"
"""A row that is gone, as msgpack writes None."""


@dataclass(frozen=True, slots=True)
class Holder:
    """An entity that holds an NPI, or no longer does. `place`: the announcement's offset, which rises with each."""

    npi: str
    kind: str
    id: str
    holds: bool
    position: Position
    place: int


class Announcement(Struct, frozen=True):
    """A record of `claims.npi`, as decide writes it."""

    npi: str
    kind: str
    id: str
    holds: bool
    position: Told


class _Claim(Struct, array_like=True):
    """The beginning of a stored claim: a persisted format, only ever appended to."""

    position: Told
    txid: int
    committed_us: int
    held: Raw


class _Npi(Struct, array_like=True):
    """The beginning of a stored entity of kind npi: claims of the platform, record `holder`, row `kind/id`."""

    kind: str
    id: str
    revision: int
    claims: dict[str, dict[str, dict[str, _Claim]]]


_announcement = msgspec.json.Decoder(Announcement).decode
_npi = msgspec.msgpack.Decoder(_Npi).decode


def announced(value: bytes, offset: int) -> Holder | None:
    """A record of the topic; None where nothing can be read of it: decide quarantines that record, and says so."""
    try:
        said = _announcement(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if said.kind not in KINDS:
        return None
    return Holder(said.npi, said.kind, said.id, said.holds, _position(said.position), offset)


def stored(value: bytes, place: int) -> Iterator[Holder]:
    """Who holds or held the NPI that this stored entity is."""
    npi = _npi(value)
    for row, claim in npi.claims.get("platform", {}).get("holder", {}).items():
        kind, _, entity_id = row.partition("/")
        if kind in KINDS:
            yield Holder(
                npi.id, kind, entity_id, bytes(claim.held) != DELETED, _position(claim.position), place
            )


def _position(told: tuple[int, ...]) -> Position:
    epoch, commit, lsn = told[:3]
    return epoch, commit, lsn
