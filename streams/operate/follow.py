"""Following the sink topics from now on: which system is told what, and when it has applied it.

    sink.* --Follower.poll--> Delivery(system, entity, revision, changed fields, times) --applied--> the target's time

Joins no group and commits nothing; used by the demo to show each change where it arrives. Restricted values (S1)
never leave this module.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

import fastavro
from confluent_kafka import Message, TopicPartition

from connectors.sink import KINDS
from connectors.wire import HEAD, reader_schema
from streams.operate import reading
from streams.operate.applied import target
from streams.operate.masking import mask, restricted_paths
from streams.settings import Settings, need
from streams.systems import ADAPTED


@dataclass(frozen=True, slots=True)
class Delivery:
    """One view on its way to one system. Times in epoch microseconds; `applied_us` once the target holds it."""

    system: str
    kind: str
    entity_id: str
    revision: int
    changed: tuple[str, ...]
    content: Mapping[str, Any]
    committed_us: int
    recorded_us: int
    applied_us: int | None = None
    settled: bool = False
    """the target holds it, or it is withdrawn from a target that never had it"""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Which entity in which system."""
        return self.system, self.kind, self.entity_id


class Follower:
    """A consumer at the end of every sink topic."""

    def __init__(self, settings: Settings) -> None:
        kafka = need(settings.kafka, "CONCORD_KAFKA")
        self._topics = {
            settings.topic(f"sink.{system}.{kind}"): (system, kind)
            for system in ADAPTED
            for kind in KINDS[system]
        }
        places = [(topic, number) for topic in self._topics for number in range(settings.partitions)]
        ends = reading.ends(kafka, places)
        self._context = reading.consumer(kafka)
        self._consumer = self._context.__enter__()
        self._consumer.assign([TopicPartition(*place, high) for place, (_, high) in ends.items()])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def poll(self, seconds: float) -> list[Delivery]:
        """What arrived; waits at most so long."""
        messages = self._consumer.consume(500, seconds)
        return [self._delivery(m) for m in messages if m.error() is None and m.value() is not None]

    def _delivery(self, message: Message) -> Delivery:
        system, kind = self._topics[str(message.topic())]
        headers = {name: (value or b"").decode() for name, value in message.headers() or []}
        return Delivery(
            system,
            kind,
            (message.key() or b"").decode(),
            int(headers["concord-revision"]),
            tuple(filter(None, headers["concord-changed"].split(","))),
            _masked(system, kind, message.value() or b""),
            int(headers["concord-committed-us"]),
            message.timestamp()[1] * 1000,
        )


def _masked(system: str, kind: str, value: bytes) -> Mapping[str, Any]:
    """The view without its restricted values."""
    found = fastavro.schemaless_reader(io.BytesIO(value[HEAD:]), reader_schema(system, kind), None)
    assert isinstance(found, dict)
    return hide(found, restricted_paths(system, kind))


def hide(content: Mapping[str, Any], restricted: Iterable[str], prefix: str = "") -> dict[str, Any]:
    """A view with the values at these paths masked."""
    paths = frozenset(restricted)
    shown: dict[str, Any] = {}
    for name, value in content.items():
        path = prefix + name
        if isinstance(value, list) and value and isinstance(value[0], dict):
            shown[name] = [hide(item, paths, f"{path}[].") for item in value]
        else:
            shown[name] = mask(value) if path in paths else value
    return shown


def applied(settings: Settings, deliveries: Iterable[Delivery]) -> list[Delivery]:
    """The deliveries with what became of each in its target."""
    found = list(deliveries)
    times = {system: _times(settings, system, found) for system in {d.system for d in found}}
    return [_settled(d, times[d.system]) for d in found]


Times = Mapping[tuple[str, str, int], int | None]


def _settled(delivery: Delivery, times: Times) -> Delivery:
    key = delivery.kind, delivery.entity_id, delivery.revision
    return replace(delivery, applied_us=times.get(key), settled=key in times)


_SETTLED = """
select kind, entity_id, revision, (extract(epoch from applied_at) * 1e6)::bigint
from concord_applied where entity_id = any(%(ids)s)
union all
select kind, entity_id, revision, null from concord_pending where waits_for = '' and entity_id = any(%(ids)s)
"""


def _times(settings: Settings, system: str, deliveries: list[Delivery]) -> Times:
    with target(settings, system) as connection:
        ids = [d.entity_id for d in deliveries if d.system == system]
        rows = connection.execute(_SETTLED, {"ids": ids}).fetchall()
    return {(kind, entity_id, revision): at for kind, entity_id, revision, at in rows}
