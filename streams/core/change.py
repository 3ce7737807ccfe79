"""A captured row change: the first value of the flow.

`decode` makes it of a Debezium record, the entity takes it. What can't be used is a value too (`Malformed`), never an
exception. Nothing here looks at any other record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from streams.core.canonical import Row

Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What a store and a topic can keep: JSON knows larger numbers, and one that is taken in ends in no record."""

Position = Annotated[tuple[Int64, ...], Meta(min_length=3)]
"""(epoch, prior_commit, lsn): ordered by commit, never by event LSN across transactions (invariant 1). A claim that was
re-keyed has a fourth number: how often the local id had been linked (design: re-key hop)."""


def position_text(position: Position) -> str:
    """`epoch/prior_commit/lsn`, and the link's number where it was re-keyed."""
    return "/".join(map(str, position))


CAPTURED = -1
"""The origin of what stands as captured, under the key its system gave it."""

Values = dict[str, Any]
"""Canonical field -> value, where only some fields of a row are meant."""


class Change(Struct, frozen=True, gc=False):
    """One row as one system holds it after one commit; `values` is None when the row was deleted.

    unavailable  fields whose unchanged TOAST value PostgreSQL did not log (P03): None in `values`, yet not null
    beside       `record.field` -> value: what the row says of other records (a listing's specialty)
    """

    system: str
    kind: str
    entity_id: str
    record: str
    row_id: str
    position: Position
    values: Row | None
    read: bool
    """Read by a snapshot (op `r`) rather than streamed from the log."""
    initial: bool
    """Part of an initial snapshot: its entity waits for snapshot-complete before it is decided."""
    txid: int
    committed_us: int
    captured_us: int
    log: bool
    """The table is a log (claims, denials, events): not aggregated row by row."""
    unavailable: tuple[str, ...] = ()
    beside: Mapping[str, Any] = {}
    origin: int = CAPTURED
    """the partition a re-keyed row was read from"""


class Confirmation(Struct, frozen=True, gc=False):
    """A row of `concord_applied`: the system holds this revision since the transaction `txid`, whose rows of the
    entity are the platform's own write and never an edit (invariant 8).

    local_id   the system's own id of the entity
    view_hash  of the view the adapter applied
    """

    system: str
    kind: str
    entity_id: str
    local_id: str
    revision: int
    view_hash: str
    position: Position
    read: bool
    txid: int
    committed_us: int
    captured_us: int
    origin: int = CAPTURED


class Control(Struct, frozen=True):
    """A row of the platform's own tables in a system."""

    system: str
    table: str


class Malformed(Struct, frozen=True):
    """A record that says nothing we can use; `code` is stable, `detail` names paths and never values.

    The rest says whose history now has a gap, and since when, as far as it could be read.
    """

    code: str
    detail: str
    kind: str = ""
    entity_id: str = ""
    record: str = ""
    row_id: str = ""
    system: str = ""
    position: Position | None = None
    initial: bool = False
    txid: int = 0
    committed_us: int = 0
    captured_us: int = 0


class Canary(Struct, frozen=True, gc=False):
    """A row of `concord_canary`: what was committed before it at its source has been captured."""

    system: str
    beat: int
    committed_us: int
    captured_us: int


Decoded = Change | Confirmation | Control | Canary | Malformed
