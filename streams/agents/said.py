"""What a record of each input topic says, and of which entity: the first step of the decide hop.

    cdc.* claims.* clock receipt --> [read] --> Change, Malformed, Control, Holder, Receipt, Tick ... --> aggregate

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
from streams.core import receipt, rekeyed, witness
from streams.core.change import Canary, Change, Control, Decoded, Malformed, Position
from streams.core.decode import Decoder
from streams.core.entity import SYSTEM
from streams.core.receipt import Receipt
from streams.systems import TAKEN

log = structlog.get_logger(__name__)

NPI_TOPIC = "claims.npi"
WITNESS_TOPIC = "claims.witness"
CLOCK_TOPIC = "clock"
RECEIPT_TOPIC = "receipt"
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
        return _beside_capture(context, topic, record)
    except Exception as error:  # a bug must neither lose the record nor stop the partition
        log.error("decide.decode_failed", topic=record.topic, offset=record.offset, error=error_name(error))
        return None, Malformed("internal.decode_failed", error_name(error))


def _beside_capture(context: Context, topic: str, record: Any) -> tuple[bytes | None, Any]:
    if topic == CLOCK_TOPIC:
        return _told(control.decode(record.value, record.timestamp))
    if topic == NPI_TOPIC:
        return _holder(record.value)
    if topic == WITNESS_TOPIC:
        return _named(witness.claim(record.key, record.value))
    if topic == RECEIPT_TOPIC:
        return _receipt(context, receipt.decode(record.key, record.value))
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


def _receipt(
    context: Context, said: Receipt | Malformed
) -> tuple[bytes | None, Receipt | Control | Malformed]:
    """A receipt that the platform heeds; every other one is for people to read."""
    if isinstance(said, Malformed):
        return None, said
    if not _heeded(context, said):
        return None, Control(said.system, RECEIPT_TOPIC)
    return f"{said.kind}/{said.entity_id}".encode(), said


def _heeded(context: Context, said: Receipt) -> bool:
    """What a captured system holds says its capture alone; `exported` says that nobody holds it yet."""
    if said.kind == SYSTEM:
        return said.outcome in (receipt.PAUSED, receipt.RESUMED)
    if said.revision is None or said.kind not in TAKEN.get(said.system, ()):
        return False
    confirms = said.outcome == receipt.CONFIRMED and said.system not in context.decoders
    return confirms or said.outcome == receipt.REFUSED


def _told(said: control.Said | Malformed) -> tuple[bytes | None, Any]:
    """What a control record says, and of which entity, if it is about one."""
    if isinstance(said, control.OF_AN_ENTITY):
        return f"{said.kind}/{said.entity}".encode(), said
    return None, said


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
