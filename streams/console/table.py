"""One entity's fields, the systems side by side: what each holds, what is true, who owns it and why it won. Pure.

Explanation --side_by_side--> one line a field of a row
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

from streams.operate.contest import Field
from streams.operate.explain import Explanation
from streams.operate.masking import field_class
from streams.systems import EDITING


@dataclass(frozen=True, slots=True)
class Held:
    """What a system holds of a field, in which row of its own."""

    value: Any
    row: str
    refused: str = ""
    differs: bool = False


@dataclass(frozen=True, slots=True)
class Compared:
    """A field of one row: the value that is true, and what each system holds."""

    record: str
    row: str
    field: str
    value: Any
    owners: list[str]
    rule: str
    source: str
    masked: bool
    held: Mapping[str, Held]
    why: list[str] = attribute(default_factory=list)
    """why others' values lost"""

    @property
    def differs(self) -> bool:
        """Whether a system holds something else."""
        return bool(self.why) or any(held.differs for held in self.held.values())


def side_by_side(found: Explanation) -> list[Compared]:
    """Every field that has a value anywhere."""
    said = dict(_held(found))
    return [_compared(found, each, said) for each in found.fields]


Key = tuple[str, str, str, str]


def _held(found: Explanation) -> Iterator[tuple[Key, Held]]:
    """(system, record, row, field): root rows have other ids in every system, and are one row all the same."""
    for row in found.claims:
        if row.deleted:
            continue
        for value in row.values:
            name = "" if row.record == found.kind else row.row
            yield (row.system, row.record, name, value.field), Held(value.value, row.row, value.refused)


def _compared(found: Explanation, each: Field, said: Mapping[Key, Held]) -> Compared:
    name = "" if each.record == found.kind else each.row
    lost = {loser.system for loser in each.lost if loser.value is not None}
    held = {}
    for system in EDITING:
        known = said.get((system, each.record, name, each.field))
        if known is not None:
            held[system] = Held(known.value, known.row, known.refused, system in lost)
    why = [f"{loser.system}: {loser.why}" for loser in each.lost if loser.why]
    masked = field_class(each.record, each.field) == "S1"
    return Compared(
        each.record, each.row, each.field, each.value, each.owners, each.rule, each.source, masked, held, why
    )
