"""Screening: what the lists say of people whom no NPI tells, by name and date of birth, or by a DEA number.

    entity (their names, birth, registrations) --Screen--> matches --since the last screening--> claims.witness

NPI hits are told by `follow`. Topic `entity` is cleared for dates of birth and DEA numbers; of either only a keyed hash
is compared, in memory, and nothing of a person is kept but which row was told of whom. A name alone is never told: it
proves nothing. Rows with an NPI of their own are about whoever holds that. What no longer matches is taken back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from connectors.reference import announcements, dea, leie
from connectors.reference.ledger import Ledger
from connectors.reference.person import Person, person
from connectors.reference.publish import Publisher
from connectors.reference.screening import Listed, candidates, possible_names
from connectors.reference.secret import Secret
from connectors.reference.source import Source
from connectors.reference.store import Folder, decode
from connectors.reference.witness import Claim, Witness, open_all, whole
from streams.errors import InvalidInput

Row = tuple[str, str]
"""(source, key of its row)"""

SCREENED: Mapping[str, Source] = {source.name: source for source in (leie.SOURCE, dea.SOURCE)}


@dataclass(slots=True)
class Screened:
    """What a screening found: people looked at, rows told of them by source, and rows taken back."""

    people: int = 0
    told: dict[str, int] = field(default_factory=dict)
    taken_back: int = 0


class Screen:
    """One pass over everybody. `witnesses`: the lists that are loaded, open."""

    def __init__(self, witnesses: Mapping[str, Witness], secret: Secret) -> None:
        self._witnesses = witnesses
        self._secret = secret
        self.people: set[str] = set()
        self.found: dict[str, set[Row]] = {}
        """provider -> rows; topic `entity` may hold several states of one: the last one counts"""

    def look_at(self, who: Person) -> None:
        self.people.add(who.id)
        rows = {*self._by_name(who), *self._by_number(who)}
        if rows:
            self.found[who.id] = rows
        else:
            self.found.pop(who.id, None)

    def _by_name(self, who: Person) -> Iterator[Row]:
        lists = self._witnesses.get(leie.SOURCE.name)
        born = self._secret.birth(who.born)
        for last, first in who.names if lists and born else ():
            assert lists is not None
            listed = self._listed(lists, last)
            for match in (
                m for state in who.states or (None,) for m in candidates(listed, last, first, born, state)
            ):
                if match.match != "name_only":
                    yield lists.source.name, match.row

    def _listed(self, lists: Witness, last: str) -> list[Listed]:
        rows = ((key, decode(body)) for key, body in lists.named(possible_names(last)))
        return [
            Listed(key, *(said.get(name) for name in ("last_name", "first_name", "dob_hash", "state")))
            for key, said in rows
            if said.get("last_name") and not said.get("leie_npi")
        ]

    def _by_number(self, who: Person) -> Iterator[Row]:
        lists = self._witnesses.get(dea.SOURCE.name)
        for number in who.registrations if lists else ():
            assert lists is not None
            key = dea.key_of(number, self._secret)
            if lists.row(key) is not None:
                yield lists.source.name, key

    def claims(self, before: set[tuple[str, str, str]], at: int) -> Iterator[Claim]:
        """What is so now, and None for what was told and is so no longer."""
        now = {(name, row, who) for who, rows in self.found.items() for name, row in rows}
        for name, row, who in sorted(now | before):
            if name in self._witnesses:
                yield self._claim(self._witnesses[name], row, who, at, holds=(name, row, who) in now)

    def _claim(self, lists: Witness, row: str, who: str, at: int, *, holds: bool) -> Claim:
        source, version = lists.source, lists.version
        assert source.record is not None
        said = lists.row(row) if holds else None
        return Claim(
            witness=source.name,
            kind="provider",
            id=who,
            record=source.record,
            row=row,
            # Rises with each load, and with each screening of one load.
            position=(version.load, 0, at),
            as_of=version.as_of,
            values=whole(source.record, said) if said is not None else None,
        )


def screen(
    folder: Folder,
    kafka: str,
    prefix: str,
    partitions: int,
    publisher: Publisher | None = None,
    now: Callable[[], float] = time.time,
) -> Screened:
    """Everybody in topic `entity` against the lists that are loaded."""
    secret = folder.secret()
    with ExitStack() as stack, Ledger(folder) as ledger:
        witnesses = {w.source.name: stack.enter_context(w) for w in open_all(folder, SCREENED.values())}
        for witness in witnesses.values():
            _under(witness, secret)
        pass_over = Screen(witnesses, secret)
        for partition in range(partitions):
            for value in announcements.states(kafka, f"{prefix}entity", partition, b"provider/"):
                pass_over.look_at(person(value))
        before = ledger.matched()
        (publisher or Publisher(kafka, prefix)).send(pass_over.claims(before, int(now() * 1000)))
        # Invariant 2: remembered only after the claims are confirmed.
        return _remember(ledger, pass_over, before, witnesses)


def _under(witness: Witness, secret: Secret) -> None:
    if witness.version.secret != secret.fingerprint:
        name = witness.source.name
        what = f"{name} was loaded under another screening.key: nobody would match, which is not clear"
        raise InvalidInput("reference.key", what, f"load {name} again")


def _remember(
    ledger: Ledger, pass_over: Screen, before: set[tuple[str, str, str]], witnesses: Mapping[str, Witness]
) -> Screened:
    now = {(name, row, who) for who, rows in pass_over.found.items() for name, row in rows}
    kept = {match for match in before if match[0] not in witnesses}
    ledger.remember_matches(now | kept)
    told = {name: sum(match[0] == name for match in now) for name in witnesses}
    return Screened(len(pass_over.people), told, len(before - now - kept))
