"""An entity's counterparts in other systems: what each was sent and confirmed, and whose a local row is.

Pure, and a part of `explain`: read from the stored entity, nothing is asked of anybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from streams.core.entity import Entity, Link
from streams.operate.wording import time_text


@dataclass(frozen=True, slots=True)
class Standing:
    """What a system was sent last, what it confirmed last, and since when the two differ."""

    system: str
    state: str
    sent: int | None
    confirmed: int | None
    confirmed_at: str
    since: str
    fields: list[str]


def standings(entity: Entity) -> list[Standing]:
    """As of the last decision, by system."""
    return [
        Standing(
            system,
            found.state,
            entity.sent[system].revision if system in entity.sent else None,
            entity.confirmed[system].revision if system in entity.confirmed else None,
            time_text(entity.confirmed[system].committed_us) if system in entity.confirmed else "",
            time_text(found.since_us),
            found.fields,
        )
        for system, found in sorted(entity.parity.items())
    ]


def belongs(entity: Entity) -> str:
    """Whose the rows under a system's own id are, or why they are nobody's; empty for everything else."""
    system, dot, kind = entity.kind.partition(".")
    if not dot:
        return ""
    link = entity.link or Link()
    if not link.entity_id:
        return (
            f"nobody's: its row in {system} names no {kind} of the master, and no view was written to it"
            + _npi(entity, system, kind)
        )
    by = "what the adapter wrote to it" if link.entity_id == link.applied else "its cross reference"
    return f"belongs to {kind}/{link.entity_id}, by {by}; linked {link.number} time{'s' * (link.number != 1)}"


def _npi(entity: Entity, system: str, kind: str) -> str:
    for claim in entity.claims.get(system, {}).get(kind, {}).values():
        if npi := getattr(claim.image(kind), "npi", None):
            return f"; who holds its NPI: concord explain {npi}"
    return ""
