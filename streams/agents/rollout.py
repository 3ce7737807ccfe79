"""Which rules, authority and mapping a partition is decided under, and the way from one version to the next.

    files' generations, RULES_VERSION --Version--> check against partition/<p> --> decide again, or leave it

A partition's state names the version its entities were decided under and, from the first decision under another one on
(same transaction), the one it is on the way to. A worker whose version is not the newest a partition has seen never
decides there: so old and new workers side by side cannot publish alternately.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from schemas import contracts
from streams.engine.store import Store
from streams.errors import InvalidInput

RULES_VERSION = 8
"""Raised with every change of what the core decides; the files have versions of their own."""
Relation = Literal["same", "newer", "older", "edited", "crossed"]
UPGRADE = "install the newer version here, and start the worker again"
RAISE = "raise `version` in the files that were changed and start it again; while developing, `concord worker --accept`"


@dataclass(frozen=True, slots=True)
class Version:
    """Generation numbers of what decides, and a digest of what the files say."""

    numbers: Mapping[str, int] = field(default_factory=dict)
    digest: str = ""

    def __str__(self) -> str:
        words = [f"{name}={number}" for name, number in self.numbers.items()]
        return " ".join([*words, *([f"digest={self.digest}"] if self.digest else [])])

    def to(self, other: Version) -> Relation:
        """How this one stands to another."""
        names = self.numbers.keys() | other.numbers.keys()
        steps = {_sign(self.numbers.get(name, 0) - other.numbers.get(name, 0)) for name in names} - {0}
        if len(steps) > 1:
            return "crossed"
        if steps:
            return "newer" if steps == {1} else "older"
        return "same" if self.digest == other.digest else "edited"


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def installed() -> Version:
    """The version of this installation: its code, and its files."""
    return Version({"rules": RULES_VERSION, **contracts.generations()}, contracts.digest())


def parse(text: str) -> Version:
    """A version as a partition's state holds it; a number alone is one of the time when only rules had one."""
    if not text or text.isdigit():
        return Version({"rules": int(text)} if text else {})
    words = dict(word.partition("=")[::2] for word in text.split())
    digest = words.pop("digest", "")
    return Version({name: int(number) for name, number in words.items()}, digest)


def check(partition: int, own: str, found: str) -> None:
    """InvalidInput when a worker of version `own` may not decide on a partition that has seen `found`."""
    relation = parse(own).to(parse(found))
    if relation not in ("same", "newer"):
        raise _refused(partition, relation, own, found)


def _refused(partition: int, relation: Relation, own: str, found: str) -> InvalidInput:
    match relation:
        case "older":
            code, why, step = "older", "a newer version", UPGRADE
        case "edited":
            code, why, step = "edited", "other files of the same version numbers", RAISE
        case _:
            code, why, step = "crossed", "a version that is newer in some numbers and older in others", RAISE
    what = f"partition {partition} was decided under {why}: {found}; this worker has {own}"
    return InvalidInput(f"rollout.{code}", what, step)


class Again:
    """The deciding again of everybody in one partition: paced, and how far it is. Its memory is one key."""

    def __init__(self, store: Store | None = None) -> None:
        self.total = sum(1 for _ in store.entity_keys()) if store is not None else 0
        self.done = 0
        self.running = store is not None
        self._after = b""

    def take(self, store: Store, room: int) -> list[bytes]:
        """The next so many keys, in order; fewer than asked for are the last."""
        if not self.running:
            return []
        found = list(islice(store.entity_keys(self._after), room))
        self.done += len(found)
        self._after = found[-1] if found else self._after
        self.running = len(found) == room
        return found
