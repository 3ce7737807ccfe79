"""Target verification: does each system hold the view it confirmed? In two steps that meet in what is held.

    the system's tables = held     every row, as its database has it now (the verification of it as a source)
    held = the view it confirmed   every entity, field by field, by authority and what counts as equal (`core.unheld`)

So a write behind the platform's back is found whether or not capture saw it, and one the adapter never did, too. Repair
sends again, under a new revision, what the system has lost; reads the rows that differ, so that what somebody changed
there is judged as an edit and never just overwritten; and sends again what the system still doesn't hold of its view.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

import structlog
from confluent_kafka import Message

from connectors.checksum import SHARE
from connectors.described import DESCRIBED
from schemas.authority import load_authority
from streams.agents.control import AssertAgain, encode
from streams.agents.state import decode as decode_state
from streams.core import entity as core_entity
from streams.core.entity import Entity
from streams.core.parity import EQUAL
from streams.core.unheld import unheld
from streams.core.verify import EXTRA
from streams.errors import InvalidInput
from streams.operate import reading
from streams.operate.audit.act import act
from streams.operate.find import Finder
from streams.operate.preparing import Say
from streams.operate.quarantine.send import Outgoing, Sender
from streams.operate.verify import repair
from streams.operate.verify.book import Book
from streams.operate.verify.entities import PARTITION, PATIENCE
from streams.operate.verify.found import Verified
from streams.operate.verify.repair import Bounds
from streams.operate.verify.run import verify_source
from streams.operate.verify.source import kept
from streams.placing import partition_of
from streams.settings import Settings, need
from streams.systems import ADAPTED, TAKEN

log = structlog.get_logger(__name__)

POLL = 0.2


@dataclass(slots=True)
class Unheld:
    """An entity of which a system does not hold the view it confirmed: `record/row/field`, never a value."""

    entity: str
    subjects: list[str]
    repaired: bool = False


@dataclass(slots=True)
class Target:
    """One system: its tables against what is held of them, and what is held against the views it confirmed."""

    system: str
    tables: list[Verified]
    entities: int
    equal: int
    at: float
    unheld: list[Unheld] = field(default_factory=list)

    @property
    def diverges(self) -> bool:
        """Whether something is left that was not repaired."""
        return any(table.standing for table in self.tables) or any(not each.repaired for each in self.unheld)


def verify_target(
    settings: Settings,
    systems: Iterable[str] = (),
    *,
    bounds: Bounds | None = None,
    by: str = "",
    cause: str = "",
    share: float = SHARE,
    say: Say = lambda text: None,
) -> list[Target]:
    """Verify these targets (none: every one behind a database); with `bounds`, repair what diverges."""
    wanted = list(systems) or [system for system in ADAPTED if system not in settings.apis]
    return [_verify(settings, system, bounds, by, cause, share, say) for system in wanted]


def written(system: str) -> Collection[str]:
    """The tables of a target that the platform writes."""
    return DESCRIBED[system].written().keys()


def _verify(
    settings: Settings, system: str, bounds: Bounds | None, by: str, cause: str, share: float, say: Say
) -> Target:
    if system not in DESCRIBED or system in settings.apis:
        step = f"one of: {', '.join(s for s in DESCRIBED if s not in settings.apis)}"
        raise InvalidInput("verify.unknown", f"no target {system!r} whose tables can be read", step)
    names = [f"{system}.{table}" for table in kept(system) if table in written(system)]
    tables = verify_source(settings, names, share=share, say=say)
    views = Views(settings, system)
    if bounds is not None and any(table.standing for table in tables):
        repair.check(tables, bounds)
        # What it lost first, while the platform still takes it for held: a deletion that is known is somebody's word.
        views.assert_again(views.of_lost_rows(tables), by, cause, say)
        left = verify_source(settings, names, bounds=bounds, by=by, cause=cause, share=share, say=say)
        _settle(tables, left)
    target = views.target(tables)
    say(f"{system}: {target.entities:,} entities, {target.equal:,} of them equal to their view")
    if bounds is not None:
        views.repair(target, by, cause, say)
    return target


def _settle(tables: Iterable[Verified], left: Iterable[Verified]) -> None:
    """What diverged at first and doesn't any more is repaired."""
    standing = {(each.table, each.name) for table in left for each in table.standing}
    for table in tables:
        for each in table.divergences:
            each.repaired = (each.table, each.name) not in standing


class Views:
    """What one system is held to have, against the views it confirmed."""

    def __init__(self, settings: Settings, system: str) -> None:
        self._settings, self._system = settings, system
        self._kafka: str = need(settings.kafka, "CONCORD_KAFKA")
        self._kinds = tuple(f"{kind}/".encode() for kind in TAKEN[system])
        self._authority = load_authority()

    def target(self, tables: list[Verified]) -> Target:
        """Every entity; what stands out is looked at again, since it may have been on its way."""
        found = Target(self._system, tables, 0, 0, time.time())
        suspects: dict[bytes, list[str]] = {}
        for key, entity, as_of in self._entities():
            standing = entity.parity.get(self._system)
            found.entities += standing is not None
            found.equal += standing is not None and standing.state == EQUAL
            if subjects := unheld(entity, self._system, self._authority, as_of):
                suspects[key] = subjects
        again = self._unheld(suspects) if suspects else {}
        found.unheld = [
            Unheld(key.decode(), subjects)
            for key, subjects in sorted(suspects.items())
            if again.get(key) == subjects
        ]
        return found

    def repair(self, target: Target, by: str, cause: str, say: Say = lambda text: None) -> None:
        """Send the views that are not held once more, and note which of them are by now."""
        left = self.assert_again({each.entity for each in target.unheld}, by, cause, say)
        for each in target.unheld:
            each.repaired = each.entity not in left

    def sent(self) -> dict[str, int]:
        """Every entity that was sent a view, with the revision of the last."""
        return {
            key.decode(): view.revision
            for key, entity, _ in self._entities()
            if (view := entity.sent.get(self._system)) is not None
        }

    def assert_again(
        self,
        names: Iterable[str],
        by: str,
        cause: str,
        say: Say = lambda text: None,
        patience: float = PATIENCE,
    ) -> set[str]:
        """Send these entities' views once more; those that the system does not hold in time, or that it never had."""
        wanted = set(names)
        before = self._revisions(wanted)
        if not before:
            return wanted
        number = f"concord-repair-{uuid.uuid4().hex[:12]}"
        told = act(
            self._settings,
            by,
            "views.assert_again",
            why=cause,
            subject=self._system,
            correlation=number,
            before=before,
        )
        with told, Book(self._settings) as book:
            book.asserted(number, self._system, sorted(before), by, cause)
            self._send(before, number)
        say(f"{self._system}: {len(before):,} views are asserted again")
        left = self._until_held(before, patience) | wanted - before.keys()
        log.info(
            "verify.asserted", system=self._system, repair=number, views=len(before), left=len(left), by=by
        )
        return left

    def _revisions(self, names: Iterable[str]) -> dict[str, int]:
        """The view each was sent last, of those that were sent one."""
        with Finder(self._settings) as finder:
            found = {each.name: each.entity.sent.get(self._system) for each in finder.get_many(names)}
        return {name: sent.revision for name, sent in found.items() if sent is not None}

    def _send(self, names: Iterable[str], number: str) -> None:
        with closing(Sender(self._kafka)) as sender:
            sender.send(self._again(name, number) for name in sorted(names))

    def _again(self, name: str, number: str) -> Outgoing:
        kind, _, entity_id = name.partition("/")
        value = encode(AssertAgain(self._system, kind, entity_id, number))
        place = self._settings.topic("clock"), partition_of(entity_id.encode(), self._settings.partitions)
        return Outgoing(*place, b"assert-again", value, [])

    def _until_held(self, before: Mapping[str, int], patience: float) -> set[str]:
        """Those whose view the system doesn't hold in time."""
        deadline, left = time.monotonic() + patience, set(before)
        with Finder(self._settings) as finder:
            while left and time.monotonic() < deadline:
                time.sleep(POLL)
                found = finder.get_many(left)
                left -= {each.name for each in found if self._holds(each.entity, before[each.name])}
        return left | {key.decode() for key in self._unheld(name.encode() for name in before)}

    def _holds(self, entity: Entity, before: int) -> bool:
        """A later view than that, confirmed."""
        sent, confirmed = entity.sent.get(self._system), entity.confirmed.get(self._system)
        if entity.dirty is not None or sent is None or confirmed is None:
            return False
        return confirmed.revision >= sent.revision > before

    def of_lost_rows(self, tables: Iterable[Verified]) -> set[str]:
        """Whose rows the system has lost: as entities of the master."""
        lost = {each.key for table in tables for each in table.divergences if each.state == EXTRA}
        return {
            f"{key.decode().partition('/')[0].partition('.')[2]}/{local.link.entity_id}"
            for key, local, _ in (self._entities(lost) if lost else ())
            if local.link is not None and local.link.entity_id
        }

    def _unheld(self, keys: Iterable[bytes]) -> Mapping[bytes, list[str]]:
        return {
            key: subjects
            for key, entity, as_of in self._entities(set(keys))
            if (subjects := unheld(entity, self._system, self._authority, as_of))
        }

    def _entities(self, keys: set[bytes] | None = None) -> Iterator[tuple[bytes, Entity, str]]:
        """(key, entity, the date that is today to its decisions): those wanted, or all that get views."""
        for number in range(self._settings.partitions):
            places, as_of = self._places(number, keys)
            for message in self._read(number) if places else ():
                if places.get(message.key() or b"") == message.offset():
                    yield message.key() or b"", core_entity.decode(message.value() or b""), as_of

    def _places(self, number: int, keys: set[bytes] | None) -> tuple[dict[bytes, int], str]:
        """Where the newest record of each entity stands: the records of a partition need not fit into memory."""
        found: dict[bytes, int] = {}
        as_of = ""
        for message in self._read(number):
            key = message.key() or b""
            if key.startswith(PARTITION):
                as_of = decode_state(message.value() or b"\x90").as_of
            elif key in keys if keys is not None else key.startswith(self._kinds):
                found.pop(key, None)
                if message.value() is not None:
                    found[key] = message.offset() or 0
        return found, as_of

    def _read(self, number: int) -> Iterator[Message]:
        return reading.read(self._kafka, reading.beginnings(self._settings.topic("entity"), [number]))
