"""What a record of each input topic says, and of which entity: the first step of the decide hop.

    cdc.* claims.* clock --> [read] --> Change, Malformed, Control, Holder, Tick ... --> aggregate

A record that says nothing we know is a value (`Malformed`), never an exception. Nothing here changes anything.
"""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from streams.agents import control
from streams.agents.context import Context
from streams.agents.rekey import REKEYED_KINDS, REKEYED_SYSTEMS, local_key
from streams.core import rekeyed, witness
from streams.core.change import Canary, Change, Control, Decoded, Malformed, Position
from streams.core.decode import Decoder

log = structlog.get_logger(__name__)

NPI_TOPIC = "claims.npi"
WITNESS_TOPIC = "claims.witness"
CLOCK_TOPIC = "clock"
CLAIMS = "claims."


class Holder(msgspec.Struct, frozen=True):
    """A record of `claims.npi`: an entity says that it holds an NPI, or no longer does."""

    npi: str
    kind: str
    id: str
    holds: bool
    position: Position


_decode_holder = msgspec.json.Decoder(Holder).decode


def read(context: Context, record: Any) -> tuple[bytes | None, Any]:
    """The key of the entity a record is about, if any, and what it says."""
    try:
        topic = record.topic.removeprefix(context.prefix)
        decoder = context.decoders.get(topic.removeprefix("cdc."))
        if decoder is not None:
            return _captured(decoder, topic.removeprefix("cdc."), record)
        return _beside_capture(topic, record)
    except Exception as error:  # a bug must neither lose the record nor stop the partition
        log.error("decide.decode_failed", topic=record.topic, offset=record.offset, error=error_name(error))
        return None, Malformed("internal.decode_failed", error_name(error))


def _beside_capture(topic: str, record: Any) -> tuple[bytes | None, Any]:
    if topic == CLOCK_TOPIC:
        return None, control.decode(record.value, record.timestamp)
    if topic == NPI_TOPIC:
        return _holder(record.value)
    if topic == WITNESS_TOPIC:
        return _named(witness.claim(record.key, record.value))
    if topic.startswith(CLAIMS):
        return _named(rekeyed.decode(record.key, record.value))
    return None, Malformed("change.topic_unknown", f"no mapping for topic {topic}")


def _captured(decoder: Decoder, system: str, record: Any) -> tuple[bytes | None, Decoded]:
    """A row under the id its system gave it: the master's, or one of the system's own."""
    said = decoder.decode(record.key, record.value, record.headers)
    if isinstance(said, Canary):
        return None, said
    if system not in REKEYED_SYSTEMS or isinstance(said, Control) or said.kind not in REKEYED_KINDS:
        return _named(said)
    if isinstance(said, Malformed):
        local = replace(said, kind=f"{system}.{said.kind}")
        return _named(local)
    return local_key(said), said


def _named(said: Decoded) -> tuple[bytes | None, Decoded]:
    """What was said, and the key of the entity it is about, if any."""
    if isinstance(said, Control | Canary) or not said.entity_id or not said.kind:
        return None, said
    return f"{said.kind}/{said.entity_id}".encode(), said


def _holder(value: bytes | None) -> tuple[bytes | None, Holder | Malformed]:
    try:
        holder = _decode_holder(value or b"")
    except msgspec.DecodeError:
        return None, Malformed("npi.undecodable", "no announcement of an NPI's holder")
    return f"npi/{holder.npi}".encode(), holder


def failed(said: Any, error: Exception) -> Malformed:
    """A change that a defect of ours kept out: whose history has a gap, and since when."""
    if not isinstance(said, Change):
        return Malformed("internal.take_failed", error_name(error))
    return Malformed(
        "internal.take_failed",
        error_name(error),
        said.kind,
        said.entity_id,
        said.record,
        said.row_id,
        said.system,
        said.position,
        said.initial,
        said.txid,
        said.committed_us,
        said.captured_us,
    )


def error_name(error: Exception) -> str:
    """The kind of error only: its text may hold a value (invariant 11)."""
    return type(error).__name__
