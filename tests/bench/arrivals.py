"""What arrived in the sink topics: the ground truth of every experiment.

A view counts when a read-committed reader gets it, at the moment the broker appended it. No figure is taken from
what the measured processes say of themselves.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams.operate import reading
from streams.operate.reading import Place
from streams.settings import Settings

SINKS = ("sink.directory.provider", "sink.enrollment.provider", "sink.billing.provider")
STALL = 20.0
"""Seconds without progress after which an unapplied view counts as lost."""


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


def mark(settings: Settings, topics: Sequence[str] = SINKS) -> dict[Place, int]:
    """Where these topics end now."""
    places = [(settings.topic(name), number) for name in topics for number in range(settings.partitions)]
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


class Applied:
    """Whether one system has applied these views: asked of its own table `concord_applied`."""

    def __init__(self, dsn: str, system: str, views: Sequence[Arrival]) -> None:
        sink = f"sink.{system}.provider"
        newest: dict[str, int] = {}
        for view in views:
            if view.sink == sink:
                newest[view.entity_id] = max(view.revision, newest.get(view.entity_id, 0))
        self._wanted = (list(newest), list(newest.values()))
        self._connection = psycopg.connect(dsn, autocommit=True)
        self._seen = (0, time.monotonic())

    def missing(self) -> int:
        """Views that are not applied yet; an entity's newer view stands for its older ones."""
        count = len(self._wanted[0]) - int(self._ask("count(*)"))
        if count != self._seen[0]:
            self._seen = (count, time.monotonic())
        return count

    def stalled(self) -> bool:
        """Whether the count has not moved for long: what is missing then never comes."""
        return time.monotonic() - self._seen[1] > STALL

    def last(self) -> float:
        """When the last of them was applied (seconds since the epoch); 0 when none was asked for."""
        return float(self._ask("coalesce(extract(epoch from max(a.applied_at)), 0)"))

    def moments(self) -> dict[tuple[str, int], float]:
        """(entity id, revision) -> when it was applied, for what is the newest there."""
        asked = "select entity_id, revision, extract(epoch from applied_at) from concord_applied where kind = 'provider'"
        return {(name, revision): float(at) for name, revision, at in self._connection.execute(asked)}

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _ask(self, what: str) -> Any:
        asked = f"""select {what} from concord_applied a
            join unnest(%s::text[], %s::bigint[]) as w (id, revision)
            on a.entity_id = w.id and a.revision >= w.revision where a.kind = 'provider'"""
        found = self._connection.execute(asked, self._wanted).fetchone()
        assert found is not None  # an aggregate has one row
        return found[0]
