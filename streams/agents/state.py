"""A partition's own state: the value of `partition/<p>` in topic `entity`, written in every chunk's transaction.

Persisted format: append fields with a default, never reorder.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from streams.core.entity import Parity


class Snapshot(Struct, array_like=True):
    """An initial snapshot of one system: rows up to `until` in this partition belong to it."""

    epoch: int
    until: int
    references_done: bool = False
    done: bool = False


class Count(Struct, array_like=True):
    """What a partition answered to a proposed date (kept in partition 0)."""

    as_of: str
    id: str
    due: int
    withdrawn: int
    providers: int


class Beat(Struct, array_like=True):
    """The newest canary of a system that was worked here."""

    beat: int
    committed_us: int
    captured_us: int


class PartitionState(Struct, array_like=True):
    """inputs: topic -> next offset · outcomes: topic -> outcome -> records.

    For each topic the outcomes add up to `consumed` (invariant 5).
    """

    inputs: dict[str, int] = {}
    consumed: dict[str, int] = {}
    outcomes: dict[str, dict[str, int]] = {}
    snapshots: dict[str, Snapshot] = {}
    references: dict[int, int] = {}
    """reference partition -> offset up to which dependents have been decided"""
    rules: str = ""
    """the version of rules, authority and mapping the entities were decided under"""
    as_of: str = ""
    """the newest date seen in a record: what 'today' is to a decision"""
    decided: int = 0
    emitted: int = 0
    late: int = 0
    """views that turned out to be of half a transaction"""
    ticked: str = ""
    """the newest date a tick of `clock` has named"""
    toward: str = ""
    """the version of rules, authority and mapping on the way to which entities are decided again; empty: none"""
    reference_topic: str = ""
    """Kafka's id of topic `reference`, of which `references` are offsets"""
    streamed: dict[str, int] = {}
    """system -> the epoch of which rows were streamed"""
    read_again: dict[str, int] = {}
    """system -> the epoch under which an initial snapshot was taken although rows of it had been streamed"""
    providers: int = -1
    """providers known here; -1: written by a version that didn't count them"""
    proposed: tuple[str, str] | None = None
    """(date, id) of a proposed tick that is still to be answered"""
    counts: dict[int, Count] = {}
    """partition -> its last answer; in partition 0 only"""
    stopped: str = ""
    """the date at which partition 0 has stopped and asked; empty or not after `ticked`: it hasn't"""
    parity: dict[str, dict[str, int]] = {}
    """system -> how it stands (`core.parity`) -> entities"""
    apart: dict[str, dict[str, int]] = {}
    """system -> record.field -> entities of which the system holds something else"""

    canaries: dict[str, Beat] = {}
    """system -> the newest canary that this partition has worked"""

    def count(self, topic: str, outcome: str) -> None:
        """One input record ended in one outcome."""
        self.consumed[topic] = self.consumed.get(topic, 0) + 1
        counts = self.outcomes.setdefault(topic, {})
        counts[outcome] = counts.get(outcome, 0) + 1

    def stand(self, before: Mapping[str, Parity], after: Mapping[str, Parity]) -> None:
        """An entity was decided: how systems stood to it, and how they stand."""
        for times, standing in ((-1, before), (1, after)):
            for system, found in standing.items():
                _add(self.parity.setdefault(system, {}), found.state, times)
                for name in found.fields:
                    _add(self.apart.setdefault(system, {}), name, times)


def _add(counts: dict[str, int], name: str, times: int) -> None:
    counts[name] = counts.get(name, 0) + times
    if not counts[name]:
        del counts[name]


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(PartitionState).decode
