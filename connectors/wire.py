"""Sink records to views: Confluent wire format, Avro, headers.

    Kafka message --decode--> View | Undecodable | None (a tombstone)

The schema is fetched by id once; the reader's schema is the contract this code was built for, so a newer
writer's fields are left out and its missing ones take their defaults (FULL_TRANSITIVE). Never registers one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import fastavro
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message
from confluent_kafka.schema_registry import SchemaRegistryClient, SchemaRegistryError

from connectors.sink import Row, View, kind_of
from schemas.registry import NOT_FOUND, newest_view
from streams.errors import ConcordError, Unavailable
from streams.systems import TAKEN

UNDECODABLE = "view.undecodable"
MAGIC = 0
HEAD = 5  # magic byte, schema id in four bytes

SchemaOf: TypeAlias = Callable[[int], "Row | None"]


@dataclass(frozen=True, slots=True)
class Undecodable:
    """A sink record no view can be made of; its receipt says why, never what it held."""

    kind: str
    entity_id: str
    message: str
    topic: str
    partition: int
    offset: int
    revision: int | None = None
    code: str = UNDECODABLE


class Decoder:
    """Decodes the sink records of one system; `schema_of` answers None for an id nobody registered."""

    def __init__(self, system: str, schema_of: SchemaOf) -> None:
        self._system = system
        self._schema_of = schema_of
        self._writers: dict[int, Any] = {}

    def decode(self, message: Message) -> View | Undecodable | None:
        """Raises Unavailable when the registry cannot be asked: that is no fault of the record."""
        if message.value() is None:
            return None
        kind, key = kind_of(message.topic()), _key(message)
        try:
            content = self._content(kind, message.value())
            return view_of(kind, key, content, message)
        except ConcordError:
            raise
        except Exception as fault:  # any bytes may stand here, and decoders raise what they like
            return _undecodable(
                kind, key, f"not a {self._system} {kind} view: {type(fault).__name__}", message
            )

    def _content(self, kind: str, value: bytes) -> Row:
        if len(value) < HEAD or value[0] != MAGIC:
            raise ValueError("no wire format header")
        writer = self._writer(int.from_bytes(value[1:HEAD], "big"))
        reader = reader_schema(self._system, kind)
        content = fastavro.schemaless_reader(io.BytesIO(value[HEAD:]), writer, _unless_same(writer, reader))
        if not isinstance(content, dict):
            raise TypeError("not a record")
        return content

    def _writer(self, schema_id: int) -> Any:
        if schema_id not in self._writers:
            schema = self._schema_of(schema_id)
            if schema is None:
                raise KeyError("unknown schema id")
            self._writers[schema_id] = fastavro.parse_schema(schema)
        return self._writers[schema_id]


def view_of(kind: str, key: str, content: Row, message: Message) -> View:
    if content.get("entity_id", content.get(f"{kind}_id")) != key:
        raise ValueError("the key is not the entity's id")
    headers = _headers(message)
    committed = headers.get("concord-committed-us", b"").decode()
    return View(
        kind=kind,
        entity_id=key,
        revision=int(content["revision"]),
        content=content,
        topic=message.topic(),
        partition=message.partition(),
        offset=message.offset(),
        committed_us=int(committed) if committed.isdigit() else None,
        position=headers.get("concord-position", b"").decode(),
        written_ms=_written_ms(message),
    )


def _written_ms(message: Message) -> int | None:
    kind, at = message.timestamp()
    return at if kind != TIMESTAMP_NOT_AVAILABLE else None


@cache
def reader_schema(system: str, kind: str) -> Any:
    """The contract of this version of the code."""
    return fastavro.parse_schema(json.loads(newest_view(f"{TAKEN.get(system, {}).get(kind, system)}.{kind}")))


def registry_schemas(client: SchemaRegistryClient) -> SchemaOf:
    """Schemas by id from the registry; no such id is None, no answer is Unavailable."""

    def schema_of(schema_id: int) -> Row | None:
        try:
            text = client.get_schema(schema_id).schema_str
        except SchemaRegistryError as fault:
            if {fault.error_code, fault.http_status_code} & set(NOT_FOUND):
                return None
            raise _unavailable(fault) from fault
        except Exception as fault:  # the client raises its HTTP library's own errors
            raise _unavailable(fault) from fault
        schema: Row = json.loads(text or "{}")
        return schema

    return schema_of


def _unavailable(fault: Exception) -> Unavailable:
    message = f"the schema registry does not answer: {type(fault).__name__}"
    return Unavailable("registry.unavailable", message, "the adapter retries by itself; check the registry")


def _unless_same(writer: Any, reader: Any) -> Any:
    """Resolving costs time; equal schemas need none."""
    return None if writer == reader else reader


def _key(message: Message) -> str:
    key = message.key()
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key or "")


def _headers(message: Message) -> Mapping[str, bytes]:
    return {name: value for name, value in message.headers() or [] if isinstance(value, bytes)}


def _undecodable(kind: str, key: str, why: str, message: Message) -> Undecodable:
    return Undecodable(kind, key, why, message.topic(), message.partition(), message.offset())
