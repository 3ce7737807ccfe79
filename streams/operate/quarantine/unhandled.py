"""How many quarantined records nobody has replayed or discarded yet: what `concord status` shows beside the sum.

Folds the topic as `list` does, without looking at what is in the records, and goes on where it stopped: who asks again
reads only what is new. Bounded: while there is more to read than can be read in one look, there is no number rather
than a wrong one.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Message

from streams.errors import ConcordError
from streams.operate import reading
from streams.operate.quarantine.prospect import Prospects
from streams.operate.quarantine.record import read
from streams.operate.quarantine.register import Register, partitions
from streams.operate.reading import Onward
from streams.settings import Settings

PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Unhandled:
    """How many wait, in all and by code; None with the reason when nobody can say."""

    count: int | None
    why: str = ""
    by_code: Mapping[str, int] = field(default_factory=dict)


class Waiting:
    """The open records of one topic, for as long as somebody asks. With prospects, what is in them is looked at too."""

    def __init__(self, settings: Settings, prospects: Prospects | None = None) -> None:
        self._kafka, self._topic = settings.kafka, settings.topic("quarantine")
        self._register = Register(prospects, self._topic)
        self._onward: Onward | None = None
        self._open: Counter[str] | None = Counter()
        """as counted last; None: something has come or gone since"""

    def look(self) -> Unhandled:
        """Count what is open."""
        try:
            codes = self.fold(self._news())
        except ConcordError as fault:
            return Unhandled(None, fault.message)
        except TimeoutError:
            return Unhandled(None, f"topic quarantine takes longer than {PATIENCE:.0f} s to read")
        return Unhandled(codes.total(), "", dict(codes.most_common()))

    def fold(self, messages: Iterable[Message], patience: float = PATIENCE) -> Counter[str]:
        """How many of all records so far are open, by code; TimeoutError when these take too long."""
        deadline = time.monotonic() + patience
        for message in messages:
            if time.monotonic() > deadline:
                raise TimeoutError
            self._open = None
            self._register.take(read(message))
        if self._open is None:
            self._open = self._register.open_codes()
        return self._open

    def forget(self, partition: int, before: int) -> None:
        """Retention has taken what stood before this offset."""
        if self._register.forget(partition, before):
            self._open = None

    def close(self) -> None:
        """Delete what is kept."""
        self._register.close()

    def _news(self) -> Iterable[Message]:
        numbers = partitions(self._kafka, self._topic)
        if self._onward is None:
            self._onward = Onward(self._kafka, reading.beginnings(self._topic, numbers))
        kept = reading.ends(self._kafka, [(self._topic, number) for number in numbers])
        for (_, number), (low, _) in kept.items():
            self.forget(number, low)
        return self._onward.news()
