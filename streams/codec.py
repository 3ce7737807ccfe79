"""Bytes of what leaves the platform: views and findings as Avro in the registry's wire format, and their headers.

Sits between the core's values and the producer. Schema ids are looked up once at the start; a worker never
registers a schema. Headers are CloudEvents 1.0 in binary mode, with W3C trace context; they never hold a
restricted field (invariant 11).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from streams import avro
from streams.core.advance import Emission
from streams.core.authority import CONFLICT, PROPOSE, REVERT
from streams.core.change import Position
from streams.core.edit import Edit
from streams.core.entity import Entity
from streams.core.finding import Event

Headers = list[tuple[str, str | bytes | None]]
_MAGIC = b"\x00"
REPLAYED = "concord-replayed"
"""Header of a record that was sent back from the quarantine: where it came from first."""


class AvroEncoder:
    """Encodes one subject's values: magic byte, schema id, Avro body."""

    def __init__(self, schema: Any, schema_id: int) -> None:
        self._body = avro.encoder(schema)
        self._prefix = _MAGIC + struct.pack(">I", schema_id)

    def encode(self, *values: Any) -> bytes:
        """The wire bytes of a record with these field values, in the schema's order."""
        return self._prefix + self._body(values)


class Encoders:
    """The encoders of all subjects, by topic name without prefix."""

    def __init__(self, schemas: Mapping[str, tuple[Any, int]]) -> None:
        self._encoders = {topic: AvroEncoder(schema, number) for topic, (schema, number) in schemas.items()}

    def view(self, emission: Emission) -> bytes:
        """The wire bytes of a view."""
        encoder = self._encoders[f"sink.{emission.sink}.{emission.kind}"]
        return encoder.encode(emission.revision, *astuple(emission.content))

    def finding(self, event: Event) -> bytes:
        """The wire bytes of a finding."""
        return self._encoders["finding"].encode(
            event.kind,
            event.entity_id,
            event.code,
            event.subject,
            event.state,
            event.severity,
            event.effect,
            event.message,
            event.action,
            position_text(event.opened),
            position_text(event.position),
            event.actor,
            event.due or None,
            [(e.system, e.record, e.row_id, position_text(e.position)) for e in event.evidence],
        )

    def rejection(self, entity: Entity, edit: Edit) -> bytes:
        """The wire bytes of what an edit's author is told."""
        return self._encoders[f"rejection.{edit.system}"].encode(
            edit.system,
            entity.kind,
            entity.id,
            _local_id(entity, edit.system),
            edit.record,
            edit.row_id,
            edit.field,
            OUTCOMES[entity.judged[edit.subject].policy],
            edit.rule.source,
            ", ".join(edit.rule.owners) or "platform",
            _shown(edit.current, edit.rule.public),
            _shown(edit.offered, edit.rule.public),
            position_text(edit.position),
        )


def _local_id(entity: Entity, system: str) -> str:
    """The system's own id of the entity: as it confirmed it, else of the row it has of it."""
    confirmed = entity.confirmed.get(system)
    if confirmed is not None:
        return confirmed.local_id
    return next(iter(entity.claims[system].get(entity.kind, ())), "")


OUTCOMES = {
    REVERT: "rejected",
    PROPOSE: "pending_approval",
    CONFLICT: "conflict",
}
"""What became of an edit -> the word of the authority matrix (section 2)."""


def _shown(value: Any, public: bool) -> str | None:
    """Invariant 11: a restricted value stays where it is."""
    return msgspec.json.encode(value).decode() if public and value is not None else None


def position_text(position: Position) -> str:
    """`epoch/prior_commit/lsn`."""
    return f"{position[0]}/{position[1]}/{position[2]}"


def decision_headers(emission: Emission, position: Position, committed_us: int, time_text: str) -> Headers:
    """The headers that all views of one decision share: CloudEvents, trace context, revision and origin."""
    subject = f"{emission.kind}/{emission.entity_id}"
    digest = hashlib.blake2b(f"{subject}/{emission.revision}".encode(), digest_size=24).hexdigest()
    return [
        ("ce_specversion", "1.0"),
        ("ce_source", "concord/decide"),
        ("ce_time", time_text),
        ("ce_subject", subject),
        ("content-type", "application/vnd.confluent.avro"),
        ("traceparent", f"00-{digest[:32]}-{digest[32:48]}-01"),
        ("concord-kind", emission.kind),
        ("concord-revision", str(emission.revision)),
        ("concord-position", position_text(position)),
        ("concord-committed-us", str(committed_us)),
    ]


def view_headers(shared: Headers, emission: Emission) -> Headers:
    """A view's headers; `ce_id` is the same on every replay."""
    return [
        *shared,
        ("ce_id", f"{emission.sink}/{emission.kind}/{emission.entity_id}/{emission.revision}"),
        ("ce_type", f"concord.view.{emission.sink}.{emission.kind}.v1"),
        ("concord-changed", ",".join(emission.changed)),
    ]


def quarantine_headers(headers: Headers, code: str, detail: str, origin: str) -> Headers:
    """The original headers, then why and where from (invariant 6)."""
    return [
        *headers,
        ("concord-code", code),
        ("concord-detail", detail),
        ("concord-origin", origin),
    ]
