"""The quarantine as text for a terminal. Pure; the JSON of `--json` says the same and more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.cli.show import table
from streams.operate.quarantine.ask import Listing, Shown
from streams.operate.quarantine.handle import Handled
from streams.operate.quarantine.register import OPEN, Item

HEAD = ("quarantined", "state", "times", "code", "origin", "entity", "record", "now")
NOTHING = "nothing of that kind stands in the quarantine"


def listing(found: Listing) -> str:
    """A line an item, newest last, then how many of each code."""
    return "\n".join(_listing(found))


def shown(found: Shown) -> str:
    """One record: why it is here and what to do, what became of it, then what it holds."""
    return "\n".join(_shown(found))


def handled(told: Handled, what: str) -> str:
    """What was done, or would be."""
    return "\n".join(_handled(told, what))


def _listing(found: Listing) -> Iterator[str]:
    if not found.total:
        yield NOTHING
        return
    yield from table([HEAD, *(_row(item) for item in found.items)], "")
    if found.total > len(found.items):
        yield f"... the newest {len(found.items):,} of {found.total:,}; --limit shows more"
    yield ""
    yield from table((code, _states(states)) for code, states in found.by_code.items())
    if found.strangers:
        yield f"  {found.strangers:,} records of the topic were not written by the platform"


def _row(item: Item) -> tuple[str, ...]:
    now = f"still {item.still}" if item.still else "would pass"
    head = (item.at[:19], item.state, str(item.attempts), item.code, item.origin)
    return (*head, _entity(item), item.record, now if item.state == OPEN else "")


def _entity(item: Item) -> str:
    return f"{item.kind or '?'}/{item.id}" if item.id else "?"


def _states(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in states.items())


def _shown(found: Shown) -> Iterator[str]:
    item = found.item
    yield f"{item.origin}  {item.state}  {item.code}: {found.message}"
    yield from table(
        [
            ("detail", item.detail),
            ("entity", f"{_entity(item)}  {item.record} {item.row}".rstrip()),
            ("position", item.position or "not readable"),
            ("do", found.action),
            ("outlook", found.outlook),
        ]
    )
    yield "\nwhat became of it"
    yield from table((a.at[:19], a.latest, a.code, _fate(a)) for a in found.attempts)
    yield "\nheaders"
    yield from table(found.headers)
    yield f"\nvalue ({found.bytes:,} bytes; what is not public is masked)"
    yield from _envelope(found.envelope)


def _fate(attempt: Item) -> str:
    if not attempt.handled_at:
        return attempt.state
    reason = f": {attempt.reason}" if attempt.reason else ""
    return f"{attempt.state} {attempt.handled_at[:19]} by {attempt.by}{reason}"


def _envelope(envelope: Any) -> Iterator[str]:
    for name, value in envelope.items():
        if isinstance(value, dict):
            yield f"  {name}"
            yield from table(((column, str(text)) for column, text in value.items()), "    ")
        else:
            yield f"  {name}  {value}"


def _handled(told: Handled, what: str) -> Iterator[str]:
    if not told.chosen:
        yield NOTHING
        return
    yield from table([HEAD, *(_row(item) for item in told.items)], "")
    if told.chosen > len(told.items):
        yield f"... the first {len(told.items):,} of {told.chosen:,}"
    yield ""
    yield from table((code, f"{count:,}") for code, count in told.by_code.items())
    if told.still and what == "sent back":
        yield f"  {told.still:,} of them would be quarantined again by the mappings of today"
    yield (
        f"{told.done:,} {what}" if told.applied else f"{told.chosen:,} would be {what}: add --apply to do it"
    )
