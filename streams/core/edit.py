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
from functools import lru_cache
from typing import Any

from msgspec import Raw, Struct

from streams.core.authority import AUTO_ACCEPT, CONFLICT, PROPOSE, REVERT, Authority, Rule
from streams.core.canonical import Row
from streams.core.change import Position
from streams.core.entity import Claim, Confirmed, Entity, Judged, Proposal
from streams.core.equivalent import equivalent
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


ASIDE: Mapping[str, str] = {
    "middle_initial": "middle_name",
    "taxonomy_code": "taxonomy.nucc_code",
    "license_state": "license.state",
    "license_number": "license.number_raw",
    "license_expires": "license.expires",
    "facility_npi": "location_npi",
}
"""A view's field -> the canonical name of what the system holds of it, where it isn't the same name."""


class Below(Struct, frozen=True):
    """How rows below a system's root row stand in its view: the part, what names one, and canonical field -> part's."""

    parts: str
    key: Mapping[str, str]
    fields: Mapping[str, str]


BELOW: Mapping[str, Below] = {
    "listing": Below("listings", {}, {"group_name": "group_name", "taxonomy.nucc_code": "specialty_nucc"}),
    "enrollment": Below(
        "groups", {"location_id": "location_id"}, {"group_npi": "group_npi", "group_tin": "group_tax_id"}
    ),
    "affiliation": Below(
        "affiliations", {}, {"effective_from": "effective_from", "effective_to": "effective_to"}
    ),
}


def standing(entity: Entity, wanted: Mapping[str, View], authority: Authority) -> list[Edit]:
    """Everything systems hold that they shouldn't; `wanted`: the view each is to have now."""
    return [
        edit
        for system, confirmed in entity.confirmed.items()
        if system in wanted and system in entity.claims
        for edit in _of(entity, system, confirmed, wanted[system], authority)
    ]


def _of(
    entity: Entity, system: str, confirmed: Confirmed, view: View, authority: Authority
) -> Iterator[Edit]:
    settled = _is_settled(entity, system, confirmed, view)
    for record, rows in entity.claims[system].items():
        if record == entity.kind:
            for row_id, claim in rows.items():
                if settled or _is_newer(claim, confirmed):
                    yield from _root(entity.kind, system, row_id, claim, confirmed, view, authority)
        elif record in BELOW:
            for row_id, claim in rows.items():
                if _is_newer(claim, confirmed):
                    yield from _below(system, record, row_id, claim, view, authority)


def _is_settled(entity: Entity, system: str, confirmed: Confirmed, view: View) -> bool:
    """Whether the system has confirmed the last view: what differs in rows before that is no longer on its way."""
    sent = entity.sent.get(system)
    return sent is not None and confirmed.revision >= sent.revision and sent.content == Raw(encode(view))


def _is_newer(claim: Claim, confirmed: Confirmed) -> bool:
    return claim.txid != confirmed.txid and claim.position[:3] > confirmed.position[:3]


def _root(
    kind: str, system: str, row_id: str, claim: Claim, confirmed: Confirmed, view: View, authority: Authority
) -> Iterator[Edit]:
    image = claim.image(kind)
    if image is None:
        return
    for name, record, field, rule in written(kind, system, authority):
        ours, theirs = getattr(view, name), _held(image, claim, kind, record, field)
        if equivalent(field, ours, theirs):
            continue
        policy = rule.policy(system) if _is_newer(claim, confirmed) else ALTERED
        yield Edit(system, record, row_id, field, policy, claim.position, rule, ours, theirs)


def _held(image: Row, claim: Claim, kind: str, record: str, field: str) -> Any:
    return getattr(image, field) if record == kind else claim.beside.get(f"{record}.{field}")


@lru_cache(64)
def _shown(kind: str, system: str) -> tuple[tuple[str, str, str], ...]:
    """(view's field, canonical record, canonical field) of a system's view of a kind."""
    found = []
    for name in VIEWS[kind][system].view.__struct_fields__:
        path = ASIDE.get(name, name)
        record, _, field = path.rpartition(".")
        found.append((name, record or kind, field))
    return tuple(found)


def written(kind: str, system: str, authority: Authority) -> list[tuple[str, str, str, Rule]]:
    """What the platform writes of a root row into a system that doesn't own it: the fields they share."""
    return [
        (name, record, field, rule)
        for name, record, field in _shown(kind, system)
        if (rule := authority.rules.get(record, {}).get(field)) is not None
        and rule.write.get(system, "never") != "never"
        and system not in rule.owners
    ]


def _below(
    system: str, record: str, row_id: str, claim: Claim, view: View, authority: Authority
) -> Iterator[Edit]:
    image = claim.image(record)
    if image is None:
        return
    below = BELOW[record]
    parts = _parts(view, below, image)
    for path, name in below.fields.items():
        in_record, _, field = path.rpartition(".")
        rule = authority.rules.get(in_record or record, {}).get(field)
        if rule is None or system in rule.owners or rule.write.get(system, "never") == "never" or not parts:
            continue
        theirs = claim.beside.get(path) if in_record else getattr(image, field)
        if not any(equivalent(field, getattr(part, name), theirs) for part in parts):
            ours = getattr(parts[0], name)
            yield Edit(
                system,
                in_record or record,
                row_id,
                field,
                rule.policy(system),
                claim.position,
                rule,
                ours,
                theirs,
            )


def _parts(view: View, below: Below, image: Row) -> list[Any]:
    """The parts of the view that this row may be one of."""
    return [
        part
        for part in getattr(view, below.parts, [])
        if all(getattr(part, there) == getattr(image, here) for here, there in below.key.items())
    ]


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
        policy = CONFLICT if times > PER_DAY else _policy(entity, edit)
        judged[edit.subject] = Judged(edit.position, policy, day, times)
        fresh.append(edit)
    for subject, known in entity.judged.items():
        if known.day == day:
            judged.setdefault(subject, known)  # settled, and yet counted
    entity.judged = judged
    return fresh


def _policy(entity: Entity, edit: Edit) -> str:
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
