"""What a rule is: its code and words, whom it stops, what it reads, and the function that finds it.

Beside the table in `book`. Never holds a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from streams.core.today import Today

REFUSE = "refuse"
"""The field keeps its last good value."""
HOLD = "hold"
"""The sink gets no new view; it keeps its last one."""
WITHDRAW = "withdraw"
"""What the sink has must go."""
WARN = "warn"

EVERY = "*"
"""Every sink."""

Effect = Mapping[str, str]
"""sink system, or EVERY -> what the rule does to it."""

Finds = Callable[[Today], Iterable[str]]
"""The subjects for which a rule doesn't hold: `record/row/field`, never a value."""


class Rule(Struct, frozen=True):
    """One rule. `finds` is None where another stage says it: value checks, identity, references, capture."""

    id: str
    code: str
    severity: str
    effect: Effect
    message: str
    action: str
    source: str
    actor: str
    kinds: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    """what it reads: with no rows of one of them nothing is known, so that nothing is said"""
    finds: Finds | None = None
    told: str = ""
    """the reason sinks are given where it withdraws, when the code would say too much"""
    local: bool = False
    """it meets only the sink that its subject names first: `directory/provider/7/npi`"""

    def effect_on(self, sink: str) -> str:
        """What it does to one sink; to EVERY: what it does whoever the sink is."""
        return self.effect.get(sink) or self.effect.get(EVERY, WARN)

    @property
    def effect_text(self) -> str:
        """`hold`, or by sink: `directory withdraw, billing hold`."""
        if len(self.effect) == 1 and EVERY in self.effect:
            return self.effect[EVERY]
        return ", ".join(f"{sink} {effect}" for sink, effect in self.effect.items())


def every(effect: str) -> Effect:
    """The same effect on every sink."""
    return {EVERY: effect}
