"""The sink port: what a system must be able to do to receive views.

    sink.<system>.<kind> --intake--> View --deliver--> Target.apply(Batch) --> Outcome per view

Values and one Protocol; no I/O. Every target (PostgreSQL, memory, an API later) passes the same contract
suite (tests/contract/test_targets.py). Never decides what is true: a view is applied as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

from streams.errors import ConcordError, Terminal
from streams.systems import TAKEN

Row: TypeAlias = dict[str, Any]

# What others refer to comes first within a batch, so that a provider rarely waits for its location.
RANK = {"location": 0, "organization": 1, "provider": 2}
KINDS: Mapping[str, tuple[str, ...]] = {
    system: tuple(sorted(kinds, key=RANK.__getitem__)) for system, kinds in TAKEN.items()
}
"""system -> the kinds whose views it is sent"""


class Partition(NamedTuple):
    """One partition of one incarnation of a topic: a re-created topic has another id and other offsets."""

    topic: str
    partition: int
    topic_id: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """One view as read from its sink topic; `revision` alone decides whether it is newer."""

    kind: str
    entity_id: str
    revision: int
    content: Row
    topic: str = ""
    partition: int = -1
    offset: int = -1
    committed_us: int | None = None
    position: str = ""
    written_ms: int | None = None
    """when the record was written into its topic; unknown of a view that waited in the target"""

    @property
    def withdrawn(self) -> bool:
        return bool(self.content.get("status") == "withdrawn")

    def tells(self, name: str) -> bool:
        """A withdrawn view without content leaves the root row as it is: its names are still needed."""
        return not self.withdrawn or self.content.get(name) is not None

    @property
    def identity(self) -> tuple[str, str]:
        return self.kind, self.entity_id


@dataclass(frozen=True, slots=True)
class Batch:
    """Views to apply (at most one per entity, references first) and what stands or falls with them.

    `offsets`: the next offset per partition, stored in the same transaction. `discard`: views that ended as
    failed; a deferred view of theirs, as old or older, is forgotten.
    """

    views: Sequence[View] = ()
    offsets: Mapping[Partition, int] = field(default_factory=dict)
    discard: Sequence[View] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """The target holds this revision now."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """The target, or this very batch, holds a revision at least as new; nothing was written."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """Kept in the target until `waits_for` is there; nothing else was written."""

    waits_for: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The target refuses this one view; a receipt says so. The message never holds a value."""

    code: str
    message: str


Outcome: TypeAlias = Applied | Superseded | Deferred | Failed


class Refused(ConcordError, Terminal):
    """At least one view of the batch is bad for the target; nothing of the batch was written."""


class Target(Protocol):
    """A system that receives views. All or nothing per call; safe with several processes on one system.

    apply      One outcome per view, in order. A view is applied only when its revision is newer than the one
               held or deferred, so any replay is a no-op (Invariant 3) and an older process cannot undo a
               newer one. Offsets are stored in the same transaction and never move backwards within a topic
               id. Writes no column the system owns (Invariant 9). Raises Refused for bad data, Unavailable
               or EnvironmentFault for a system fault; after any of them nothing is written.
               A system behind an API has no transaction: what it took of the batch stays taken and is a
               no-op when sent again, one view that it refuses ends as Failed with its receipt confirmed
               (never as Refused), and offsets are stored after all before them was settled.
    release    Deferred views whose wait is over, oldest first, at most a thousand. They stay deferred until
               `apply` got them, so a crash in between loses nothing.
    offsets    The stored next offset of those partitions whose topic id is the same; others are absent.
    close      Gives up connections. Later calls may open them again.
    """

    def apply(self, batch: Batch) -> list[Outcome]: ...

    def release(self) -> list[View]: ...

    def offsets(self, partitions: Sequence[Partition]) -> dict[Partition, int]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Request:
    """What a view means in a system's own tables: pure data, built by connectors/<system>/request.py.

    `root`: the root row's columns, None when the root row is left as it is. `children`: rows of the one table
    below it. Values that are references (`location/<id>`) are replaced by the target's own ids when written;
    `needs` names them, and the view waits while one of them is missing.
    """

    view: View
    root: Row | None
    children: tuple[Row, ...] = ()
    needs: frozenset[str] = frozenset()


def reference(kind: str, *names: str | None) -> str:
    """`location/<id>`; several names stand as a JSON array, so that no separator can occur in one."""
    return f"{kind}/{names[0] if len(names) == 1 else json.dumps(names)}"


def newest(views: Iterable[View]) -> tuple[list[View], list[View]]:
    """The newest view per entity, references first and by key (one lock order), and those it supersedes."""
    kept: dict[tuple[str, str], View] = {}
    older: list[View] = []
    for view in views:
        held = kept.get(view.identity)
        if held is None or view.revision > held.revision:
            kept[view.identity] = view
            older += [held] if held else []
        else:
            older.append(view)
    return sorted(kept.values(), key=delivery_order), older


def kind_of(topic: str) -> str:
    return topic.rpartition(".")[2]


def is_reference(topic: str) -> bool:
    return kind_of(topic) != "provider"


def delivery_order(view: View) -> tuple[int, str]:
    return RANK.get(view.kind, 9), view.entity_id
