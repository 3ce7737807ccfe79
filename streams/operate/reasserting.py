"""Views sent again under a new revision, because a person wants it: `concord reassert`.

    keys, systems --> entities that were sent a view --apply--> AssertAgain on `clock` --decide--> a new revision each

The way of a verification's repair, for what nobody found to differ: a system restored from a backup, a table somebody
emptied. Nothing is sent without `apply`, nothing to whoever was never sent a view, and what is sent is what is held
today.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from schemas.problem import nearest
from streams.errors import InvalidInput
from streams.operate import pausing
from streams.operate.find import Finder, Located
from streams.operate.preparing import Say
from streams.operate.verify.entities import PATIENCE
from streams.operate.verify.target import Views
from streams.settings import Settings
from streams.systems import ADAPTED

LIMIT = 1_000
"""Views of a system, at most, unasked."""
SHOWN = 20


@dataclass(slots=True)
class Asserted:
    """One system: whose views are sent again, and which of them it had not confirmed when we stopped waiting.

    `waits`: why nobody waited for it (it is paused, or takes files)."""

    system: str
    views: dict[str, int]
    """kind/id -> the revision sent last"""
    applied: bool = False
    waits: str = ""
    left: list[str] = field(default_factory=list)


def reassert(
    settings: Settings,
    keys: Collection[str],
    systems: Collection[str],
    *,
    apply: bool,
    by: str,
    reason: str = "",
    limit: int = LIMIT,
    say: Say = lambda text: None,
) -> list[Asserted]:
    """What would be sent again, or with `apply` is, to these systems (none: all that were sent the keys' views)."""
    _check(keys, systems)
    found = [found for found in _chosen(settings, keys, list(systems) or list(ADAPTED)) if found.views]
    if apply:
        _bounded(found, limit)
        for each in found:
            _apply(settings, each, by, reason, say)
    return found


def _check(keys: Collection[str], systems: Iterable[str]) -> None:
    if not keys and not systems:
        raise InvalidInput("reassert.nothing", "whose views?", "name a KEY, or a whole system with --system")
    for system in systems:
        if system not in ADAPTED:
            raise InvalidInput(
                "system.unknown", f"{system!r} gets no views of entities", nearest(system, ADAPTED)
            )


def _chosen(settings: Settings, keys: Iterable[str], systems: Iterable[str]) -> Iterator[Asserted]:
    located = _located(settings, keys)
    for system in systems:
        views = sent(located, system) if located else Views(settings, system).sent()
        yield Asserted(system, dict(sorted(views.items())))


def _located(settings: Settings, keys: Iterable[str]) -> list[Located]:
    with Finder(settings) as finder:
        return [found for key in keys for found in finder.find(key)]


def sent(located: Iterable[Located], system: str) -> dict[str, int]:
    """Those of the entities that the system was sent a view of, with its revision."""
    found = {each.name: each.entity.sent.get(system) for each in located}
    return {name: view.revision for name, view in found.items() if view is not None}


def _bounded(found: Iterable[Asserted], limit: int) -> None:
    for each in found:
        if len(each.views) > limit:
            said = (
                f"{len(each.views):,} views of {each.system} would be sent again, and the limit is {limit:,}"
            )
            raise InvalidInput("reassert.limit", said, f"if that is meant: --limit {len(each.views)}")


def _apply(settings: Settings, each: Asserted, by: str, reason: str, say: Say) -> None:
    each.waits = _waits(settings, each.system)
    patience = 0.0 if each.waits else PATIENCE
    left = Views(settings, each.system).assert_again(each.views, by, reason, say, patience)
    each.applied, each.left = True, [] if each.waits else sorted(left)


def _waits(settings: Settings, system: str) -> str:
    if system in settings.files:
        return f"{system} takes files: the next `concord export {system}` has them"
    word = pausing.marks(settings).get(system)
    return str(word) if word else ""
