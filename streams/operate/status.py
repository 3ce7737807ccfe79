"""Every hop now: position, lag in records and in seconds, rate; what is pending, open and counted: `concord status`.

    Connect, slot -> capture     workers -> decide     adapters -> each target     finding, entity -> counts
    registry, disks, clocks, reference data -> footing

Gathers; `standing` judges. Asks living processes first and the topics where none lives. Two samples half a second
apart give rates. Never changes anything, and one part that cannot be asked never hides the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field, replace

import psycopg
from msgspec import to_builtins

from connectors.pause import Pause
from streams.errors import ConcordError
from streams.operate import announced, footing, pausing, standing
from streams.operate.announced import Answer
from streams.operate.capture import captures
from streams.operate.findings import Counting, OpenFindings
from streams.operate.footing import Footing
from streams.operate.hops import Sample, adapter_hop, decide_hop, reference_hop
from streams.operate.quarantine.unhandled import Unhandled, Waiting
from streams.operate.standing import Capture, Hop, Watch, hop, watch
from streams.settings import Settings, need
from streams.systems import ADAPTERS

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Status:
    """All hops at one moment. `quiet`: everything that was captured is decided and applied, proposals and
    requests too, nothing is pending."""

    at: float
    quiet: bool
    capture: list[Capture]
    decide: Hop
    adapters: list[Hop]
    findings: OpenFindings
    quarantined: int | None
    """ever, as the partitions counted them"""
    balanced: bool | None
    reference: Hop
    """`concord reference follow`: what the witnesses say, to who comes to hold an NPI"""
    notes: list[str] = field(default_factory=list)
    unhandled: Unhandled = field(default_factory=lambda: Unhandled(None))
    """quarantined records that are neither replayed nor discarded"""
    guard: Watch = field(default_factory=lambda: watch([]))
    """who watches capture, and how old the canaries are"""
    footing: Footing = field(default_factory=Footing)
    """what the flow stands on besides"""


class Counts:
    """What is counted over whole topics, kept by who asks again and again, so that it is not read anew each time."""

    def __init__(self, settings: Settings) -> None:
        self.findings = Counting(settings)
        self.waiting = Waiting(settings)

    def close(self) -> None:
        """Let go of what is kept."""
        self.waiting.close()


def status(settings: Settings, interval: float = SAMPLE_SECONDS, counts: Counts | None = None) -> Status:
    """Take two samples and judge them; without an interval one, and there are no rates."""
    need(settings.kafka, "CONCORD_KAFKA")
    with nullcontext(counts) if counts is not None else closing(Counts(settings)) as kept:
        return _taken(settings, interval, kept)


def _taken(settings: Settings, interval: float, counts: Counts) -> Status:
    before, after, fault = _samples(settings, interval)
    seconds = after.at - before.at
    with ThreadPoolExecutor(max_workers=8) as pool:
        decide = pool.submit(_decide, settings, before, after, seconds)
        reference = pool.submit(_reference, settings, after)
        adapted = [system for system in ADAPTERS if system not in settings.files]
        adapters = [pool.submit(_adapter, settings, system, before, after, seconds) for system in adapted]
        capture, findings = pool.submit(captures, settings), pool.submit(counts.findings.look)
        waiting, marks = pool.submit(counts.waiting.look), pool.submit(_marks, settings)
        stands = pool.submit(footing.footing, settings, after.answers)
    return _status(
        decide.result(),
        [_paused(a.result(), marks.result()) for a in adapters],
        capture.result(),
        findings.result(),
        reference.result(),
        waiting.result(),
        watch([answer.status for answer in after.answers if answer.party.role == "guard"]),
        fault,
        stands.result(),
    )


def _status(
    decide: Hop,
    adapters: list[Hop],
    capture: list[Capture],
    findings: OpenFindings,
    reference: Hop,
    waiting: Unhandled,
    guard: Watch,
    fault: str,
    stands: Footing,
) -> Status:
    return Status(
        time.time(),
        _quiet(decide, adapters),
        capture,
        decide,
        adapters,
        findings,
        _quarantined(decide),
        all(o.balanced for o in decide.outcomes.values()) if decide.outcomes else None,
        reference,
        [*([fault] if fault else []), *footing.ailing(stands), *_read_again(decide, capture)],
        waiting,
        guard,
        stands,
    )


def _samples(settings: Settings, interval: float) -> tuple[Sample, Sample, str]:
    """Who answers now and a little later, and why nobody could be asked at all."""
    try:
        parties = announced.announced(settings)
    except ConcordError as fault:
        nobody = Sample(time.monotonic(), [])
        return nobody, nobody, fault.message
    before = Sample(time.monotonic(), announced.answers(parties))
    if not interval:
        return before, before, ""
    time.sleep(interval if before.answers else 0)
    living = [answer.party for answer in before.answers]
    return before, Sample(time.monotonic(), announced.answers(living)), ""


def _decide(settings: Settings, before: Sample, after: Sample, seconds: float) -> Hop:
    workers = _workers(before), _workers(after)
    return _guarded("decide", lambda: decide_hop(settings, *workers, seconds))


def _adapter(settings: Settings, system: str, before: Sample, after: Sample, seconds: float) -> Hop:
    return _guarded(system, lambda: adapter_hop(settings, system, before, after, seconds))


def _reference(settings: Settings, after: Sample) -> Hop:
    return _guarded("reference", lambda: reference_hop(settings, after))


def _marks(settings: Settings) -> Mapping[str, Pause]:
    """What operators have paused; where nobody can say, the adapters' own state tells that something is wrong."""
    try:
        return pausing.marks(settings)
    except ConcordError:
        return {}


def _paused(found: Hop, marks: Mapping[str, Pause]) -> Hop:
    """A pause is told before whatever else keeps the hop."""
    if (word := marks.get(found.name)) is None:
        return found
    why = f"{word}; {found.why}" if found.why else str(word)
    return replace(found, why=why, counters={**found.counters, "paused": to_builtins(word)})


def _workers(sample: Sample) -> list[Answer]:
    return [answer for answer in sample.answers if answer.party.role == "worker"]


def _guarded(name: str, gather: Callable[[], Hop]) -> Hop:
    """A hop that could not be looked at is unknown, with the reason."""
    try:
        return gather()
    except (ConcordError, psycopg.Error) as fault:
        why = fault.message if isinstance(fault, ConcordError) else str(fault).splitlines()[0]
        return hop(name, [], why=why)


def _quiet(decide: Hop, adapters: Iterable[Hop]) -> bool:
    hops = [decide, *adapters]
    pending = decide.counters.get("dirty", 0) or 0
    return pending == 0 and all(h.state == standing.CAUGHT_UP for h in hops)


def _read_again(decide: Hop, capture: Iterable[Capture]) -> Iterator[str]:
    """Sources whose newest rows may be missing until they are read under a new epoch."""
    found = decide.counters.get("read_again", {})
    for source in capture:
        if source.epoch is not None and found.get(source.system) == source.epoch:
            yield (
                f"{source.system} was read again under epoch {source.epoch} after rows were streamed, so changes may "
                f"be missing: concord sources apply {source.system} --resnapshot"
            )


def _quarantined(decide: Hop) -> int | None:
    if not decide.outcomes:
        return None
    return sum(o.outcomes.get("quarantined", 0) for o in decide.outcomes.values())
