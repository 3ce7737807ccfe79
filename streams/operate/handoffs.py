"""The handoff map and how it stands: which flows there are, which are open or late, and which wait for a person.

    authority, the views' provenance --carried--> flows --schemas.handoffs--> problems (`concord authority check`)
    workers' parity counts, open proposals --> Standing a handoff (`concord handoffs`)

From what the platform keeps as it goes: the parity counts of the workers' partitions, and the few open proposals of
the stewardship database. A view carries what every owner says at once, so the handoffs into one system share its count:
`shared` says so, and a total takes it once. What nobody could be asked is unknown, never zero. Changes nothing.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from schemas.authority import FieldAuthority, Matrix
from schemas.handoffs import OUTSIDE, REQUEST, VIEW, Duration, Flow, Handoff, handoffs
from streams.core.parity import DIFFERING, HELD, IN_FLIGHT, UNEXPLAINED
from streams.core.rules.business import business_days_later
from streams.core.ruling import OWNER, WAITING
from streams.errors import ConcordError
from streams.operate import announced, proposals
from streams.operate.announced import Answer
from streams.operate.parity import NAMED
from streams.operate.provenance import told_of
from streams.settings import Settings
from streams.systems import EDITING, SYSTEMS, TAKEN

PROPOSING = frozenset({"propose", "auto_accept"})
STREAM, BATCH, BY_HAND = "stream", "batch", "by hand"
OPEN_STATES = (IN_FLIGHT, DIFFERING, UNEXPLAINED)
"""Not confirmed; refused or edited since; neither, which must never be. What is on hold is told apart."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What is open in one place, and how old. `late_at_least`: there may be more than are named by age."""

    open: int
    late: int
    oldest_seconds: float | None
    person: int
    late_at_least: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """One handoff: as it is declared, and how it stands. `why`: nobody can say, for this reason."""

    source: str
    to: str
    carries: str
    transport: str
    objective: str
    trigger: str
    confirmed_by: str
    manual: bool
    person: str
    note: str
    open: int | None = None
    late: int | None = None
    late_at_least: bool = False
    oldest_seconds: float | None = None
    waits_for_person: int | None = None
    shared: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """All of them. What handoffs into one system share is counted once."""

    handoffs: list[Standing]
    manual: int
    open: int
    late: int
    waits_for_person: int
    unknown: list[str] = field(default_factory=list)


# ---- which flows there are ----


def carried(matrix: Matrix) -> dict[Flow, list[str]]:
    """Every flow that authority and the views make, with the fields that make it."""
    found: dict[Flow, set[str]] = defaultdict(set)
    for name, to in _told():
        for owner in _owner_of(matrix, name):
            found[owner, to, VIEW].add(name)
    for each in matrix:
        for editor in _proposing(each):
            found[editor, OWNER, REQUEST].add(f"{each.record}.{each.field}")
    return {flow: sorted(names) for flow, names in sorted(found.items()) if flow[0] != flow[1]}


def _told() -> Iterable[tuple[str, str]]:
    """(record.field, the system in whose view it is)"""
    for system, kinds in TAKEN.items():
        for kind in kinds:
            for leaf in told_of(system, kind).values():
                yield from ((source, system) for source in leaf.sources)


def _owner_of(matrix: Matrix, name: str) -> Iterable[str]:
    """The systems whose word a field may be; who is no system hands nothing over that anybody captures."""
    record, _, last = name.partition(".")
    known = matrix.records[record].get(last)
    return [owner for owner in known.owners if owner in SYSTEMS] if known else []


def _proposing(each: FieldAuthority) -> Iterable[str]:
    """Systems that hold the field, may not say it, and whose edit is brought to its owner."""
    if each.owners[0] != OWNER:
        return
    for system in each.write:
        edits = system in EDITING and system not in each.owners
        if edits and each.policies.get(system, each.others) in PROPOSING:
            yield system


# ---- how they stand ----


def overview(settings: Settings, workers: Sequence[Answer] | None = None) -> Overview:
    """Every declared handoff as it stands now. `workers`: the answers of those that live, if they are known already."""
    known = Known(time.time(), settings.files, *_views(settings, workers), *_requests(settings))
    return summed([known.standing(each) for each in handoffs()])


def summed(found: Sequence[Standing]) -> Overview:
    """The sums over all, what is shared counted once a system; pure."""
    once = list({(s.to if s.shared else (s.source, s.to, s.carries)): s for s in found}.values())
    return Overview(
        list(found),
        sum(s.manual for s in found),
        sum(s.open or 0 for s in once),
        sum(s.late or 0 for s in once),
        sum(s.waits_for_person or 0 for s in once),
        [f"{s.source} -> {s.to}: {s.why}" for s in found if s.why],
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What was asked, and why where nobody could be."""

    now: float
    files: Collection[str]
    parts: Sequence[Mapping[str, Any]]
    parts_why: str
    requests: Sequence[Mapping[str, Any]]
    requests_why: str

    def standing(self, each: Handoff) -> Standing:
        """One handoff."""
        batch = each.to in self.files
        limit = each.objective_batch if batch and each.objective_batch else each.objective
        transport = BY_HAND if each.carries == OUTSIDE else BATCH if batch else STREAM
        declared = Standing(
            each.source, each.to, each.carries, transport, limit.text, each.trigger, each.confirmed_by,
            each.manual, each.person, each.note, shared=each.carries == VIEW,
        )  # fmt: skip
        found = self._opened(each, limit)
        return replace(declared, why=found) if isinstance(found, str) else opened(declared, found)

    def _opened(self, each: Handoff, limit: Duration) -> Opened | str:
        match each.carries:
            case "view":
                return self.parts_why or of_views(each.to, self.parts, limit, self.now)
            case "request":
                return self.requests_why or of_requests(each.source, self.requests, limit, self.now)
        return "Concord does not carry it, so nobody tells when one begins or ends"


def opened(declared: Standing, found: Opened) -> Standing:
    """A handoff with what is open of it."""
    return replace(
        declared, open=found.open, late=found.late, late_at_least=found.late_at_least,
        oldest_seconds=found.oldest_seconds, waits_for_person=found.person,
    )  # fmt: skip


def of_views(to: str, parts: Sequence[Mapping[str, Any]], limit: Duration, now: float) -> Opened:
    """The views of one system that it has not confirmed as they are to be, over all partitions; pure."""
    counts: Counter[str] = Counter()
    begun: list[float] = []
    more = False
    for part in parts:
        counts.update(part["systems"].get(to, {}))
        for state in OPEN_STATES:
            named = [since / 1e6 for since, _ in part["longest"].get(to, {}).get(state, ())]
            begun += named
            more = more or (len(named) >= NAMED and is_late(max(named), limit, now))
    late = sum(is_late(each, limit, now) for each in begun)
    waits = counts[DIFFERING] + counts[UNEXPLAINED] + counts[HELD]
    return Opened(counts[IN_FLIGHT] + waits, late, _age(begun, now), waits, more)


def _age(begun: Sequence[float], now: float) -> float | None:
    return round(max(now - min(begun), 0.0), 1) if begun else None


def of_requests(source: str, rows: Sequence[Mapping[str, Any]], limit: Duration, now: float) -> Opened:
    """The open proposals of one system; pure. `rows`: system, state, day, count, oldest (epoch seconds)."""
    mine = [row for row in rows if row["system"] == source]
    late = sum(row["count"] for row in mine if is_late(row["oldest"], limit, now))
    person = sum(row["count"] for row in mine if row["state"] in WAITING)
    return Opened(sum(row["count"] for row in mine), late, _age([row["oldest"] for row in mine], now), person)


def is_late(begun: float, limit: Duration, now: float) -> bool:
    """Whether what was begun then (epoch seconds) is open for longer than it may be."""
    if not limit.business_days:
        return now - begun > limit.seconds
    until = business_days_later(_day(begun), limit.business_days)
    return until is not None and until < _day(now)


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


# ---- asking ----


def _views(
    settings: Settings, workers: Sequence[Answer] | None = None
) -> tuple[list[Mapping[str, Any]], str]:
    """The parity counts of every partition, or why nobody can say."""
    try:
        answers = announced.answering(settings, "worker") if workers is None else workers
    except ConcordError as fault:
        return [], fault.message
    parts = {p["partition"]: p["parity"] for answer in answers for p in answer.status["partitions"]}
    missing = sorted(set(range(settings.partitions)) - parts.keys())
    why = f"no worker has partitions {', '.join(map(str, missing))} open" if missing else ""
    return list(parts.values()), why


def _requests(settings: Settings) -> tuple[Sequence[Mapping[str, Any]], str]:
    try:
        return proposals.waiting(settings), ""
    except ConcordError as fault:
        return [], fault.message
