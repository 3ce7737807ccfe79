"""What each sink was told, value by value, with the committed row each value came from.

The last view an entity sent, read against `provenance` and the claims of the entity and its references. Pure; used
by `explain`. S1 values are masked before they enter the answer (invariant 11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streams.core import view
from streams.core.authority import Authority
from streams.core.change import position_text
from streams.core.entity import Claim, Entity, Golden, golden
from streams.operate.contest import winners
from streams.operate.masking import mask, restricted_paths
from streams.operate.provenance import Leaf, Scene, rows, told_of
from streams.operate.wording import column_of, table_of, time_text


@dataclass(frozen=True, slots=True)
class Origin:
    """The source of a view's value: a field of a row that a system committed, and who owns the field."""

    system: str
    entity: str
    record: str
    table: str
    row: str
    field: str
    column: str
    owner: str
    position: str
    txid: int
    committed_at: str


@dataclass(frozen=True, slots=True)
class Told:
    """One value a sink was told, the column it stands in there, and where it came from."""

    path: str
    column: str
    value: Any
    origins: list[Origin]
    how: str = ""


@dataclass(frozen=True, slots=True)
class Sink:
    """The last view a sink was sent."""

    system: str
    revision: int
    status: str
    reason: str | None
    values: list[Told]


class Telling:
    """One entity's views, with everything its decision looked at."""

    def __init__(
        self,
        entity: Entity,
        record: Golden,
        references: Mapping[str, Entity],
        authority: Authority,
        as_of: str,
    ) -> None:
        known = {name: golden(other, authority) for name, other in references.items()}
        self._entity = entity
        self._authority = authority
        self._entities = {**references, f"{entity.kind}/{entity.id}": entity}
        self._scene = Scene(record, lambda kind, entity_id: known.get(f"{kind}/{entity_id}"), as_of)

    def sinks(self) -> list[Sink]:
        """Every sink's last view; the broadcast to topic `reference` is no sink."""
        sinks = view.VIEWS.get(self._entity.kind, {})
        return [self._sink(name) for name in sorted(self._entity.sent) if name in sinks]

    def _sink(self, system: str) -> Sink:
        sent, kind = self._entity.sent[system], self._entity.kind
        content = view.named(view.VIEWS[kind][system].decode(sent.content))
        table, restricted = told_of(system, kind), restricted_paths(system, kind)
        told = [
            self._told(
                path, mask(value) if plain_path(path) in restricted else value, item, table[plain_path(path)]
            )
            for path, value, item in values(content)
            if plain_path(path) in table
        ]
        return Sink(system, sent.revision, content["status"], content.get("reason"), told)

    def _told(self, path: str, value: Any, item: Mapping[str, Any], leaf: Leaf) -> Told:
        scene = Scene(self._scene.golden, self._scene.look, self._scene.as_of, item)
        found = [pair for source in leaf.sources for pair in self._claims(source, scene)]
        if leaf.first and value is not None:
            found = [
                (claim, o) for claim, o in found if getattr(claim.row(o.record), o.field, None) is not None
            ][:1]
        return Told(path, leaf.column, value, [origin for _, origin in found], leaf.how)

    def _claims(self, source: str, scene: Scene) -> Iterator[tuple[Claim, Origin]]:
        """Whose word the field's rule takes; where nobody says anything, the row that could."""
        record, _, field = source.partition(".")
        rule = self._authority.rules[record][field]
        for name, row_id in rows(scene, record):
            entity = self._entities.get(name)
            if entity is None:
                continue
            won = winners(entity, record, row_id, field, rule)
            owner = self._authority.owners[record][field]
            silent = entity.claims.get(owner, {}).get(record, {}).get(row_id)
            for system, row, claim in won or ([(owner, row_id, silent)] if silent is not None else []):
                yield claim, _origin(system, name, record, row, field, claim)


def _origin(system: str, entity: str, record: str, row_id: str, field: str, claim: Claim) -> Origin:
    return Origin(
        system,
        entity,
        record,
        table_of(system, record),
        row_id,
        field,
        column_of(system, record, field),
        system,
        position_text(claim.position),
        claim.txid,
        time_text(claim.committed_us),
    )


def values(content: Mapping[str, Any]) -> Iterator[tuple[str, Any, Mapping[str, Any]]]:
    """(path, value, the list item it stands in) of every value of a view: `listings[0].city`."""
    for name, value in content.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value):
                yield from ((f"{name}[{number}].{key}", inner, item) for key, inner in item.items())
        else:
            yield name, value, {}


def plain_path(path: str) -> str:
    """`listings[3].city` -> `listings[].city`."""
    return re.sub(r"\[\d+\]", "[]", path)
