"""The rekey hop: rows that a system keeps under an id of its own become claims under the master's id.

    cdc.<system> --> entity <system>.<kind>/<local id> --> claims.<system>, keyed by provider, location, organization

Credentialing mints the keys, so its rows are decided on directly; the others' wait here, per local id, until a cross
reference in their root row or a confirmation (concord_applied: the adapter finds rows by cross reference, then NPI)
says whose they are. Linked anew, they are taken back from whose they were and told again. Works for one partition,
under its lock, in its transaction. Decides nothing and never reads an entity of the master's id.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from streams.core import rekeyed
from streams.core.change import CAPTURED, Change, Confirmation
from streams.core.entity import SUPERSEDED, Entity, Link, aggregate, confirm
from streams.engine.producer import Output
from streams.systems import REKEYED

REKEYED_SYSTEMS = frozenset(REKEYED)
REKEYED_KINDS = frozenset({"provider", "organization", "location"})
"""Kinds whose ids credentialing mints; payers, products, contracts and networks are known by their keeper's own id."""

MASTER = "credentialing"
"""The system whose ids are everybody's."""
PARKED = "parked"
APPLIED = "applied"


def is_local(said: Change | Confirmation) -> bool:
    """Whether this stands under a system's own id, as captured."""
    return said.system in REKEYED_SYSTEMS and said.kind in REKEYED_KINDS and said.origin == CAPTURED


def local_id(said: Change | Confirmation) -> str:
    """The system's own id of what it is about."""
    return said.local_id if isinstance(said, Confirmation) else said.entity_id


def local_key(said: Change | Confirmation) -> bytes:
    """The key under which it waits: `directory.provider/17`."""
    return f"{said.system}.{said.kind}/{local_id(said)}".encode()


def take(local: Entity, said: Change | Confirmation, topic: str, origin: int) -> tuple[str, list[Output]]:
    """Take it in under the local id: the outcome, and what follows for the entity it belongs to."""
    outcome = confirm(local, said) if isinstance(said, Confirmation) else aggregate(local, said)
    if outcome == SUPERSEDED:
        return outcome, []
    link = local.link or Link()
    if isinstance(said, Confirmation):
        link = replace(link, applied=said.entity_id)
    owner = _owner(local, said, link)
    tell = _Teller(local, said, topic, origin)
    if owner != link.entity_id:
        return _link(local, link, owner, tell)
    local.link = link
    return (APPLIED, list(tell.only(said, link))) if owner else (PARKED, [])


def _owner(local: Entity, said: Change | Confirmation, link: Link) -> str:
    """Whose rows these are: the root row's cross reference, else the entity the adapter applied to this id."""
    for claim in local.claims.get(said.system, {}).get(said.kind, {}).values():
        row = claim.image(said.kind)
        named = getattr(row, f"{said.kind}_id") if row is not None else None
        if named:
            return str(named)
    return link.applied


def _link(local: Entity, link: Link, owner: str, tell: _Teller) -> tuple[str, list[Output]]:
    """Another owner: taken back from whose they were, told to whose they are."""
    now = replace(link, entity_id=owner, number=link.number + 1)
    local.link = now
    outputs = list(tell.rows(replace(now, entity_id=link.entity_id), gone=True)) if link.entity_id else []
    if not owner:
        return PARKED, outputs
    return APPLIED, [*outputs, *tell.confirmations(now), *tell.rows(now)]


class _Teller:
    """What is said on `claims.<system>` of a local id."""

    def __init__(self, local: Entity, said: Change | Confirmation, topic: str, origin: int) -> None:
        self._local, self._said, self._topic, self._origin = local, said, topic, origin

    def only(self, said: Change | Confirmation, link: Link) -> Iterator[Output]:
        """What was just said."""
        if isinstance(said, Confirmation):
            yield from self.confirmations(link)
        else:
            yield self._row(link, said.record, said.row_id)

    def rows(self, link: Link, *, gone: bool = False) -> Iterator[Output]:
        """Every row that is known."""
        for record, rows in self._local.claims.get(self._said.system, {}).items():
            for row_id in rows:
                yield self._row(link, record, row_id, gone=gone)

    def confirmations(self, link: Link) -> Iterator[Output]:
        """What the system holds, before any row it vouches for (invariant 8). A revision of another entity than the
        rows belong to now says nothing of this one's: no more than which rows are the platform's own is told."""
        held = self._local.confirmed.get(self._said.system)
        if held is not None and link.applied != link.entity_id:
            held = replace(held, revision=0, view_hash="")
        if held is not None:
            said = self._said
            value = rekeyed.confirmation(said.system, link, said.kind, held, self._origin, said.captured_us)
            yield Output(self._topic, link.entity_id.encode(), value, [])

    def _row(self, link: Link, record: str, row_id: str, *, gone: bool = False) -> Output:
        said = self._said
        claim = self._local.claims[said.system][record][row_id]
        value = rekeyed.row(
            said.system, link, said.kind, record, row_id, claim, self._origin, said.captured_us, gone=gone
        )
        return Output(self._topic, link.entity_id.encode(), value, [])
