"""Keeps the index at the end of topic `finding`, and of what people say: a thread beside whoever reads it.

    topic finding --Onward--> Index.take          table handling --words--> Index.hear

Says how far it is. A Kafka or a database that does not answer is told, and asked again; what is known meanwhile stays.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator

import structlog
from confluent_kafka import Message

from streams.errors import ConcordError
from streams.operate import reading
from streams.operate.reading import Onward
from streams.operate.worklist import handling
from streams.operate.worklist.case import Progress
from streams.operate.worklist.index import Index, Told
from streams.settings import Settings, need

BATCH = 5_000
EVERY = 1.0
log = structlog.get_logger("concord.console")


class Follower:
    """Reads for one index until it is closed."""

    def __init__(self, settings: Settings, index: Index) -> None:
        self._settings, self._index = settings, index
        self._topic = settings.topic("finding")
        self._onward: Onward | None = None
        self._end: int | None = None
        self._read = 0
        self._word = 0
        self._whole = False
        self.words_why = ""
        """what keeps us from knowing what people said"""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="worklist", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and wait for the batch in work."""
        self._stop.set()
        self._thread.join(reading.STALL)

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(EVERY)

    def look(self) -> None:
        """Read what is new; a fault is told."""
        try:
            self._findings()
        except ConcordError as fault:
            self._tell(fault.message)
        try:
            self._words()
            self.words_why = ""
        except ConcordError as fault:
            self.words_why = fault.message

    def _findings(self) -> None:
        if self._onward is None:
            kafka = need(self._settings.kafka, "CONCORD_KAFKA")
            places = [(self._topic, number) for number in range(self._settings.partitions)]
            ends = reading.ends(kafka, places)
            self._end = sum(high - low for low, high in ends.values())
            self._onward = Onward(kafka, reading.beginnings(self._topic, range(self._settings.partitions)))
        for batch in _batches(self._onward.news()):
            self._index.take(batch)
            self._read += len(batch)
            self._tell("")
            if self._stop.is_set():
                return
        if not self._whole:
            self._index.settle()
            self._whole = True
        self._tell("")

    def _words(self) -> None:
        said = list(handling.words(self._settings, self._word))
        if said:
            self._index.hear(said)
            self._word = said[-1][1].number

    def _tell(self, why: str) -> None:
        known = self._index.progress
        at = time.time() if self._whole and not why else known.at
        self._index.progress = Progress(self._read, self._end, self._whole, why, at)


def _batches(messages: Iterable[Message]) -> Iterator[list[Told]]:
    told = ((message.key() or b"", message.value()) for message in messages)
    while batch := list(itertools.islice(told, BATCH)):
        yield batch
