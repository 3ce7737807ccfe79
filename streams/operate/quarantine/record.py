"""One record of topic `quarantine`: a record that was quarantined, or a mark that says what became of one.

Decide appends three headers to the original ones (code, detail, origin); a mark has an empty value and names the
origin it is about. A record that was sent back carries its first origin in `concord-replayed`: should it be
quarantined again, the two are one item. Pure: knows the form of the records, never what a value means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from confluent_kafka import Message

from streams import codec

Headers = list[tuple[str, bytes | None]]

HANDLED = "concord-handled"
ACTION = "concord-action"
BY = "concord-by"
REASON = "concord-reason"
WHY = ("concord-code", "concord-detail", "concord-origin")
"""What decide appends, in this order: only the last three headers are ours, whatever a stranger's record carries."""


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a record stands: `topic/partition/offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The origin a text names; ValueError when it names none."""
        topic, partition, offset = text.strip().rsplit("/", 2)
        if not topic or not (partition.isascii() and partition.isdecimal() and offset.isdecimal()):
            raise ValueError(f"{text!r} is not topic/partition/offset")
        return cls(topic, int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that was quarantined, as it came: its bytes, and its headers without what decide appended."""

    place: Origin
    """where it stands in the quarantine"""
    origin: Origin
    first: Origin
    """where it came from the first time; its origin when it was never sent back"""
    code: str
    detail: str
    at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    def headers_back(self) -> Headers:
        """What it is sent back with: its own headers, and once the origin it is known under."""
        if self.first != self.origin:
            return self.headers
        return [*self.headers, (codec.REPLAYED, str(self.first).encode())]


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of the records of an origin that stand before it in its partition."""

    place: Origin
    origin: Origin
    action: str
    by: str
    reason: str
    at_ms: int


def read(message: Message) -> Quarantined | Mark | None:
    """What a record of the topic is; None for one that neither decide nor this command wrote."""
    headers: Headers = list(message.headers() or [])
    place = place_of(message)
    try:
        if tuple(name for name, _ in headers[-len(WHY) :]) == WHY:
            return _quarantined(message, place, headers)
        return _mark(message, place, headers)
    except ValueError:
        return None


def place_of(message: Message) -> Origin:
    """Where a record that was read stands."""
    return Origin(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))


def _quarantined(message: Message, place: Origin, headers: Headers) -> Quarantined:
    original, why = headers[: -len(WHY)], [_text(value) for _, value in headers[-len(WHY) :]]
    origin = Origin.parse(why[2])
    key, value = message.key(), message.value()
    first = _first(original, origin)
    return Quarantined(place, origin, first, why[0], why[1], message.timestamp()[1], key, value, original)


def _first(original: Headers, origin: Origin) -> Origin:
    """Sent back, a record goes to the partition it came from, behind itself: another link is a stranger's."""
    link = next((value for name, value in reversed(original) if name == codec.REPLAYED), None)
    try:
        first = Origin.parse(_text(link))
    except ValueError:
        return origin
    same = (first.topic, first.partition) == (origin.topic, origin.partition)
    return first if same and first.offset < origin.offset else origin


def _mark(message: Message, place: Origin, headers: Headers) -> Mark:
    said = {name: _text(value) for name, value in headers}
    origin = Origin.parse(said.get(HANDLED, ""))
    return Mark(
        place, origin, said.get(ACTION, ""), said.get(BY, ""), said.get(REASON, ""), message.timestamp()[1]
    )


def mark_headers(origin: str, action: str, by: str, reason: str) -> Headers:
    """The headers of a mark."""
    said: Sequence[tuple[str, str]] = ((HANDLED, origin), (ACTION, action), (BY, by), (REASON, reason))
    return [(name, text.encode()) for name, text in said if text]


def _text(value: bytes | str | None) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value or ""
