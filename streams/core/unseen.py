"""Unseen: what nobody may pass over in silence of what people said of proposals, and of what they didn't.

    proposals, claims of stewardship --> rulings from which nothing follows, ends without anybody's doing --> finding

Beside ruling. It stays until somebody has remarked on the proposal since (a row of `comment`), or what it says has
changed. Never judges a proposal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from streams.core.canonical import Comment, Ruling
from streams.core.canonical import Proposal as ProposalRow
from streams.core.change import Position
from streams.core.entity import STEWARDSHIP, Entity
from streams.core.ruling import (
    ENDS,
    EXPIRED,
    OPEN,
    VOIDED,
    WAITING,
    WITHDRAW,
    has_missed,
    is_about,
    rows_of,
    subject_of,
)


def rulings(entity: Entity) -> Iterator[tuple[str, str]]:
    """(what is wrong, ruling id) of rulings from which nothing follows, so that none is passed over in silence."""
    if STEWARDSHIP not in entity.claims:
        return
    states = {i: row.state for i, row in rows_of(entity, "proposal", ProposalRow) if row.state in ENDS}
    states |= entity.closed | {p.id: p.state for p in entity.proposals}
    known = dict(rows_of(entity, "proposal", ProposalRow)) | {p.id: p for p in entity.proposals}
    for ruling_id, ruling in rows_of(entity, "ruling", Ruling):
        number = str(ruling.proposal_id)
        meant = number not in known or is_about(ruling, known[number])
        state = states.get(number) if meant else None
        if state in WAITING or (state in OPEN and ruling.decision == WITHDRAW):
            yield "ruling.unsigned", ruling_id
        elif (state is None or _is_late(entity, ruling_id, number)) and not _commented(
            entity, number, entity.claims[STEWARDSHIP]["ruling"][ruling_id].position
        ):
            yield "ruling.unknown" if state is None else "ruling.late", ruling_id


def _is_late(entity: Entity, ruling_id: str, number: str) -> bool:
    """Whether it was written when its proposal stood there as ended."""
    tables = entity.claims[STEWARDSHIP]
    claim = tables.get("proposal", {}).get(number)
    row = claim.image("proposal") if claim is not None else None
    ended = isinstance(row, ProposalRow) and row.state in ENDS
    return claim is not None and ended and tables["ruling"][ruling_id].position > claim.position


def ends(entity: Entity) -> Iterator[tuple[str, str]]:
    """(what is wrong, proposal) of those that ended without anybody's doing, until somebody has commented on it, or
    it is proposed again."""
    again = {proposal.subject for proposal in entity.proposals}
    for number, state in entity.closed.items():
        missed = state == VOIDED and has_missed(entity, number)
        if (missed or state == EXPIRED) and not _is_seen(entity, number, again):
            yield "request.missed" if missed else "proposal.expired", number


def _is_seen(entity: Entity, number: str, again: Collection[str]) -> bool:
    """Nobody can look at what stewardship was never shown."""
    claim = entity.claims.get(STEWARDSHIP, {}).get("proposal", {}).get(number)
    row = claim.image("proposal") if claim is not None else None
    if claim is None or not isinstance(row, ProposalRow) or subject_of(row) in again:
        return True
    return _commented(entity, number, claim.position)


def _commented(entity: Entity, number: str, since: Position) -> bool:
    """Whether somebody has remarked on a proposal since."""
    comments = entity.claims[STEWARDSHIP].get("comment", {}).values()
    said = ((claim.position, claim.image("comment")) for claim in comments)
    return any(
        isinstance(comment, Comment) and str(comment.proposal_id) == number and position >= since
        for position, comment in said
    )
