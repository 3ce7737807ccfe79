"""Edits: what a system holds that the platform didn't tell it, and whether it may.

    claims, what was sent, what was confirmed, authority --> Edit --> asserted again, proposed, in conflict, let be

Sits beside the finding stage. A row is judged only once its system has confirmed a view: before, whatever differs is on
its way. What an owner changes is no edit here: it is a claim and became the golden value. The platform's own rows are
no edits either (invariant 8); where they differ from the view, something in the system altered them. Never looks at
another entity and never writes anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Raw, Struct

from streams.core import held
from streams.core.authority import AUTO_ACCEPT, CONFLICT, PROPOSE, REVERT, UNION, Authority, Rule
from streams.core.change import Position
from streams.core.entity import Claim, Confirmed, Entity, Judged, Proposal
from streams.core.held import Difference
from streams.core.ruling import VOIDED, close, is_refused
from streams.core.view import VIEWS, View, encode

ALTERED = "altered"
"""Not an edit: the platform's own write came out different."""

_OVERRULED = (REVERT, PROPOSE, AUTO_ACCEPT, ALTERED)
ABOVE_53_BITS = 11
"""A proposal's number fits what every reader of JSON takes for an integer."""
PER_DAY = 5
"""Times a field is asserted again on one day before it counts as a conflict and is left alone."""


class Edit(Struct, frozen=True):
    """A value that stands in a system which doesn't own the field."""

    system: str
    record: str
    row_id: str
    field: str
    policy: str
    position: Position
    rule: Rule
    current: Any
    """what the platform would have it hold"""
    offered: Any
    """what it holds"""

    @property
    def subject(self) -> str:
        """`system/record/row/field`: never a value."""
        return f"{self.system}/{self.record}/{self.row_id}/{self.field}"


def standing(entity: Entity, wanted: Mapping[str, View], authority: Authority, as_of: str = "") -> list[Edit]:
    """Everything systems hold that they shouldn't; `wanted`: the view each is to have now."""
    return [
        edit
        for system, confirmed in entity.confirmed.items()
        if system in wanted and system in entity.claims and not confirmed.told
        for edit in _of(entity, system, confirmed, wanted[system], authority, as_of)
    ]


def _of(
    entity: Entity, system: str, confirmed: Confirmed, view: View, authority: Authority, as_of: str
) -> Iterator[Edit]:
    views = [view, *on_the_way(entity, system, view)]
    settled = _is_settled(entity, system, confirmed, view)
    for record, rows in entity.claims[system].items():
        newer = {i: claim for i, claim in rows.items() if _is_newer(claim, confirmed)}
        if record == entity.kind:
            ours = {i: claim for i, claim in rows.items() if claim.txid == confirmed.txid} if settled else {}
            for row_id, claim in (ours | newer).items():
                for found in held.of_root(entity.kind, system, row_id, claim, views, authority):
                    yield _edit(system, found, altered=row_id not in newer)
            for found in held.root_gone(entity.kind, system, rows, newer, view, authority):
                yield _edit(system, found)
        elif record in held.BELOW:
            for found in held.of_below(system, record, rows, newer, views, authority, as_of):
                yield _edit(system, found)


def _edit(system: str, found: Difference, *, altered: bool = False) -> Edit:
    policy = ALTERED if altered else _policy(system, found)
    return Edit(
        system, found.record, found.row_id, found.field, policy, found.position, found.rule, found.ours, found.theirs
    )  # fmt: skip


def _policy(system: str, found: Difference) -> str:
    """What is taken without asking only adds: that something is to be dropped is a proposal."""
    policy = found.rule.policy(system)
    drops = found.theirs in (None, "", []) or found.rule.kind == UNION
    return PROPOSE if policy == AUTO_ACCEPT and drops else policy


def _is_settled(entity: Entity, system: str, confirmed: Confirmed, view: View) -> bool:
    """Whether the system has confirmed the last view: what differs in rows before that is no longer on its way."""
    sent = entity.sent.get(system)
    return sent is not None and confirmed.revision >= sent.revision and sent.content == Raw(encode(view))


def _is_newer(claim: Claim, confirmed: Confirmed) -> bool:
    return claim.txid != confirmed.txid and claim.position[:3] > confirmed.position[:3]


def on_the_way(entity: Entity, system: str, view: View) -> list[View]:
    """The views a system may still hold while the newest has not arrived: what they say is nobody's edit."""
    sent = entity.sent.get(system)
    if sent is None:
        return []
    known = {bytes(sent.content), bytes(entity.passing.get(system, sent.content))} - {encode(view)}
    return [VIEWS[entity.kind][system].decode(content) for content in sorted(known)]


def replaced(entity: Entity, system: str) -> None:
    """Another view goes out: what the system has confirmed by now is what it holds until that arrives."""
    sent, confirmed = entity.sent.get(system), entity.confirmed.get(system)
    if sent is not None and confirmed is not None and confirmed.revision >= sent.revision:
        entity.passing[system] = sent.content


def judge(entity: Entity, edits: list[Edit], day: str) -> list[Edit]:
    """The edits that nobody has answered yet; the answer is kept, so that each is given once.

    A field asserted again more than PER_DAY times on a day is a conflict: no ping-pong with a trigger.
    """
    fresh, judged = [], {}
    for edit in edits:
        known = entity.judged.get(edit.subject)
        if known is not None and known.position >= edit.position:
            judged[edit.subject] = known
            continue
        times = known.times + 1 if known is not None and known.day == day else 1
        policy = CONFLICT if times > PER_DAY else _answer(entity, edit)
        judged[edit.subject] = Judged(edit.position, policy, day, times)
        fresh.append(edit)
    for subject, known in entity.judged.items():
        if known.day == day:
            judged.setdefault(subject, known)  # settled, and yet counted
    entity.judged = judged
    return fresh


def _answer(entity: Entity, edit: Edit) -> str:
    """What a steward has refused for good is not proposed anew."""
    proposes = edit.policy in (PROPOSE, AUTO_ACCEPT)
    return REVERT if proposes and is_refused(entity, edit.subject, edit.offered) else edit.policy


def asserted_again(edits: list[Edit], entity: Entity) -> set[str]:
    """The systems whose view goes out anew for these edits: a proposal, too, is restored until it is ruled on."""
    return {e.system for e in edits if entity.judged[e.subject].policy in _OVERRULED}


def propose(entity: Entity, edits: list[Edit], day: str) -> None:
    """Keep what was proposed, independent of the claim it came with; a newer one of the same system replaces it."""
    new = [e for e in edits if entity.judged[e.subject].policy in (PROPOSE, AUTO_ACCEPT)]
    if not new:
        return
    subjects = {e.subject for e in new}
    kept = [p for p in entity.proposals if p.subject not in subjects]
    close(entity, {p.id: VOIDED for p in entity.proposals if p.subject in subjects})
    entity.proposals = [*kept, *(_proposal(entity, e, day) for e in new)]


def _proposal(entity: Entity, edit: Edit, day: str) -> Proposal:
    identity = f"{entity.kind}/{entity.id} {edit.subject} {edit.position}"
    digest = hashlib.blake2b(identity.encode(), digest_size=8).digest()
    number = str(int.from_bytes(digest) >> ABOVE_53_BITS)
    return Proposal(
        number,
        edit.system,
        edit.record,
        edit.row_id,
        edit.field,
        edit.offered,
        edit.current,
        edit.position,
        day,
    )
