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

ON: frozenset[str] = frozenset()
"""What is switched on: a rule that waits for something (`Rule.until`) has its effect once the name stands here."""

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
    until: str = ""
    """what it waits for: as long as `ON` lacks the name it only warns"""

    @property
    def waits(self) -> bool:
        """Whether its effect is not in force yet."""
        return bool(self.until) and self.until not in ON

    @property
    def in_force(self) -> Effect:
        """Its effect now."""
        return every(WARN) if self.waits else self.effect

    def effect_on(self, sink: str) -> str:
        """What it does to one sink; to EVERY: what it does whoever the sink is."""
        return WARN if self.waits else self.effect.get(sink) or self.effect.get(EVERY, WARN)

    @property
    def effect_text(self) -> str:
        """What is in force: `hold`, or by sink: `directory withdraw, billing hold`."""
        return words(self.in_force)


def words(effect: Effect) -> str:
    """An effect for people: `hold`, or by sink."""
    if len(effect) == 1 and EVERY in effect:
        return effect[EVERY]
    return ", ".join(f"{sink} {does}" for sink, does in effect.items())


def every(effect: str) -> Effect:
    """The same effect on every sink."""
    return {EVERY: effect}
