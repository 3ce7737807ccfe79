"""Parity: how each system stands to what it is to hold of an entity, as of the entity's last decision.

    verdicts, what was sent, what was confirmed, edits, open findings --> Parity per system

The last step of a decision. It looks at nothing that the decision didn't look at, so counting all systems costs no
scan: whoever closes an entity compares this with what stood before. Never decides what becomes of a difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from streams.core import gate
from streams.core.edit import Edit
from streams.core.entity import Entity, Parity

EQUAL = "equal"
IN_FLIGHT = "in_flight"
"""sent, not confirmed"""
DIFFERING = "differing"
"""it holds something else, or refuses what it was sent last; an open finding says so"""
LET_BE = "let_be"
"""it holds something else, and authority has it observed or ignored"""
UNEXPLAINED = "unexplained"
"""it holds something else and nobody says so: must never be"""
HELD = "held"
"""a rule keeps the newer view back"""
WITHDRAWN = "withdrawn"
"""a rule took the entity out of the system, which has confirmed it or never had it"""

STATES = (EQUAL, IN_FLIGHT, DIFFERING, LET_BE, UNEXPLAINED, HELD, WITHDRAWN)
APART = (UNEXPLAINED, DIFFERING, LET_BE, IN_FLIGHT)
"""Not what it is to be, the worst first; since when is known."""


def note(entity: Entity, verdicts: gate.Verdicts, edits: Iterable[Edit], now_us: int) -> None:
    """Write down how each system stands now. `edits`: all that systems hold against their view."""
    by_system: dict[str, list[Edit]] = {}
    for each in edits:
        by_system.setdefault(each.system, []).append(each)
    before = entity.parity
    entity.parity = {
        system: _parity(entity, system, verdict, by_system.get(system, []), before, now_us)
        for system, verdict in verdicts.items()
    }


def _parity(
    entity: Entity,
    system: str,
    verdict: gate.Verdict,
    edits: list[Edit],
    before: Mapping[str, Parity],
    now_us: int,
) -> Parity:
    state = _state(entity, system, verdict, edits)
    if state not in APART:
        return Parity(state)
    known = before.get(system)
    since = known.since_us if known is not None and known.state in APART else now_us
    return Parity(state, since, sorted({f"{e.record}.{e.field}" for e in edits}))


def _state(entity: Entity, system: str, verdict: gate.Verdict, edits: list[Edit]) -> str:
    if isinstance(verdict, gate.Hold):
        return DIFFERING if edits and _of_edits(entity, edits) == DIFFERING else HELD
    never_there = system not in entity.confirmed
    if isinstance(verdict, gate.Withdraw) and never_there and not edits:
        return WITHDRAWN  # an adapter makes no row to withdraw it
    if never_there or entity.confirmed[system].revision < entity.sent[system].revision:
        return DIFFERING if _is_refused(entity, system) else IN_FLIGHT
    if isinstance(verdict, gate.Withdraw):
        return _of_edits(entity, edits) if edits else WITHDRAWN
    if entity.confirmed[system].told:
        return EQUAL  # what else it holds nobody captures
    if not edits and _row_is_gone(entity, system):
        return UNEXPLAINED
    return _of_edits(entity, edits)


def _is_refused(entity: Entity, system: str) -> bool:
    """It refused the last view; what was sent since may yet pass."""
    refused = entity.refused.get(system)
    return refused is not None and refused.revision >= entity.sent[system].revision


def _row_is_gone(entity: Entity, system: str) -> bool:
    """The system had a row of it and its users deleted it."""
    rows = entity.claims.get(system, {}).get(entity.kind, {})
    return bool(rows) and all(claim.is_deleted for claim in rows.values())


def _of_edits(entity: Entity, edits: list[Edit]) -> str:
    if not edits:
        return EQUAL
    told = {key.partition(" ")[2] for key in entity.findings}
    untold = [each for each in edits if each.subject not in told]
    if not untold:
        return DIFFERING
    return LET_BE if all(_is_let_be(entity, each) for each in untold) else UNEXPLAINED


def _is_let_be(entity: Entity, each: Edit) -> bool:
    known = entity.judged.get(each.subject)
    return known is not None and known.policy in ("observe", "ignore", "auto_accept")
