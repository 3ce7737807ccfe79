"""Worklists: what stewards are shown of an entity's proposals, and what its owner is asked to take over.

    proposals, rulings --> Worklist (sink.stewardship.<kind>), Asked (sink.credentialing.request)

Views like those of view.py, but of the entity's proposals instead of its golden record, so no gate stands before them.
Each is whole: the newest says all that is open. Never decides on a proposal; `ruling` does.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import field as attribute

from streams.core import carried, ruling, unseen
from streams.core.authority import Authority
from streams.core.change import position_text
from streams.core.entity import STEWARDSHIP, Entity, Golden, Proposal
from streams.core.ruling import IN_WORK, OWNER, Signature
from streams.core.view import Contract, Part, View

REQUEST = "request"
"""Their kind: topic sink.credentialing.request."""
SHOWN_KINDS = frozenset({"provider", "organization", "location"})
MOST_SHOWN = 16
"""Proposals that ended and are still shown; an open one that is shown no more has ended, too."""


class Task(Part, array_like=True, frozen=True, gc=False):
    """A proposal as a steward reads it. `value` and `current` are JSON, and absent where the field is restricted: the
    topic is not cleared for it (Invariant 11), and the system that proposes it shows it."""

    id: str
    system: str
    record: str
    row_id: str
    field: str
    value: str | None
    current: str | None
    position: str
    opened: str
    expires: str
    level: str
    approvers: list[str]
    owner: str
    state: str
    requires: list[str] = attribute(default_factory=list)
    """what must be shown besides signatures"""
    way: str = carried.ASKED
    """how it comes true once it is approved (core/carried.py)"""
    rule: str = ""
    """the row of the authority matrix that says so, and the version of the file"""
    edited_by: str | None = None
    """who edited the owner's record last, and when: nobody approves a change to what is their own work"""
    edited_at: str | None = None


class Ended(Part, array_like=True, frozen=True, gc=False):
    """A proposal that is no longer open, and what became of it."""

    id: str
    state: str


class Refused(Part, array_like=True, frozen=True, gc=False):
    """A ruling from which nothing follows, and why: the code of its finding."""

    id: str
    code: str


class Worklist(View, array_like=True, frozen=True, gc=False):
    """An entity's proposals."""

    entity_id: str = ""
    proposals: list[Task] = attribute(default_factory=list)
    ended: list[Ended] = attribute(default_factory=list)
    refused: list[Refused] = attribute(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there never was anything to show."""
        return not (self.proposals or self.ended or self.refused)


class Signed(Part, array_like=True, frozen=True, gc=False):
    """Who approved, and in which role."""

    approver: str
    role: str


class Request(Part, array_like=True, frozen=True, gc=False):
    """One approved change: to be written only while the owner's row still holds `expected`. Values are JSON."""

    id: str
    system: str
    record: str
    row_id: str
    field: str
    value: str | None
    expected: str | None
    approvals: list[Signed]


class Asked(View, array_like=True, frozen=True, gc=False):
    """The approved changes of an entity that its owner hasn't made yet."""

    kind: str = ""
    entity_id: str = ""
    requests: list[Request] = attribute(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is asked."""
        return not self.requests


Content = Worklist | Asked


def _contract(view: type[View]) -> Contract:
    """How it is read back; it is not built from the facts of a day."""
    return Contract(_unbuilt, view, msgspec.msgpack.Decoder(view).decode)


def _unbuilt(_: object) -> View:
    raise NotImplementedError("a worklist is built from the entity")


WORKLIST, ASKED = _contract(Worklist), _contract(Asked)
CONTRACTS: dict[str, Contract] = {STEWARDSHIP: WORKLIST, OWNER: ASKED}
"""Sink -> how what it was last sent is read back, of any kind."""


def views(
    entity: Entity, golden: Golden, authority: Authority
) -> Iterator[tuple[str, str, Contract, Content]]:
    """(sink, kind, contract, content) of an entity that people may have something to do with."""
    known = entity.proposals or entity.closed or {STEWARDSHIP} & (entity.sent.keys() | entity.claims.keys())
    if not known or entity.kind not in SHOWN_KINDS:
        return
    tasks = [_task(entity, golden, proposal, authority) for proposal in entity.proposals]
    ended = [Ended(number, state) for number, state in list(entity.closed.items())[-MOST_SHOWN:]]
    refused = [Refused(number, code) for code, number in unseen.rulings(entity)]
    yield STEWARDSHIP, entity.kind, WORKLIST, Worklist("active", None, entity.id, tasks, ended, refused)
    yield (
        OWNER,
        REQUEST,
        ASKED,
        Asked("active", None, entity.kind, entity.id, _asked(entity, golden, authority)),
    )


def _task(entity: Entity, golden: Golden, proposal: Proposal, authority: Authority) -> Task:
    rule = ruling.rule_of(authority, proposal)
    return Task(
        proposal.id,
        proposal.system,
        proposal.record,
        proposal.row_id,
        proposal.field,
        _json(proposal.value) if rule.public else None,
        _json(proposal.against) if rule.public else None,
        position_text(proposal.position),
        proposal.day,
        ruling.expires(proposal),
        rule.approval,
        [*rule.approvers],
        ", ".join(rule.owners),
        proposal.state,
        [*rule.requires],
        carried.way(entity, golden, proposal, authority),
        f"{rule.source} (version {authority.version})",
        *ruling.last_edit(entity),
    )


def _asked(entity: Entity, golden: Golden, authority: Authority) -> list[Request]:
    return [
        _request(proposal, golden, row_id, ruling.signatures(entity, proposal))
        for proposal in entity.proposals
        if proposal.state in IN_WORK
        and ruling.is_recorded(entity, proposal.id)
        and carried.way(entity, golden, proposal, authority) == carried.ASKED
        and (row_id := carried.row_meant(entity, golden, proposal)) is not None
    ]


def _request(proposal: Proposal, golden: Golden, row_id: str, signed: list[Signature]) -> Request:
    row = golden.named(proposal.record)[row_id]
    return Request(
        proposal.id,
        proposal.system,
        proposal.record,
        row_id,
        proposal.field,
        _json(proposal.value),
        _json(getattr(row, proposal.field)),
        [Signed(s.approver, s.role) for s in signed],
    )


def _json(value: object) -> str | None:
    return msgspec.json.encode(value).decode() if value is not None else None
