"""What arrived in the sink topics: the ground truth of every experiment.

A view counts when a read-committed reader gets it, at the moment the broker appended it. No figure is taken from
what the measured processes say of themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.operate import reading
from streams.operate.reading import Place
from streams.settings import Settings

SINKS = ("sink.directory.provider", "sink.enrollment.provider", "sink.billing.provider")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One view: which transaction of the source it shows, and when the broker had it (epoch ms)."""

    sink: str
    entity_id: str
    prior: int
    revision: int
    at_ms: int
    committed_us: int


def stamp_on_arrival(settings: Settings, admin: AdminClient) -> None:
    """Let the broker's clock stamp the sinks' records: the same clock for every producer."""
    entry = ConfigEntry(
        "message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET
    )
    resources = [
        ConfigResource(ResourceType.TOPIC, settings.topic(sink), incremental_configs=[entry])
        for sink in SINKS
    ]
    for done in admin.incremental_alter_configs(resources).values():
        done.result(30)


def mark(settings: Settings) -> dict[Place, int]:
    """Where the sinks end now."""
    places = [(settings.topic(sink), number) for sink in SINKS for number in range(settings.partitions)]
    return {place: end for place, (_, end) in reading.ends(settings.kafka, places).items()}


def since(settings: Settings, start: dict[Place, int]) -> list[Arrival]:
    """The views that arrived after a mark, by time."""
    found = []
    for message in reading.read(settings.kafka, start):
        headers = dict(message.headers() or [])
        found.append(
            Arrival(
                str(message.topic()).removeprefix(settings.topic_prefix),
                (message.key() or b"").decode(),
                int(headers["concord-position"].split(b"/")[1]),
                int(headers["concord-revision"]),
                message.timestamp()[1],
                int(headers["concord-committed-us"]),
            )
        )
    return sorted(found, key=lambda arrival: arrival.at_ms)


def last_by_transaction(arrivals: Sequence[Arrival]) -> list[int]:
    """When each transaction's last view arrived, sorted (epoch ms)."""
    last: dict[int, int] = {}
    for arrival in arrivals:
        last[arrival.prior] = max(arrival.at_ms, last.get(arrival.prior, 0))
    return sorted(last.values())
