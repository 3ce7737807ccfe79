"""A consumer of the sink topics reads again from an earlier moment: `concord rewind`.

    group's offsets, the broker's offsets at a moment --> Move a partition --apply--> the group's offsets altered

Only for a group without members, never forward, and never for the platform's own groups: an adapter's place is in its
target. Nothing is altered without `apply`; records are only read again, none is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import ConsumerGroupState, ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.problem import nearest
from streams.errors import ConcordError, EnvironmentFault, InvalidInput
from streams.kafka import broker
from streams.operate import contracts, reading
from streams.operate.reading import Place
from streams.settings import Settings, need
from streams.systems import ADAPTERS

BEGINNING = "beginning"
TIMEOUT = 30.0
_ALONE = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


@dataclass(frozen=True, slots=True)
class Move:
    """One partition. `at_most`: records that come again; compacted ones and transaction markers took offsets, too."""

    partition: int
    now: int
    to: int
    at_most: int


@dataclass(frozen=True, slots=True)
class Rewound:
    """Where a group goes; `kept`: partitions where it stands there or earlier already, or has no place."""

    group: str
    topic: str
    to: str
    moves: list[Move]
    kept: list[int]
    applied: bool

    @property
    def at_most(self) -> int:
        """Records that come again, over all partitions."""
        return sum(move.at_most for move in self.moves)


def rewind(settings: Settings, group: str, topic: str, to: str, *, apply: bool) -> Rewound:
    """What would be read again, or with `apply` will be."""
    name = settings.topic(contracts.of(topic).topic)
    _refuse_own(settings, group)
    moment = _moment(to)
    admin = AdminClient({**broker(need(settings.kafka, "CONCORD_KAFKA")), "log_level": 0})
    _require_alone(admin, group)
    now = _committed(admin, group, name, settings)
    ends = reading.ends(settings.kafka, [(name, p) for p in range(settings.partitions)])
    found = list(moves(now, _targets(settings, ends, moment), ends))
    kept = sorted(set(range(settings.partitions)) - {move.partition for move in found})
    if apply and found:
        _require_alone(admin, group)
        _alter(admin, group, [TopicPartition(name, move.partition, move.to) for move in found])
    return Rewound(group, name, to, found, kept, apply)


def moves(
    now: Mapping[Place, int], to: Mapping[Place, int], ends: Mapping[Place, tuple[int, int]]
) -> Iterator[Move]:
    """Those partitions that go back; pure. Where a group has no place, it begins as it is set to."""
    for place, at in sorted(now.items()):
        first, end = ends[place]
        if to[place] < min(at, end):
            yield Move(place[1], at, to[place], min(at, end) - max(to[place], first))


def _moment(to: str) -> int | None:
    """Epoch ms; None is the beginning."""
    if to == BEGINNING:
        return None
    try:
        found = datetime.fromisoformat(to)
    except ValueError:
        step = f"2026-11-22T14:00:00Z (UTC without a zone), or {BEGINNING}"
        raise InvalidInput("rewind.to", f"{to!r} is no time stamp", step) from None
    found = found.replace(tzinfo=found.tzinfo or UTC)
    if found > datetime.now(UTC):
        raise InvalidInput("rewind.future", f"{to} is yet to come", "rewind goes back only")
    return int(found.timestamp() * 1_000)


def _targets(
    settings: Settings, ends: Mapping[Place, tuple[int, int]], moment: int | None
) -> dict[Place, int]:
    """The first record at or after the moment; the end where there is none."""
    if moment is None:
        return {place: low for place, (low, _) in ends.items()}
    found = reading.since(settings.kafka, dict.fromkeys(ends, moment))
    return {place: found.get(place, high) for place, (_, high) in ends.items()}


def _refuse_own(settings: Settings, group: str) -> None:
    own = {settings.group, *(settings.topic(f"concord-{system}") for system in ADAPTERS)}
    if group in own or any(group.startswith(f"{name}.") for name in own):
        step = "concord reassert sends a system's views again"
        raise InvalidInput(
            "rewind.own", f"{group} is the platform's own: its place is not in Kafka alone", step
        )


def _require_alone(admin: AdminClient, group: str) -> None:
    described = _result(admin.describe_consumer_groups([group])[group])
    if described.state not in _ALONE or described.members:
        who = ", ".join(sorted({member.client_id for member in described.members})) or described.state.name
        said = f"{group} is active ({len(described.members)} members: {who})"
        raise ConcordError("rewind.active", said, "stop its consumers, then repeat")


def _committed(admin: AdminClient, group: str, topic: str, settings: Settings) -> dict[Place, int]:
    """The group's places in the topic; InvalidInput for a group nobody knows."""
    asked = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
    listed = _result(asked[group]).topic_partitions or []
    if not listed:
        known = [found.group_id for found in _result(admin.list_consumer_groups()).valid]
        said = f"the group {group!r} has no place in any topic"
        raise InvalidInput("rewind.unknown", said, nearest(group, known) if known else "there is no group")
    own = [p for p in listed if p.topic == topic and p.offset >= 0 and p.partition < settings.partitions]
    if not own:
        read = ", ".join(sorted({p.topic for p in listed}))
        raise InvalidInput("rewind.unread", f"{group} has no place in {topic}", f"it reads: {read}")
    return {(p.topic, p.partition): p.offset for p in own}


def _alter(admin: AdminClient, group: str, places: Iterable[TopicPartition]) -> None:
    asked = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, list(places))])
    for place in _result(asked[group]).topic_partitions:
        if place.error is not None:
            said = f"{place.topic}[{place.partition}] was not altered: {place.error.str()}"
            raise EnvironmentFault(
                "rewind.refused", said, "may this user alter the group's offsets? then repeat"
            )


def _result(asked: Future[Any]) -> Any:
    try:
        return asked.result(TIMEOUT)
    except KafkaException as fault:
        step = "check that the broker runs, and that this user may see and alter the group"
        raise EnvironmentFault("rewind.unanswered", f"Kafka: {fault.args[0].str()}", step) from None
