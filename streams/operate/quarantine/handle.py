"""Sending quarantined records back, and putting them aside: `concord quarantine replay|discard`.

    items --fetch--> original bytes and headers --> the partition they came from --acknowledged--> mark

A mark is written only after its record was acknowledged; who dies in between has it sent twice, which changes
nothing, because the core orders by position (invariant 3). Not in a transaction: its marker would take an offset of
a captured topic, where the end of a snapshot is an offset that a record must reach (agents/clock.py). Nothing is
ever deleted (invariant 6).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice, tee

from streams.errors import ConcordError, InvalidInput
from streams.operate.masking import looks_restricted
from streams.operate.quarantine.chosen import Asked, Chosen, choose
from streams.operate.quarantine.fetch import fetch
from streams.operate.quarantine.record import Origin, Quarantined, mark_headers
from streams.operate.quarantine.register import DISCARDED, REPLAYED, Item, Register, load
from streams.operate.quarantine.send import Outgoing, Sender, Unsent
from streams.settings import Settings, need
from streams.topics import MAX_MESSAGE_BYTES

BATCH_RECORDS, BATCH_BYTES = 500, 8 * 1024 * 1024
"""So many records or bytes are held in memory at once."""
LARGEST = MAX_MESSAGE_BYTES - 64 * 1024
"""What came back over it might not fit its topic, or the quarantine the next time: a chunk tried again without end."""
SHOWN = 100
"""Items an answer lists; its counts are of all."""
LONGEST_REASON = 500


class TooLarge(ConcordError):
    """A record cannot be sent back (exit code 1)."""


@dataclass(slots=True)
class Handled:
    """What was done, or would be: `still` of the chosen would be quarantined again by the mappings of today."""

    action: str
    applied: bool
    chosen: int = 0
    done: int = 0
    still: int = 0
    by_code: Counter[str] = field(default_factory=Counter)
    items: list[Item] = field(default_factory=list)

    def counting(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items, counted as they pass."""
        for item in items:
            self.chosen += 1
            self.still += bool(item.still)
            self.by_code[item.code] += 1
            if len(self.items) < SHOWN:
                self.items.append(item)
            yield item


def replay(settings: Settings, asked: Asked, by: str, *, apply: bool = False) -> Handled:
    """Send the chosen back, in the order they came from their partitions; without `apply` only say which."""
    chosen, told = choose(asked, settings), Handled(REPLAYED, apply)
    with load(settings) as register:
        items = told.counting(_items(register, chosen))
        if not apply:
            return _counted(told, items)
        kafka = need(settings.kafka, "CONCORD_KAFKA")
        with closing(Sender(kafka)) as sender:
            for batch in _batches(_with_bytes(kafka, items)):
                _send(sender, told, [back(found) for _, found in batch])
                _send(sender, told, [mark(item, REPLAYED, by) for item, _ in batch])
                told.done += len(batch)
    return told


def discard(settings: Settings, asked: Asked, reason: str, by: str, *, apply: bool = False) -> Handled:
    """Mark the chosen as dealt with otherwise; they stay where they are and can still be replayed."""
    _check(reason)
    chosen, told = choose(asked, settings), Handled(DISCARDED, apply)
    with load(settings) as register:
        items = told.counting(_items(register, chosen))
        if not apply:
            return _counted(told, items)
        with closing(Sender(need(settings.kafka, "CONCORD_KAFKA"))) as sender:
            while batch := list(islice(items, BATCH_RECORDS)):
                _send(sender, told, [mark(item, DISCARDED, by, reason) for item in batch])
                told.done += len(batch)
    return told


def _items(register: Register, chosen: Chosen) -> Iterator[Item]:
    """In the order they first came: a provider's changes keep theirs (invariant 1)."""
    return filter(chosen.admits, register.items("origin"))


def _counted(told: Handled, items: Iterable[Item]) -> Handled:
    for _ in items:
        pass
    return told


def _check(reason: str) -> None:
    step = "say why in a sentence without personal data, such as --reason 'test row of the vendor'"
    if not reason.strip() or len(reason) > LONGEST_REASON:
        message = f"a reason has 1 to {LONGEST_REASON} characters"
        raise InvalidInput("quarantine.reason", message, step)
    if looks_restricted(reason):
        # Invariant 11: the reason becomes a header.
        message = "the reason holds what looks like a social security, tax or DEA number"
        raise InvalidInput("quarantine.reason", message, step)


def _with_bytes(kafka: str, items: Iterable[Item]) -> Iterator[tuple[Item, Quarantined]]:
    ours, wanted = tee(items)
    return zip(ours, fetch(kafka, (Origin.parse(item.place) for item in wanted)), strict=True)


def _batches(
    pairs: Iterable[tuple[Item, Quarantined]],
) -> Iterator[list[tuple[Item, Quarantined]]]:
    batch: list[tuple[Item, Quarantined]] = []
    size = 0
    for pair in pairs:
        batch.append(pair)
        size += len(pair[1].value or b"")
        if len(batch) >= BATCH_RECORDS or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def back(found: Quarantined) -> Outgoing:
    """As it came, to where it came from; what it says decides which change wins, not when it comes."""
    origin, size = found.origin, len(found.value or b"")
    if size > LARGEST:
        message = f"{found.first} has {size:,} bytes: with its headers it may not fit its topic"
        raise TooLarge("quarantine.too_large", message, "discard it: no version takes a row of that size")
    return Outgoing(origin.topic, origin.partition, found.key, found.value, found.headers_back())


def mark(item: Item, action: str, by: str, reason: str = "") -> Outgoing:
    """Beside the record it is about, so that the topic's own order says which came first."""
    place = Origin.parse(item.place)
    headers = mark_headers(item.latest, action, by, reason)
    return Outgoing(place.topic, place.partition, item.latest.encode(), b"", headers)


def _send(sender: Sender, told: Handled, records: Iterable[Outgoing]) -> None:
    try:
        sender.send(records)
    except Unsent as error:
        error.message = f"{told.done} were {told.action} and marked, then {error.message}"
        raise
