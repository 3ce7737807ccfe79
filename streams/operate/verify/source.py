"""Source verification: every row of the captured tables, as its system has it now, against what the platform holds.

    tables --ranges--> [caught up] --sums--> ranges that differ --rows--> suspects --rounds--> Divergence

PostgreSQL hashes and sums; what travels is one sum a range of some thousand rows, and the rows of ranges that differ. A
row in flight is looked at again until both sides agree or both stand still (`core.verify.Standing`). Verifies what the
mapping says the platform keeps: rows of logs are not held, so there is nothing to compare. Changes nothing: `repair`
does.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count

from connectors import checksum, sources
from connectors.checksum import Checksums, Key, Range
from connectors.sources import Source
from schemas.tables import mapped_tables
from streams.agents.rekey import REKEYED_KINDS, REKEYED_SYSTEMS
from streams.core import verify as core
from streams.core.columns import Table
from streams.core.verify import DIFFERENT, EXTRA, Hash, Name, Shape, Sum
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate import preparing
from streams.operate.preparing import Say
from streams.operate.verify.caught_up import CaughtUp
from streams.operate.verify.columns import differing
from streams.operate.verify.entities import Entities
from streams.operate.verify.found import Divergence, Verified, lsn_text
from streams.settings import Settings

ROUNDS = 12
"""A row that has not stood still by then is left to the next verification."""
AT_ONCE = 200_000
"""Rows of both sides that are compared one by one at a time."""
STATE = "state"


def chosen(settings: Settings, names: Iterable[str]) -> dict[str, list[Shape]]:
    """system -> the tables to verify; InvalidInput for a name that is none."""
    numbers, found = count(), dict[str, list[Shape]]()
    for name in names or settings.sources:
        system, _, table = name.partition(".")
        shapes = [s for s in _shapes(settings, system, numbers) if table in ("", s.table.name)]
        if not shapes:
            known = ", ".join(s.table.name for s in _shapes(settings, system, numbers))
            raise InvalidInput("verify.unknown", f"{system} keeps no table {table!r}", f"one of: {known}")
        found[system] = found.get(system, []) + shapes
    return found


def _shapes(settings: Settings, system: str, numbers: Iterator[int]) -> list[Shape]:
    if system not in settings.sources:
        step = f"one of: {', '.join(settings.sources)}"
        raise InvalidInput("verify.unknown", f"no system {system!r} is captured here", step)
    return [
        Shape(next(numbers), system, table, local=system in REKEYED_SYSTEMS and table.kind in REKEYED_KINDS)
        for table in kept(system).values()
    ]


def kept(system: str) -> dict[str, Table]:
    """The tables of a system whose rows the platform holds; of a log it holds none."""
    return {table.name: table for table in mapped_tables(system) if table.mode == STATE}


class Look:
    """One table while it is looked at."""

    def __init__(self, shape: Shape, checks: Checksums, *, again: bool = False) -> None:
        self.shape, self.checks = shape, checks
        self.ranges: list[Range] = []
        self.standing = core.Standing(again=again)
        self.rechecked = 0
        self.seconds = 0.0
        self.held: list[Sum] = []

    @property
    def key(self) -> Key:
        """How its rows are ordered."""
        return self.checks.key

    def read(self, size: int) -> None:
        """The source's side, range by range."""
        started = time.monotonic()
        self.ranges = list(self.checks.ranges(size))
        self._bounds = [self.key(found.until) for found in self.ranges if found.until is not None]
        self.held = [Sum() for _ in self.ranges]
        self.seconds = time.monotonic() - started

    def place(self, row_id: str) -> int:
        """The range a row belongs to; what can be no row's id belongs to the last."""
        return bisect_left(self._bounds, self.key(row_id)) if self.key.fits(row_id) else len(self._bounds)

    def apart(self) -> set[int]:
        """The ranges whose sums differ."""
        return {number for number, found in enumerate(self.ranges) if found.sum != self.held[number]}

    def suspect(self, numbers: set[int], ours: Mapping[Name, Hash]) -> None:
        """Drill down: the rows of these ranges on which both sides don't agree now."""
        theirs: dict[Name, Hash] = {}
        for number in numbers:
            theirs |= self.checks.within(self.ranges[number])
        names = core.difference(ours, theirs)
        kept = names if self.shape.forgets else {name for name in names if name in theirs}
        self.rechecked += len(kept)
        self.standing.suspect(kept)

    def theirs(self) -> dict[Name, Hash]:
        """The open rows as the source has them now."""
        return self.checks.named(row for _, row in self.standing.open)


class System:
    """One system's tables against the entities."""

    def __init__(
        self, settings: Settings, system: str, shapes: Sequence[Shape], entities: Entities, say: Say
    ) -> None:
        [self.source] = preparing.chosen_sources(settings, [system])
        self._settings, self._shapes, self.entities, self._say = settings, shapes, entities, say

    def verify(self, share: float, size: int, *, again: bool = False) -> list[Verified]:
        """All its tables: read one after the other, caught up with once. `again`: what is quarantined is missing."""
        _ready(self._settings, self.source)
        with self.looking() as (connection, caught_up):
            looks = [Look(s, Checksums(connection, s.table, share), again=again) for s in self._shapes]
            # Beside each other: the source mostly rests, and reading the topic needs it for nothing.
            with ThreadPoolExecutor(1) as beside:
                behind = beside.submit(self.entities.to_the_end)
                for look in looks:
                    look.read(size)
                    self._say(f"{look.shape.name}: {sum(r.sum.count for r in look.ranges):,} rows read")
                behind.result()
            lsn = checksum.log_end(connection)
            caught_up.past(lsn)
            self._compare(looks)
            self._rounds(looks, connection, caught_up)
            return [self._verified(look, lsn) for look in looks]

    def agreeing(self, found: Sequence[Divergence]) -> set[tuple[str, Name]]:
        """Those of these rows on which both sides agree by now."""
        named = {(each.table, each.name) for each in found}
        with self.looking() as (connection, caught_up):
            looks = [Look(shape, Checksums(connection, shape.table)) for shape in self._shapes]
            for look in looks:
                look.standing = core.Standing(name for table, name in named if table == look.shape.table.name)
            self._rounds(looks, connection, caught_up)
        apart = {
            (look.shape.table.name, name)
            for look in looks
            for name in (*look.standing.open, *look.standing.confirmed, *look.standing.quarantined)
        }
        return named - apart

    @contextmanager
    def looking(self) -> Iterator[tuple[checksum.Connection, CaughtUp]]:
        """A connection to the source, and the way from its log to the entities."""
        with checksum.reading(self.source.dsn) as connection:
            yield connection, CaughtUp(self._settings, self.source, connection, self.entities)

    def _compare(self, looks: Sequence[Look]) -> None:
        """Sums first; only ranges that differ are looked at by row."""
        by_number = {look.shape.number: look for look in looks}
        for number, (_, row_id), hash_ in self.entities.rows():
            if (look := by_number.get(number)) is not None:
                look.held[look.place(row_id)].add(hash_)
        for some in _some(
            [(number, part) for number, look in by_number.items() for part in look.apart()], looks
        ):
            ours: dict[int, dict[Name, Hash]] = defaultdict(dict)
            for number, name, hash_ in self.entities.rows():
                if number in by_number and (number, by_number[number].place(name[1])) in some:
                    ours[number][name] = hash_
            for number, look in by_number.items():
                look.suspect({part for of, part in some if of == number}, ours[number])

    def _rounds(
        self,
        looks: Sequence[Look],
        connection: checksum.Connection,
        caught_up: CaughtUp,
        rounds: int = ROUNDS,
    ) -> None:
        for _ in range(rounds):
            left = [look for look in looks if look.standing.open]
            if not left:
                return
            self.entities.watch((look.shape, look.standing.open) for look in left)
            theirs = [look.theirs() for look in left]
            caught_up.past(checksum.log_end(connection))
            for look, found in zip(left, theirs, strict=True):
                look.standing.look(self.entities.held(look.shape, look.standing.open), found)

    def _verified(self, look: Look, lsn: int) -> Verified:
        shape, standing = look.shape, look.standing
        found = [
            Divergence(shape.system, shape.table.name, self.entities.kind_of(shape, name[0]), *name, state)
            for name, state in sorted(standing.confirmed.items())
            if state != EXTRA or shape.forgets
        ]
        differing(self.entities, shape, look.checks, [each for each in found if each.state == DIFFERENT])
        return Verified(
            shape.system,
            shape.table.name,
            sum(each.sum.count for each in look.ranges),
            lsn_text(lsn),
            time.time(),
            round(look.seconds, 3),
            look.rechecked,
            len(standing.quarantined),
            len(standing.open),
            [each for each in found if each.state != DIFFERENT or each.columns],
        )


def _some(apart: list[tuple[int, int]], looks: Sequence[Look]) -> Iterator[set[tuple[int, int]]]:
    """Ranges that differ, so many at a time that their rows fit into memory."""
    sizes = {look.shape.number: look.ranges for look in looks}
    some, rows = set[tuple[int, int]](), 0
    for number, part in apart:
        some.add((number, part))
        rows += sizes[number][part].sum.count
        if rows > AT_ONCE:
            yield some
            some, rows = set(), 0
    if some:
        yield some


def _ready(settings: Settings, source: Source) -> None:
    """Capture must run and be past its initial snapshot: before, everything is missing."""
    with preparing.connect(settings) as client:
        [found] = sources.status(client, [source])
    if found.state != "RUNNING" or any(task.state != "RUNNING" for task in found.tasks) or not found.tasks:
        what = f"{found.connector} is {found.state}, its tasks {[task.state for task in found.tasks]}"
        raise EnvironmentFault("verify.not_running", what, "concord sources status")
    if not found.snapshot_finished:
        what = f"the initial snapshot of {found.connector} is not finished"
        raise EnvironmentFault("verify.snapshot_running", what, "wait for it: concord sources status")
