"""Carried: which row of its owner an approved change means, or why the platform can't ask for it.

    proposal, golden record, the proposing row --> the owner's own id of the row | why nobody is asked

Sits between ruling and worklist. Of its own row an entity has one; of rows below it every system has ids of its own, so
the owner's is the one that says what was proposed against, and, of several, what the proposing row says besides. One
row that fits is meant; none or several mean none: a guess would change the wrong one. Never writes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from streams.core import ruling
from streams.core.authority import PRECEDENCE, Authority
from streams.core.canonical import Row
from streams.core.entity import Claim, Entity, Golden, Proposal
from streams.core.equivalent import equivalent
from streams.core.held import BELOW
from streams.core.ruling import OWNER

ASKED, NO_OWNER, NO_ROW = "asked", "owner", "row"
"""Its owner is asked; its owner takes no requests; no single row of the owner's is meant."""


def way(entity: Entity, golden: Golden, proposal: Proposal, authority: Authority) -> str:
    """How an approved change comes true: ASKED, or why a person must enter it."""
    rule = ruling.rule_of(authority, proposal)
    speaks = rule.owners[:1] if rule.kind == PRECEDENCE else rule.owners  # whose change would be true
    if OWNER not in speaks or authority.keepers.get(proposal.record) != OWNER:
        return NO_OWNER
    return ASKED if row_meant(entity, golden, proposal) is not None else NO_ROW


def row_meant(entity: Entity, golden: Golden, proposal: Proposal) -> str | None:
    """The owner's id of the row that a proposal means."""
    rows = golden.named(proposal.record)
    if proposal.record == golden.kind:
        return next(iter(rows), None)
    found = {i: row for i, row in rows.items() if _says(row, proposal.field, proposal.against)}
    if len(found) > 1:
        besides = list(_besides(entity, proposal))
        found = {
            i: row for i, row in found.items() if all(_says(row, field, said) for field, said in besides)
        }
    return next(iter(found)) if len(found) == 1 else None


def _says(row: Row, field: str, value: Any) -> bool:
    return equivalent(field, value, getattr(row, field))


def _besides(entity: Entity, proposal: Proposal) -> Iterator[tuple[str, Any]]:
    """(field, value): what else the proposing row says of the same record, as it holds it now."""
    tables = entity.claims.get(proposal.system, {})
    below = BELOW.get(proposal.record)
    claim = tables.get(proposal.record if below else entity.kind, {}).get(proposal.row_id)
    if claim is None:
        return
    for field, value in _aside(claim, proposal.record).items() if below is None else _own(claim, proposal):
        if field != proposal.field:
            yield field, value


def _aside(claim: Claim, record: str) -> Mapping[str, Any]:
    paths = ((path.partition("."), value) for path, value in claim.beside.items())
    return {field: value for (of, _, field), value in paths if of == record}


def _own(claim: Claim, proposal: Proposal) -> Iterator[tuple[str, Any]]:
    row = claim.image(proposal.record)
    fields = (field for field in BELOW[proposal.record].fields if "." not in field)
    return ((field, getattr(row, field)) for field in fields) if row is not None else iter(())
