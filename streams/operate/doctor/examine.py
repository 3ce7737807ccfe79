"""Everything Concord stands on, looked at side by side: `concord doctor`.

    machine, kafka, registry, connect, audit, each system --look, judge--> results, each group in the order of cause

One part that can't be looked at never hides the others. Never changes anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from connectors.connect import Connect
from schemas.problem import nearest
from streams.errors import ConcordError, InvalidInput
from streams.operate import preparing
from streams.operate.doctor import audit, broker, capture, contracts, judge_database, look_database, machine
from streams.operate.doctor.result import CHECKS, Result, error, ok, ordered, shown, skipped
from streams.operate.guard.once import watched
from streams.settings import Settings, need
from streams.systems import SYSTEMS

Job = Callable[[], list[Result]]
DATABASE = ("database", "clock", *judge_database.CAPTURE_CHECKS, "adapter_grants")
CONNECT_PATIENCE = 3.0
CODE_FINDING, CODE_ERROR = 1, 3


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What a visit found."""

    results: list[Result]

    def count(self, state: str) -> int:
        """How many results are in a state."""
        return sum(result.state == state for result in self.results)

    @property
    def code(self) -> int:
        """The exit code: what nobody could look at may hide a finding, so it comes first."""
        return CODE_ERROR if self.count("error") else CODE_FINDING if self.count("finding") else 0


def examine(settings: Settings, systems: Iterable[str] = (), only: Iterable[str] = ()) -> Diagnosis:
    """Look at everything, or at some systems and checks only."""
    chosen = _known("check", only, CHECKS) or list(CHECKS)
    named = _known("system", systems, SYSTEMS) or list(SYSTEMS)
    jobs = list(_jobs(settings, named, frozenset(chosen)))
    with ThreadPoolExecutor(max_workers=len(jobs) or 1) as pool:
        found = [result for job in pool.map(lambda job: job(), jobs) for result in job]
    return Diagnosis(ordered(r for r in found if r.check in chosen or r.state == "error"))


def _known(what: str, names: Iterable[str], known: Collection[str]) -> list[str]:
    given = list(names)
    for name in given:
        if name not in known:
            raise InvalidInput(f"doctor.{what}", f"no {what} is called {name!r}", nearest(name, known))
    return given


def _jobs(settings: Settings, systems: Iterable[str], chosen: frozenset[str]) -> Iterator[Job]:
    """What must be looked at for the chosen checks, in the order in which it is told."""
    shared: tuple[tuple[Iterable[str], Job], ...] = (
        (("disk", "clock"), partial(_machine, settings)),
        ((*broker.CHECKS, "clock"), partial(_broker, settings)),
        (contracts.CHECKS, partial(_registry, settings)),
        (("connect", "connector"), partial(_connect, settings)),
        (audit.CHECKS, partial(_audit, settings)),
    )
    yield from (job for checks, job in shared if chosen & set(checks))
    for system in systems:
        if chosen & set(DATABASE):
            yield partial(_database, settings, system)
        if chosen & set(capture.CHECKS):
            yield partial(_capture, settings, system)


def _machine(settings: Settings) -> list[Result]:
    return [*machine.disk(machine.rooms(settings)), *machine.agreeing(machine.clocks(settings))]


def _broker(settings: Settings) -> list[Result]:
    try:
        return broker.judge(broker.look(settings))
    except ConcordError as fault:
        return broker.unreachable(settings, fault)


def _registry(settings: Settings) -> list[Result]:
    try:
        return contracts.judge(contracts.look(settings))
    except ConcordError as fault:
        return contracts.unreachable(settings, fault)


def _connect(settings: Settings) -> list[Result]:
    try:
        url = need(settings.connect, "CONCORD_CONNECT")
        with Connect(url, timeout=CONNECT_PATIENCE, deadline=CONNECT_PATIENCE) as client:
            client.config("concord-doctor")  # a connector that isn't there: any answer will do
    except ConcordError as fault:
        fix = "# check CONCORD_CONNECT and that it runs, then:\nconcord doctor --only connect"
        return [error("connect", "connect", shown(fault.message), fix)]
    return [ok("connect", "connect", f"{shown(url)} answers")]


def _audit(settings: Settings) -> list[Result]:
    try:
        return audit.judge(audit.look(settings))
    except ConcordError as fault:
        return audit.unreachable(fault)


def _database(settings: Settings, system: str) -> list[Result]:
    try:
        return judge_database.results(system, look_database.look(settings, system))
    except ConcordError as fault:
        head = error("database", system, fault.message, fault.next_step)
        rest = (check for check in DATABASE if check != "database")
        return [head, *(skipped(check, system, "the database could not be looked at") for check in rest)]


def _capture(settings: Settings, system: str) -> list[Result]:
    if system not in settings.sources:
        why = "nobody captures it here (CONCORD_RUNNING_SOURCES)"
        return [skipped(check, system, why) for check in capture.CHECKS]
    if not settings.connect or not settings.capture.get(system):
        why = f"CONCORD_CONNECT or CONCORD_CAPTURE_{system.upper()} is not set"
        return [skipped(check, system, why) for check in capture.CHECKS]
    [source] = preparing.chosen_sources(settings, [system])
    return capture.judge(
        system, shown(settings.connect), source.names.connector, watched(source, settings.connect)
    )
