"""Gates: may this entity's new view go out, must a sink wait, or must what it has go?

Sits between finding and view. Nothing is published that its gates refuse (invariant 10). A withdrawal is
never delayed by a hold: restriction comes first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec import Struct

from streams.core.entity import Golden
from streams.core.finding import Found
from streams.core.rules.book import CODES
from streams.core.rules.rule import EVERY, HOLD, WITHDRAW

ACTIVE = "active"


class Pass(Struct, frozen=True):
    """The view may go out."""


class Hold(Struct, frozen=True):
    """Sinks keep their last view until the codes are gone."""

    codes: tuple[str, ...]


class Withdraw(Struct, frozen=True):
    """What sinks have must go, for a stable reason."""

    reason: str


Verdict = Pass | Hold | Withdraw
Verdicts = dict[str, Verdict]
"""sink system -> its verdict"""
PASS = Pass()


def gone(golden: Golden, *, was_known: bool) -> Withdraw | None:
    """What its own row says: deleted, or not active. Then no rule is asked any more.

    was_known: the entity had a root row once, so that a missing one means it was deleted.
    """
    root = golden.root
    if root is None:
        return Withdraw(f"{golden.kind}.deleted") if was_known else None
    if golden.kind == "provider" and root.provider_status != ACTIVE:
        return Withdraw(f"provider.{root.provider_status or 'status_missing'}")
    return None


def judge(golden: Golden, found: Collection[Found], *, was_known: bool, sink: str = EVERY) -> Verdict:
    """The verdict for a sink; without one, what holds for every sink. Restriction first: a withdrawal beats a hold."""
    removed = gone(golden, was_known=was_known)
    if removed is not None:
        return removed
    if golden.root is None:
        return Hold(("identity.root_missing",))
    return _by_findings(found, sink) if found else PASS


def _by_findings(found: Collection[Found], sink: str) -> Verdict:
    codes = sorted({f.code for f in found if not CODES[f.code].local or f.subject.startswith(f"{sink}/")})
    effects = {code: CODES[code].effect_on(sink) for code in codes}
    for code in codes:
        if effects[code] == WITHDRAW:
            return Withdraw(CODES[code].told or code)
    holding = tuple(code for code in codes if effects[code] == HOLD)
    return Hold(holding) if holding else PASS


def disputed(verdict: Verdict) -> bool:
    """Whether the sink holds what a person must decide on: nothing is written over it meanwhile."""
    return isinstance(verdict, Hold) and "edit.conflict" in verdict.codes


def by_sink(golden: Golden, found: Collection[Found], verdict: Verdict, sinks: Iterable[str]) -> Verdicts:
    """Each sink's verdict; `verdict` is what holds for every sink."""
    if golden.root is None or isinstance(verdict, Withdraw) or not found:
        return dict.fromkeys(sinks, verdict)
    return {sink: _by_findings(found, sink) for sink in sinks}
