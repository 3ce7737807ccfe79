"""What a system was told and doesn't hold: its last confirmed view against every row that is known of it there.

    sent view, confirmed revision, held rows --> Difference that no finding, no edit and no rule explains

The decision looks at rows written since the last confirmation (`edit`); this looks at all of them, however old. Only
where the decision found both sides equal: whatever it knows to differ is on its way, or somebody has been told. For the
verification of targets; never decides anything and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from streams.core import held
from streams.core.authority import Authority
from streams.core.entity import Entity
from streams.core.parity import EQUAL
from streams.core.view import VIEWS, WITHDRAWN, View


def unheld(entity: Entity, system: str, authority: Authority, as_of: str) -> list[str]:
    """`record/row/field` of what the system should hold and doesn't; never a value."""
    standing = entity.parity.get(system)
    if standing is None or standing.state != EQUAL or entity.dirty is not None or system in entity.again:
        return []
    view = VIEWS[entity.kind][system].decode(entity.sent[system].content)
    return [] if view.status == WITHDRAWN else sorted(_apart(entity, system, view, authority, as_of))


def _apart(entity: Entity, system: str, view: View, authority: Authority, as_of: str) -> Iterator[str]:
    tables = entity.claims.get(system, {})
    roots = tables.get(entity.kind, {})
    if all(claim.is_deleted for claim in roots.values()):
        yield f"{entity.kind}//{entity.kind}_id"
    for row_id, claim in roots.items():
        for found in held.of_root(entity.kind, system, row_id, claim, [view], authority):
            yield f"{found.record}/{found.row_id}/{found.field}"
    for record, below in held.BELOW.items():
        rows = tables.get(record, {})
        for found in held.of_below(system, record, rows, rows, [view], authority, as_of):
            yield f"{found.record}/{found.row_id}/{found.field}"
        parts = getattr(view, below.parts, None) if below.begin else None
        if parts and len(held.current(record, rows, as_of)) < len(parts):
            yield f"{record}//{below.begin}"
