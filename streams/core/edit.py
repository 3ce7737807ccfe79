"""Edits: what a system holds that the platform didn't tell it, and whether it may.

    claims, what was sent, what was confirmed, authority --> Edit --> asserted again, proposed, in conflict, let be

Sits beside the finding stage. A row is judged only once its system has confirmed a view: before, whatever differs is on
its way. Of who was withdrawn from a system, what is begun there is ended again; another edit is told, and shows nothing
to anybody. What an owner changes is no edit here: it is a claim and became the golden value. The platform's own rows
are no edits either (invariant 8); where they differ from the view, something in the system altered them. Never looks at
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
from streams.core.ruling import AUTO_APPROVED, AWAITING, VOIDED, close, is_refused
from streams.core.view import VIEWS, WITHDRAWN, View, encode

ALTERED = "altered"
"""Not an edit: the platform's own write came out different."""
DEPARTED = "departed"
"""An edit of who was withdrawn from the system: told, and left as it is."""

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


def standing(
    entity: Entity,
    wanted: Mapping[str, View],
    authority: Authority,
    as_of: str = "",
    built: Mapping[str, View] = {},
) -> list[Edit]:
    """Everything systems hold that they shouldn't; `wanted`: the view each is to have now, `built`: the one it would
    have if it weren't withdrawn."""
    return [
        edit
        for system, view in wanted.items()
        if system in entity.claims and not _by_receipt(entity, system)
        for edit in _Against(entity, system, view, authority, as_of).edits(built.get(system))
    ]


def _by_receipt(entity: Entity, system: str) -> bool:
    """Whether it only tells what it has applied: nobody captures what it holds."""
    confirmed = entity.confirmed.get(system)
    return confirmed is not None and confirmed.told


class _Against:
    """What one system holds against the view it is to have."""

    def __init__(self, entity: Entity, system: str, view: View, authority: Authority, as_of: str) -> None:
        self.entity, self.kind, self.system, self.view = entity, entity.kind, system, view
        self.authority, self.as_of = authority, as_of
        self.confirmed = entity.confirmed.get(system)
        self.views = [view, *on_the_way(entity, system, view)]

    def edits(self, built: View | None) -> Iterator[Edit]:
        """Every difference, by record."""
        if self.view.status == WITHDRAWN:
            return self._departed(built) if _is_told(self.entity, self.system, self.view) else iter(())
        return self._present(self.confirmed) if self.confirmed is not None else iter(())

    def _present(self, confirmed: Confirmed) -> Iterator[Edit]:
        settled = _is_settled(self.entity, self.system, confirmed, self.view)
        for record, rows in self.entity.claims[self.system].items():
            newer = {i: claim for i, claim in rows.items() if _is_newer(claim, confirmed)}
            if record == self.kind:
                ours = {i: c for i, c in rows.items() if c.txid == confirmed.txid} if settled else {}
                for row_id, claim in (ours | newer).items():
                    for found in self._root(row_id, claim, self.views):
                        yield _edit(self.system, found, ALTERED if row_id not in newer else "")
                for found in held.root_gone(self.kind, self.system, rows, newer, self.view, self.authority):
                    yield _edit(self.system, found, REVERT if _is_deleted(found, confirmed) else "")
            yield from self._below(record, rows, newer)

    def _departed(self, built: View | None) -> Iterator[Edit]:
        """Of who must not be there: what somebody wrote since."""
        for record, rows in self.entity.claims[self.system].items():
            newer = {i: claim for i, claim in rows.items() if _is_since(claim, self.confirmed)}
            if record == self.kind:
                for row_id, claim in newer.items():
                    yield from self._departed_root(row_id, claim, built)
            yield from self._below(record, rows, newer)

    def _departed_root(self, row_id: str, claim: Claim, built: View | None) -> Iterator[Edit]:
        """A row that its adapter doesn't know is given to it, so that it ends what stands below; another is left."""
        if self.confirmed is None or row_id != self.confirmed.local_id:
            for found in held.root_begun(self.kind, self.system, row_id, claim, self.authority):
                yield _edit(self.system, found, REVERT if self.confirmed is None else DEPARTED)
        elif built is not None:
            for found in self._root(row_id, claim, [built]):
                if _policy(self.system, found) in (*_OVERRULED, CONFLICT):
                    yield _edit(self.system, found, DEPARTED)

    def _root(self, row_id: str, claim: Claim, views: list[View]) -> list[Difference]:
        return held.of_root(self.kind, self.system, row_id, claim, views, self.authority)

    def _below(self, record: str, rows: Mapping[str, Claim], newer: Mapping[str, Claim]) -> Iterator[Edit]:
        if record != self.kind and record in held.BELOW:
            found = held.of_below(self.system, record, rows, newer, self.views, self.authority, self.as_of)
            yield from (_edit(self.system, each) for each in found)


def _is_told(entity: Entity, system: str, view: View) -> bool:
    """Whether the system was sent this view: one that is only said now is on its way."""
    sent = entity.sent.get(system)
    return sent is not None and sent.content == Raw(encode(view))


def _is_deleted(found: Difference, confirmed: Confirmed) -> bool:
    """Whether a root row that is gone was deleted, and so may come back; else it was linked to another entity."""
    return found.position[3:] == confirmed.position[3:]


def _edit(system: str, found: Difference, policy: str = "") -> Edit:
    """`policy`: what becomes of it, where authority isn't asked."""
    policy = policy or _policy(system, found)
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
    return _is_told(entity, system, view) and confirmed.revision >= entity.sent[system].revision


def _is_newer(claim: Claim, confirmed: Confirmed) -> bool:
    return claim.txid != confirmed.txid and claim.position[:3] > confirmed.position[:3]


def _is_since(claim: Claim, confirmed: Confirmed | None) -> bool:
    """What a snapshot read was there before: the adapter finds it by itself."""
    return claim.position[2] > 0 if confirmed is None else _is_newer(claim, confirmed)


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
        left = known is not None and (known.policy == DEPARTED) != (edit.policy == DEPARTED)
        if known is not None and known.position >= edit.position and not left:
            judged[edit.subject] = known
            continue
        times = known.times + 1 if known is not None and known.day == day else 1
        policy = CONFLICT if times > PER_DAY else _answer(entity, edit, day)
        judged[edit.subject] = Judged(edit.position, policy, day, times)
        fresh.append(edit)
    for subject, known in entity.judged.items():
        if known.day == day:
            judged.setdefault(subject, known)  # settled, and yet counted
    entity.judged = judged
    return fresh


def _answer(entity: Entity, edit: Edit, day: str) -> str:
    """What a steward has refused for good is not proposed anew; what nobody has checked is not accepted by itself."""
    if edit.policy not in (PROPOSE, AUTO_ACCEPT):
        return edit.policy
    if is_refused(entity, edit.subject, edit.offered, edit.rule, day):
        return REVERT
    return edit.policy if _is_sound(entity, edit) else PROPOSE


def _is_sound(entity: Entity, edit: Edit) -> bool:
    """Whether it passes the check of its value, and its field requires nothing that only people can show."""
    claim = entity.claims.get(edit.system, {}).get(edit.record, {}).get(edit.row_id)
    return not edit.rule.requires and (claim is None or edit.field not in claim.refused)


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
        AUTO_APPROVED if entity.judged[edit.subject].policy == AUTO_ACCEPT else AWAITING,
    )
