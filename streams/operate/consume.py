"""Looking at a topic as a consumer sees it: records decoded by the registry, their headers, restricted values masked.

    topic --sample--> its newest records        topic --tail--> each new one, as it comes

Reads committed records only, joins no group and commits nothing. A record that can't be decoded is shown as such: it is
what somebody who looks is looking for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Message, TopicPartition

from connectors.wire import HEAD, MAGIC, SchemaOf, registry_schemas
from schemas import registry
from schemas.avro_type import fields, parse
from schemas.problem import nearest
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import reading
from streams.operate.follow import hide
from streams.settings import Settings, need

WAIT = 0.5


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it is shown. `value` is null for a tombstone, and where `problem` says why it can't be read."""

    topic: str
    partition: int
    offset: int
    at_ms: int
    key: str
    headers: Mapping[str, str]
    schema_id: int | None
    schema: str
    value: Mapping[str, Any] | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which records are shown: of one provider (NPI, or the record's key), with one field changed."""

    provider: str = ""
    changed: str = ""

    def __call__(self, record: Record) -> bool:
        value = record.value or {}
        if self.provider and self.provider not in (record.key, value.get("npi")):
            return False
        names = record.headers.get("concord-changed", "").split(",")
        return not self.changed or self.changed in names


EVERY = Wanted()


def known() -> list[str]:
    """The topics whose records have a schema."""
    return sorted({file.topic for file in registry.schema_files()})


def sample(settings: Settings, topic: str, count: int) -> list[Record]:
    """The newest `count` records of a topic, oldest first; of each partition, the newest are looked at."""
    name, decode, kafka = _opened(settings, topic)
    ends = reading.ends(kafka, _places(kafka, name))
    reach = 2 * count + 10  # a transaction's marker takes an offset, too
    starts = {place: max(low, high - reach) for place, (low, high) in ends.items() if high > low}
    found = sorted(map(decode, reading.read(kafka, starts)), key=lambda r: (r.at_ms, r.partition, r.offset))
    return found[-count:]


def tail(
    settings: Settings, topic: str, wanted: Wanted = EVERY, *, beginning: bool = False
) -> Iterator[Record]:
    """Each new record as it comes, for ever; from the beginning, those that are there come first."""
    name, decode, kafka = _opened(settings, topic)
    places = _places(kafka, name)
    ends = {place: high for place, (_, high) in reading.ends(kafka, places).items()}
    starts = dict.fromkeys(places, OFFSET_BEGINNING) if beginning else ends
    with reading.consumer(kafka) as source:
        source.assign([TopicPartition(*place, offset) for place, offset in starts.items()])
        while True:
            messages: Iterable[Message] = source.consume(500, WAIT)
            yield from filter(wanted, (decode(m) for m in messages if m.error() is None))


def _opened(settings: Settings, topic: str) -> tuple[str, Decode, str]:
    """(its full name, what decodes its records, the broker); InvalidInput for a topic without schema."""
    if topic not in known():
        said = f"no topic with a schema is called {topic!r}"
        raise InvalidInput("consume.topic_unknown", said, nearest(topic, known()))
    client = registry.connect(need(settings.registry, "CONCORD_REGISTRY"))
    return settings.topic(topic), Decode(registry_schemas(client)), need(settings.kafka, "CONCORD_KAFKA")


def _places(kafka: str, name: str) -> list[reading.Place]:
    with reading.consumer(kafka) as source:
        partitions = source.list_topics(name, timeout=reading.TIMEOUT).topics[name].partitions
    if not partitions:
        raise EnvironmentFault("kafka.topic_missing", f"{name} is not there", "concord topics apply")
    return [(name, number) for number in partitions]


class Decode:
    """Message -> Record, each by the schema it was written with; a schema is fetched once."""

    def __init__(self, schema_of: SchemaOf) -> None:
        self._schema_of = schema_of
        self._known: dict[int, tuple[Any, str, frozenset[str]]] = {}

    def __call__(self, message: Message) -> Record:
        value = message.value()
        schema_id, schema, content, problem = None, "", None, ""
        if value is not None:
            try:
                schema_id, schema, content = self._content(value)
            except (ValueError, EOFError, KeyError, IndexError, TypeError) as fault:
                problem = f"can't be decoded: {type(fault).__name__}"
        return Record(
            str(message.topic()),
            int(message.partition() or 0),
            int(message.offset() or 0),
            message.timestamp()[1],
            (message.key() or b"").decode(errors="replace"),
            {name: (text or b"").decode(errors="replace") for name, text in message.headers() or []},
            schema_id,
            schema,
            content,
            problem,
        )

    def _content(self, value: bytes) -> tuple[int, str, Mapping[str, Any]]:
        if len(value) < HEAD or value[0] != MAGIC:
            raise ValueError("no wire format header")
        number = int.from_bytes(value[1:HEAD], "big")
        writer, name, restricted = self._schema(number)
        content = fastavro.schemaless_reader(io.BytesIO(value[HEAD:]), writer, None)
        assert isinstance(content, dict)
        return number, name, hide(content, restricted)

    def _schema(self, number: int) -> tuple[Any, str, frozenset[str]]:
        if number not in self._known:
            schema = self._schema_of(number)
            if schema is None:
                raise KeyError("unknown schema id")
            tree = parse(schema)
            restricted = frozenset(path for path, field in fields(tree) if field.cls == "S1")
            full = f"{tree.namespace}.{tree.name}".lstrip(".")
            self._known[number] = fastavro.parse_schema(dict(schema)), full, restricted
        return self._known[number]


def line(record: Record) -> str:
    """One JSON object on one line."""
    names = (
        "topic",
        "partition",
        "offset",
        "at_ms",
        "key",
        "headers",
        "schema_id",
        "schema",
        "value",
        "problem",
    )
    return json.dumps({name: getattr(record, name) for name in names}, ensure_ascii=False)
