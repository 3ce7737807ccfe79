"""A receipt: what became of a view in a system, said by the adapter or by the system itself.

    topic receipt --decode--> Receipt --take--> entity: confirmed, refused

Beside change. Of a system of which nothing is captured (behind an API, or taking files) it is the only confirmation; of
every system it says that a view was refused, or that the adapter stands still. The revision alone orders receipts: one
that comes again or late changes nothing (invariant 3). Names codes and paths, never a value (invariant 11).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from streams.core.change import Int64, Malformed
from streams.core.entity import APPLIED, SUPERSEDED, SYSTEM, Confirmed, Entity, Refusal, holds

CONFIRMED, REFUSED = "applied", "failed"
PAUSED, RESUMED = "paused", "resumed"
"""Of an adapter as a whole: nothing is delivered to its system until a person has mended something."""

STANDSTILL: Mapping[str, str] = {
    **dict.fromkeys(("target.credentials", "target.forbidden"), "target.credentials"),
    **dict.fromkeys(("target.unavailable", "target.busy", "target.unconfirmed"), "target.unavailable"),
}
"""Why an adapter stands still -> the finding's code; any other reason is `target.paused`."""

NEVER_SENT = Malformed("receipt.never_sent", "a revision that the system was never sent")
LONGEST = 300
"""Characters of a reason that a finding repeats."""


class Receipt(Struct, frozen=True):
    """A record of topic `receipt`, as far as the platform reads it."""

    system: str
    kind: str
    entity_id: str
    outcome: str
    revision: Int64 | None = None
    code: str = ""
    message: str = ""


_decode = msgspec.json.Decoder(Receipt).decode


def decode(key: bytes | None, value: bytes | None) -> Receipt | Malformed:
    """What a record of the topic says."""
    try:
        said = _decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Malformed("receipt.undecodable", "no receipt of an adapter")
    if key != said.entity_id.encode():
        return Malformed("change.key_mismatch", "receipt: the key is not the entity's id")
    return said


def take(entity: Entity, said: Receipt, at_us: int) -> str | Malformed:
    """Take it in: `applied`, `superseded`, or why it can't be."""
    revision = said.revision or 0
    if said.outcome == RESUMED:
        return APPLIED if holds(entity, said.system, revision) else SUPERSEDED
    if entity.kind != SYSTEM:
        sent = entity.sent.get(said.system)
        if sent is None or revision > sent.revision:
            return NEVER_SENT
    known = entity.confirmed.get(said.system)
    if known is not None and known.revision >= revision:
        return SUPERSEDED
    return (
        _confirm(entity, said, revision, at_us)
        if said.outcome == CONFIRMED
        else _refuse(entity, said, revision)
    )


def _confirm(entity: Entity, said: Receipt, revision: int, at_us: int) -> str:
    """Where a capture of it once stood stays known, so that a later one is newer."""
    known = entity.confirmed.get(said.system)
    position = known.position if known is not None else (0, 0, 0)
    entity.confirmed[said.system] = Confirmed(revision, position, 0, at_us, told=True)
    holds(entity, said.system, revision)
    return APPLIED


def _refuse(entity: Entity, said: Receipt, revision: int) -> str:
    known = entity.refused.get(said.system)
    if known is not None and known.revision >= revision:
        return SUPERSEDED
    since = _since(known, said.code, revision) if entity.kind == SYSTEM else 0
    entity.refused[said.system] = Refusal(revision, said.code, said.message[:LONGEST], since)
    return APPLIED


def _since(known: Refusal | None, code: str, revision: int) -> int:
    """The revision of an adapter's word is its time. Another process that stands still for the same reason goes on
    with what the one before began."""
    same = known is not None and STANDSTILL.get(known.code) == STANDSTILL.get(code)
    return (known.since or known.revision) if known is not None and same else revision
