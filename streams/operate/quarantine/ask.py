"""What stands in the quarantine: `concord quarantine list|show`. Codes, names and positions; no value but public ones.

Reads the topic whole (committed records only) and changes nothing.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streams.core.malformed import REASONS
from streams.errors import ConcordError
from streams.operate.quarantine import shown
from streams.operate.quarantine.chosen import Asked, Chosen, choose, origin
from streams.operate.quarantine.fetch import fetch
from streams.operate.quarantine.record import Origin
from streams.operate.quarantine.register import Item, Register, load
from streams.settings import Settings, need


@dataclass(frozen=True, slots=True)
class Listing:
    """The newest of the chosen items, newest last; the counts are of all of them."""

    total: int
    by_code: Mapping[str, Mapping[str, int]]
    """code -> state -> items"""
    strangers: int
    """records of the topic that the platform did not write"""
    items: list[Item]


@dataclass(frozen=True, slots=True)
class Shown:
    """One record whole, as far as it may be shown."""

    item: Item
    attempts: list[Item]
    message: str
    """what the code means"""
    action: str
    """what to do about it"""
    outlook: str
    """what sending it back now would do"""
    headers: list[list[str]]
    bytes: int
    envelope: Any


class NotThere(ConcordError):
    """No such record stands in the quarantine (exit code 1)."""


def list_items(settings: Settings, asked: Asked, limit: int) -> Listing:
    """The chosen items and how many there are of each code and state."""
    chosen = choose(asked, settings)
    with load(settings) as register:
        return listing(register, chosen, limit)


def listing(register: Register, chosen: Chosen, limit: int) -> Listing:
    """The chosen items of a register."""
    counts: dict[str, Counter[str]] = {}
    newest: deque[Item] = deque(maxlen=limit)
    for item in filter(chosen.admits, register.items()):
        counts.setdefault(item.code, Counter())[item.state] += 1
        newest.append(item)
    total = sum(states.total() for states in counts.values())
    return Listing(total, dict(sorted(counts.items())), register.strangers, list(newest))


def show(settings: Settings, text: str) -> Shown:
    """The record that came from this origin, the first time or any other."""
    wanted = origin(text)
    with load(settings) as register:
        item, attempts = named(register, wanted)
    return whole(settings, item, attempts)


def named(register: Register, wanted: Origin) -> tuple[Item, list[Item]]:
    """The item that came from this origin, and each time it was quarantined."""
    item = register.named(wanted)
    if item is None:
        step = "concord quarantine list shows what stands there"
        raise NotThere("quarantine.unknown", f"nothing in the quarantine came from {wanted}", step)
    return item, register.attempts(item)


def whole(settings: Settings, item: Item, attempts: list[Item]) -> Shown:
    """An item with what is in its record."""
    kafka = need(settings.kafka, "CONCORD_KAFKA")
    [found] = fetch(kafka, [Origin.parse(item.place)])
    reason = REASONS.get(item.code)
    return Shown(
        item,
        attempts,
        reason.message if reason else "a code this version does not know",
        reason.action if reason else "look it up in the version that gave it",
        _outlook(item),
        shown.headers(found),
        len(found.value or b""),
        shown.envelope(found.value, item.system),
    )


def _outlook(item: Item) -> str:
    if not item.still:
        return "nothing speaks against sending it back: concord quarantine replay --origin " + item.origin
    cure = REASONS[item.still].action if item.still in REASONS else "deal with that first"
    return f"sent back now it would be quarantined again as {item.still}: {cure}"
