"""How many quarantined records nobody has replayed or discarded yet: what `concord status` shows beside the sum.

Folds the topic as `list` does, without looking at what is in the records. Bounded: a topic too long to read meanwhile
gives no number rather than a wrong one. While nothing is added, the last answer holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache

from confluent_kafka import Message

from streams.errors import ConcordError
from streams.operate import reading
from streams.operate.quarantine.record import read
from streams.operate.quarantine.register import Register, partitions
from streams.settings import Settings

PATIENCE = 5.0

Ends = tuple[tuple[int, int, int], ...]
"""(partition, first offset, end offset)"""


@dataclass(frozen=True, slots=True)
class Unhandled:
    """How many wait; None with the reason when nobody can say."""

    count: int | None
    why: str = ""


def unhandled(settings: Settings) -> Unhandled:
    """Count what is open."""
    topic = settings.topic("quarantine")
    try:
        places = [(topic, number) for number in partitions(settings.kafka, topic)]
        ends = reading.ends(settings.kafka, places)
        return Unhandled(_count(settings.kafka, topic, tuple((n, *ends[topic, n]) for _, n in places)))
    except ConcordError as fault:
        return Unhandled(None, fault.message)
    except TimeoutError:
        return Unhandled(None, f"topic quarantine takes longer than {PATIENCE:.0f} s to read")


@lru_cache(1)
def _count(kafka: str, topic: str, ends: Ends) -> int:
    starts = {(topic, number): low for number, low, high in ends if high > low}
    return fold(reading.read(kafka, starts), topic)


def fold(messages: Iterable[Message], topic: str, patience: float = PATIENCE) -> int:
    """How many of these records are open; TimeoutError when they take too long."""
    deadline = time.monotonic() + patience
    with closing(Register(None, topic)) as register:
        for message in messages:
            if time.monotonic() > deadline:
                raise TimeoutError
            register.take(read(message))
        return register.count_open()
