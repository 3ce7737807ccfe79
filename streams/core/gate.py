"""Gates: may this entity's new view go out, must each sink wait, or must what it has go?

Sits between finding and view. Nothing is published that its gates refuse (invariant 10). A withdrawal is
never delayed by a hold: restriction comes first.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from streams.core.entity import Golden
from streams.core.finding import CODES, HOLD, Found

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
PASS = Pass()


def judge(golden: Golden, found: Iterable[Found], *, was_known: bool) -> Verdict:
    """One verdict for all sinks (gates per sink come with participation).

    was_known: the entity had a root row once, so that a missing one means it was deleted.
    """
    root = golden.root
    if root is None:
        return Withdraw(f"{golden.kind}.deleted") if was_known else Hold(("identity.root_missing",))
    if golden.kind == "provider" and root.provider_status != ACTIVE:
        return Withdraw(f"provider.{root.provider_status or 'status_missing'}")
    holding = sorted({f.code for f in found if CODES[f.code].effect == HOLD})
    return Hold(tuple(holding)) if holding else PASS
