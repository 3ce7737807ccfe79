"""What follows, each for its topic: the last step of the decide hop.

    Decision, findings, quarantined records, entities --> sink.* reference finding claims.npi quarantine clock entity

Names topics, keys and headers; decides nothing and keeps nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from streams import codec
from streams.agents.context import Context
from streams.agents.said import CLOCK_TOPIC, NPI_TOPIC, Holder
from streams.core import finding
from streams.core.advance import Decision, Emission
from streams.core.change import Malformed
from streams.core.entity import Entity, Touch, newest
from streams.engine.producer import Output

encode_json = msgspec.json.Encoder().encode


class Address:
    """The outputs of one partition."""

    def __init__(self, number: int, context: Context) -> None:
        self._number = number
        self._prefix = context.prefix
        self._encoders = context.encoders

    def decision(
        self, key: bytes, entity: Entity, touch: Touch | None, decision: Decision, decided_us: int
    ) -> list[Output]:
        """What follows from a decision."""
        outputs = self.findings(decision.findings)
        position = touch.position if touch else newest(entity)
        if decision.emissions:
            committed_us = touch.committed_us if touch else decided_us
            shared = codec.decision_headers(
                decision.emissions[0], position, committed_us, _time_of(decided_us // 1_000)
            )
            outputs += [self._view(emission, shared) for emission in decision.emissions]
        outputs += self._rejections(entity, decision)
        if decision.reference is not None:
            outputs.append(Output(self._prefix + "reference", key, decision.reference, [], self._number))
        # In an order of the entity's own: what touched it last stands in another system's log each time.
        place = (*newest(entity)[:2], decided_us)
        for npi, holds in decision.announcements:
            value = encode_json(Holder(npi, entity.kind, entity.id, holds, place))
            outputs.append(Output(self._prefix + NPI_TOPIC, npi.encode(), value, []))
        return outputs

    def _view(self, emission: Emission, shared: codec.Headers) -> Output:
        topic = f"{self._prefix}sink.{emission.sink}.{emission.kind}"
        headers = codec.view_headers(shared, emission)
        return Output(topic, emission.entity_id.encode(), self._encoders.view(emission), headers)

    def _rejections(self, entity: Entity, decision: Decision) -> list[Output]:
        """Whoever was overruled can read why, beside the system's own topics."""
        return [
            Output(
                f"{self._prefix}rejection.{edit.system}",
                entity.id.encode(),
                self._encoders.rejection(entity, edit),
                [],
            )
            for edit in decision.overruled
            if entity.judged[edit.subject].policy in codec.OUTCOMES
        ]

    def findings(self, events: list[finding.Event]) -> list[Output]:
        """What happened to findings."""
        return [self._finding(event) for event in events]

    def _finding(self, event: finding.Event) -> Output:
        identity = f"{event.kind}/{event.entity_id} {event.code} {event.subject}".encode()
        return Output(self._prefix + "finding", identity, self._encoders.finding(event), [])

    def quarantined(self, record: Any, malformed: Malformed) -> Output:
        """Invariant 6: the original bytes, headers and the reason."""
        origin = f"{record.topic}/{record.partition}/{record.offset}"
        headers = codec.quarantine_headers(list(record.headers), malformed.code, malformed.detail, origin)
        return Output(self._prefix + "quarantine", record.key, record.value, headers)

    def clock(self, key: bytes, value: bytes, partition: int) -> Output:
        """A control record for one partition of `clock`."""
        return Output(self._prefix + CLOCK_TOPIC, key, value, [], partition)

    def entity(self, key: bytes, value: bytes) -> Output:
        """An entity as it stands after the unit."""
        return Output(self._prefix + "entity", key, value, [], self._number)

    def state(self, value: bytes) -> Output:
        """The partition's own state."""
        return self.entity(f"partition/{self._number}".encode(), value)


@lru_cache(16)
def _time_of(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1e3, UTC).isoformat(timespec="milliseconds")
