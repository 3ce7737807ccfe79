"""Claims denied for the provider's data: was it known before? Pure.

    denials of billing, records of topic finding --Flags--> per denial: which findings stood --> Caught

A denial asks of the time from the claim's service to the denial: whoever read the finding then could still have mended
the data or held the claim. Never says more than the topic keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from streams.operate.kpi.figures import CLOSED, DAY, OPENED
from streams.operate.kpi.reasons import REASONS, SOMEBODY_ELSE, Reason, reason_of

FLAGGED, OTHERWISE, UNFLAGGED, UNKNOWN = "flagged", "otherwise", "unflagged", "unknown"
"""A finding of its cause stood; only findings of something else did; none did; what is kept doesn't say."""


@dataclass(frozen=True, slots=True)
class Denied:
    """A denial as billing holds it. `entities`: who and what it is about, as kind/id: provider, group, place."""

    id: int
    provider: str
    entities: frozenset[str]
    received: datetime
    carc: str
    rarc: str
    service: datetime | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One denial of provider data, and what stood before it; `findings`: as code subject, those of its cause first."""

    denial: int
    provider: str
    received: str
    reason: str
    carc: str
    rarc: str
    caught: str
    findings: list[str]


@dataclass(frozen=True, slots=True)
class Group:
    """The denials of one reason."""

    reason: str
    denials: int
    flagged: int
    otherwise: int
    unflagged: int
    unknown: int


@dataclass(frozen=True, slots=True)
class Caught:
    """unflagged_share: of those of which it is known, the part that no finding of the cause stood for; None of none."""

    received: int
    """denials for whatever reason"""
    provider_data: int
    unflagged_share: float | None
    reasons: list[Group]
    cases: list[Case]
    """unflagged ones first"""


@dataclass(slots=True)
class _Course:
    """What is kept of one finding: when it stood. `first` is the oldest record; `begun` whether that opens it."""

    code: str
    subject: str
    first: float
    begun: bool
    turns: list[tuple[float, float | None]] = field(default_factory=list)

    def take(self, state: str, at: float) -> None:
        is_open = bool(self.turns) and self.turns[-1][1] is None
        if state != CLOSED and not is_open:
            self.turns.append((at, None))
        elif state == CLOSED and is_open:
            self.turns[-1] = (self.turns[-1][0], at)
        elif state == CLOSED and not self.turns:
            self.turns.append((at, at))  # it stood until then, and was opened before what is kept

    def stood(self, begin: float, end: float) -> bool:
        return any(a <= end and (b is None or b >= begin) for a, b in self.turns)

    def may_have(self, end: float, kept: float) -> bool:
        """Its first record is younger; what was before is not kept, or may be compacted away."""
        return self.first > end and (not self.begun or end < kept)


class Flags:
    """What topic finding keeps of those that claims were denied for: each record of a key once, oldest first."""

    def __init__(self, denials: Iterable[Denied]) -> None:
        self._denials = list(denials)
        self._of: dict[str, dict[str, _Course]] = {e: {} for d in self._denials for e in d.entities}
        self._oldest: float | None = None

    def take(self, key: str, state: str, at: float) -> None:
        """The next record: its key, `kind/id code subject`."""
        self._oldest = at if self._oldest is None else min(at, self._oldest)
        entity, _, rest = key.partition(" ")
        courses = self._of.get(entity)
        if courses is None:
            return
        code, _, subject = rest.partition(" ")
        course = courses.setdefault(rest, _Course(code, subject, at, state == OPENED))
        course.take(state, at)

    def caught(self, now: float) -> Caught:
        """Each denial judged."""
        cases = [self._case(d, r, now) for d in self._denials if (r := reason_of(d.carc, d.rarc))]
        order = (UNFLAGGED, OTHERWISE, UNKNOWN, FLAGGED)
        cases.sort(key=lambda case: (order.index(case.caught), case.received, case.denial))
        groups = [_group(reason.name, [c for c in cases if c.reason == reason.name]) for reason in REASONS]
        known = [case for case in cases if case.caught != UNKNOWN]
        missed = sum(case.caught != FLAGGED for case in known)
        return Caught(
            len(self._denials), len(cases), round(missed / len(known), 4) if known else None,
            [group for group in groups if group.denials], cases,
        )  # fmt: skip

    def _case(self, denied: Denied, reason: Reason, now: float) -> Case:
        end = denied.received.timestamp()
        begin = min(denied.service.timestamp(), end) if denied.service else end
        courses = [c for entity in sorted(denied.entities) for c in self._of[entity].values()]
        stood = [c for c in courses if c.stood(begin, end)]
        of_cause = [c for c in stood if reason.fits(c.code, c.subject)]
        others = [c for c in stood if c not in of_cause]
        too_early = self._oldest is None or end < self._oldest
        lost = any(reason.fits(c.code, c.subject) and c.may_have(end, now - DAY) for c in courses)
        if of_cause:
            caught = FLAGGED
        elif reason.name == SOMEBODY_ELSE or too_early or lost:
            caught = UNKNOWN
        else:
            caught = OTHERWISE if others else UNFLAGGED
        received = denied.received.isoformat(timespec="seconds")
        told = list(dict.fromkeys(f"{c.code} {c.subject}" for c in [*of_cause, *others]))
        return Case(denied.id, denied.provider, received, reason.name, denied.carc, denied.rarc, caught, told)


def _group(name: str, cases: list[Case]) -> Group:
    counts = Counter(case.caught for case in cases)
    return Group(name, len(cases), *(counts[caught] for caught in (FLAGGED, OTHERWISE, UNFLAGGED, UNKNOWN)))
