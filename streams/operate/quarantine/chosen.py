"""Which items a command is about: filters by code, system, provider, time, origin and state.

Checked before the topic is read: what is misspelt is refused with the nearest valid names, never taken for
"nothing found".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from streams.core.malformed import REASONS
from streams.errors import InvalidInput
from streams.operate.find import Finder, holders, names
from streams.operate.moments import moment
from streams.operate.quarantine.record import Origin
from streams.operate.quarantine.register import OPEN, STATES, Item
from streams.settings import Settings
from streams.systems import SYSTEMS

OTHERS = ("npi", "clock", "receipt")
"""Topics that belong to no system can hold bad records too."""
ALL = "all"
CODE = "quarantine.filter"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person typed; empty means: whatever it is."""

    codes: Sequence[str] = ()
    systems: Sequence[str] = ()
    provider: str = ""
    since: str = ""
    until: str = ""
    origins: Sequence[str] = ()
    state: str = OPEN


@dataclass(frozen=True, slots=True)
class Chosen:
    """The same, checked."""

    codes: frozenset[str] = frozenset()
    systems: frozenset[str] = frozenset()
    ids: frozenset[str] | None = None
    since: str = ""
    until: str = ""
    origins: frozenset[str] = frozenset()
    state: str = OPEN

    def admits(self, item: Item) -> bool:
        """Whether the item is meant."""
        return (
            self.state in (ALL, item.state)
            and (not self.codes or item.code in self.codes)
            and (not self.systems or item.system in self.systems)
            and (self.ids is None or item.id in self.ids)
            and (not self.since or item.at >= self.since)
            and (not self.until or item.at < self.until)
            and (not self.origins or not self.origins.isdisjoint((item.origin, item.latest)))
        )


def choose(asked: Asked, settings: Settings) -> Chosen:
    """The filter as checked values; InvalidInput says what is wrong with it."""
    found = Chosen(
        codes=_known("code", asked.codes, REASONS),
        systems=_known("system", asked.systems, (*SYSTEMS, *OTHERS)),
        since=moment(asked.since, CODE),
        until=moment(asked.until, CODE),
        origins=frozenset(str(origin(text)) for text in asked.origins),
        state=next(iter(_known("state", [asked.state], (*STATES, ALL)))),
    )
    if found.since and found.until and found.since >= found.until:
        raise _refused(f"nothing lies between {asked.since} and {asked.until}", "give --since before --until")
    return replace(found, ids=_ids(asked.provider, settings)) if asked.provider else found


def origin(text: str) -> Origin:
    """An origin that was typed."""
    try:
        return Origin.parse(text)
    except ValueError:
        step = "give topic/partition/offset, as `concord quarantine list` shows it"
        raise _refused(f"{text!r} is no origin", step) from None


def _known(what: str, given: Iterable[str], valid: Iterable[str]) -> frozenset[str]:
    known = list(valid)
    for text in given:
        if text not in known:
            near = get_close_matches(text, known, 3, 0.4) or sorted(known)
            raise _refused(f"there is no {what} {text!r}", f"use one of: {', '.join(near)}")
    return frozenset(given)


def _ids(key: str, settings: Settings) -> frozenset[str]:
    """An id is taken as it is, for none of its rows may have passed; an NPI is followed to its holders."""
    wanted = names(key)
    if not wanted[0].startswith("npi/"):
        return frozenset(name.partition("/")[2] for name in wanted)
    with Finder(settings) as finder:
        found = [located.entity for located in finder.get_many(wanted)]
    ids = {holder.partition("/")[2] for npi in found for holder in holders(npi)}
    return frozenset({wanted[0].partition("/")[2], *ids})


def _refused(message: str, step: str) -> InvalidInput:
    return InvalidInput(CODE, message, step)
