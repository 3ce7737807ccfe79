"""Which conditions are open: told once they have held for a while, closed once they have been gone for a while.

    judged facts --look--> Opened, Closed        nothing flaps: what comes and goes between two looks is never told

Knows what was open before a restart (from topic `finding`). Pure bookkeeping: times are arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from streams.operate.guard.conditions import CODES, UNVERIFIED, Condition, cure
from streams.operate.guard.judging import Seen

CALM = 3.0
"""Seconds a condition must be gone before it is closed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition that is told of a source."""

    system: str
    code: str
    subject: str
    severity: str
    message: str
    action: str
    epoch: int
    first: int
    last: int

    @property
    def identity(self) -> tuple[str, str, str]:
        """What it is closed by."""
        return self.system, self.code, self.subject


@dataclass(frozen=True, slots=True)
class Event:
    """A finding was opened or closed; `state` as the contract of topic `finding` has it."""

    finding: Finding
    state: str


@dataclass(slots=True)
class _Held:
    seen: Seen
    since: float
    gone: float | None = None


Judged = Mapping[str, list[Seen] | None]


class Book:
    """The conditions of all sources."""

    def __init__(self, known: Iterable[Finding] = ()) -> None:
        self.open: dict[tuple[str, str, str], Finding] = {found.identity: found for found in known}
        self._held: dict[tuple[str, str, str], _Held] = {}
        self._clear: dict[tuple[str, str], int] = {}
        """(system, code) -> where the log ended when it was last seen not to hold"""

    def look(self, system: str, judged: Judged, epoch: int, lsn: int, now: float) -> list[Event]:
        """What follows from one look at one source."""
        events: list[Event] = []
        for code, found in judged.items():
            if found == []:
                self._clear[system, code] = lsn
            if found is not None:
                events += self._condition(system, CODES[code], found, epoch, lsn, now)
        return events

    def settle(self, system: str, last_epoch: int) -> list[Event]:
        """What happened up to this epoch has been read anew."""
        open_now = list(self.open.values())
        done = [f for f in open_now if f.system == system and stays(f.code) and f.epoch <= last_epoch]
        return [self._close(found) for found in done]

    def close(self, identities: Iterable[tuple[str, str, str]]) -> list[Event]:
        """These are looked into."""
        return [self._close(self.open[identity]) for identity in identities if identity in self.open]

    def forget(self, identity: tuple[str, str, str]) -> None:
        """Somebody else has closed it: a person, or verification."""
        found = self.open.get(identity)
        if found is not None and stays(found.code):
            del self.open[identity]

    def _condition(
        self, system: str, condition: Condition, found: list[Seen], epoch: int, lsn: int, now: float
    ) -> Iterator[Event]:
        seen = {_subject(system, one): one for one in found}
        for subject, one in seen.items():
            yield from self._holds((system, condition.code, subject), condition, one, epoch, now)
        if not condition.stays:
            yield from self._gone(system, condition, seen.keys(), epoch, lsn, now)

    def _holds(
        self, key: tuple[str, str, str], condition: Condition, one: Seen, epoch: int, now: float
    ) -> Iterator[Event]:
        held = self._held.setdefault(key, _Held(one, now))
        held.gone = None
        if key not in self.open and now - held.since >= condition.after:
            first = one.first or self._clear.get(key[:2], 0)
            yield self._open(_finding(key[0], condition, replace(one, first=first), key[2], epoch))
        if condition.stays:
            del self._held[key]

    def _gone(
        self, system: str, condition: Condition, seen: Iterable[str], epoch: int, lsn: int, now: float
    ) -> Iterator[Event]:
        kept = set(seen)
        named = [key for key in (*self._held, *self.open) if key[:2] == (system, condition.code)]
        for key in dict.fromkeys(named):
            if key[2] in kept:
                continue
            held = self._held.setdefault(key, _Held(Seen("", ""), now, now))
            held.gone = now if held.gone is None else held.gone
            if key not in self.open:
                del self._held[key]
            elif now - held.gone >= CALM:
                del self._held[key]
                found = self.open[key]
                yield self._close(found)
                if condition.gap and epoch <= found.epoch:  # a new snapshot has read what was missed
                    yield self._open(self._widened(_left(found, epoch, lsn)))

    def _widened(self, left: Finding) -> Finding:
        """With what an earlier one has left in the same place."""
        before = self.open.get(left.identity)
        return replace(left, first=min(before.first, left.first)) if before else left

    def _open(self, found: Finding) -> Event:
        self.open[found.identity] = found
        return Event(found, "opened")

    def _close(self, found: Finding) -> Event:
        del self.open[found.identity]
        return Event(found, "closed")


def _subject(system: str, seen: Seen) -> str:
    return f"source/{system}/{seen.where}" if seen.where else f"source/{system}"


def stays(code: str) -> bool:
    """Whether it tells of something that happened, so that only looking into it ends it."""
    return code not in CODES or CODES[code].stays


def _finding(system: str, condition: Condition, one: Seen, subject: str, epoch: int) -> Finding:
    action = cure(condition, system, one)
    return Finding(
        system, condition.code, subject, condition.severity, one.message, action, epoch, one.first, one.last
    )


def _left(found: Finding, epoch: int, lsn: int) -> Finding:
    """What a closed condition leaves: a range of the log in which changes may be missing."""
    message = f"{UNVERIFIED.title}, between LSN {found.first} and {lsn}: {found.message}"
    place = found.subject.removeprefix(f"source/{found.system}").strip("/").partition(" ")[0]
    table = place.removeprefix("public.").partition(".")[0]
    target = f"{found.system}.{table}" if table else found.system
    action = f"concord verify source {target} --repair"
    return Finding(
        found.system,
        UNVERIFIED.code,
        found.subject,
        UNVERIFIED.severity,
        message,
        action,
        epoch,
        found.first,
        lsn,
    )
