"""Records at given places, in the order the places are given: one read ahead where they stand in a row.

The register keeps places, never bytes; who shows a record or sends it back reads it here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from confluent_kafka import Consumer, Message, TopicPartition

from streams.errors import ConcordError, Unavailable
from streams.operate import reading
from streams.operate.quarantine.record import Origin, Quarantined, place_of, read

NEAR = 500
"""Up to so many records are read over; further away it is quicker to begin there anew."""


class Gone(ConcordError):
    """The record has outlived the topic's retention meanwhile (exit code 1)."""


def fetch(kafka: str, places: Iterable[Origin]) -> Iterator[Quarantined]:
    """The quarantined record at each place."""
    at: Origin | None = None
    with reading.consumer(kafka) as source:
        for place in places:
            if at is None or not _ahead(at, place):
                source.assign([TopicPartition(place.topic, place.partition, place.offset)])
            message = _read(source, place)
            at = place_of(message)
            found = read(message) if at == place else None
            if not isinstance(found, Quarantined):
                step = "list again: what retention has taken can only be re-read from its source"
                raise Gone("quarantine.gone", f"nothing stands at {place} any more", step)
            yield found


def _ahead(at: Origin, place: Origin) -> bool:
    same = (at.topic, at.partition) == (place.topic, place.partition)
    return same and at.offset < place.offset <= at.offset + NEAR


def _read(source: Consumer, place: Origin) -> Message:
    """The first record at the place or behind it."""
    deadline = time.monotonic() + reading.STALL
    while time.monotonic() < deadline:
        message = source.poll(0.1)
        if message is not None and message.error() is None and place_of(message) >= place:
            return message
    raise Unavailable(
        "kafka.unavailable", f"Kafka did not answer for {place}", "check that it runs: python -m stack status"
    )
