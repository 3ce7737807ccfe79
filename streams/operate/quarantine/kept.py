"""The quarantine's register kept open, for who shows it again and again: the console.

    topic quarantine --look, by one thread--> Register --listing, named--> every page

Reads only what is new. Whoever shows it waits for a slice of a look at most, never for a whole one.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterable

from confluent_kafka import Message

from streams.operate.quarantine import ask
from streams.operate.quarantine.ask import Listing, Shown
from streams.operate.quarantine.chosen import Asked, Chosen, choose, origin
from streams.operate.quarantine.prospect import Prospects
from streams.operate.quarantine.unhandled import PATIENCE, Waiting
from streams.settings import Settings

SLICE = 500


class Kept(Waiting):
    """One register, filled by one thread and shown by many."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, Prospects(settings))
        self._settings = settings
        self._lock = threading.Lock()
        self._listings: dict[tuple[Chosen, int], Listing] = {}

    def fold(self, messages: Iterable[Message], patience: float = PATIENCE) -> Counter[str]:
        """As Waiting does, slice by slice."""
        source, codes = iter(messages), Counter[str]()
        while True:
            part = list(itertools.islice(source, SLICE))
            with self._lock:
                codes = super().fold(part, patience)
                if part:
                    self._listings.clear()
            if not part:
                return codes

    def forget(self, partition: int, before: int) -> None:
        """Retention has taken what stood before this offset."""
        with self._lock:
            super().forget(partition, before)
            if self._open is None:
                self._listings.clear()

    def listing(self, asked: Asked, limit: int) -> Listing:
        """What `concord quarantine list` says."""
        chosen = choose(asked, self._settings)
        with self._lock:
            if (chosen, limit) not in self._listings:
                self._listings[chosen, limit] = ask.listing(self._register, chosen, limit)
            return self._listings[chosen, limit]

    def show(self, text: str) -> Shown:
        """What `concord quarantine show` says."""
        wanted = origin(text)
        with self._lock:
            item, attempts = ask.named(self._register, wanted)
        return ask.whole(self._settings, item, attempts)
