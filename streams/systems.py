"""The systems Concord keeps alike: one line each. Everything that lists them reads this.

What a system is made of stands elsewhere: its folder in connectors/, its tables in schemas/mapping, who may say what in
schemas/authority.toml. Knows names only, so that the core may read it (docs/adding-a-system.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class System(NamedTuple):
    """One system.

    rekeyed  it knows a provider by an id of its own: agent rekey comes before decide
    views    kind -> the view it is sent, by name: one of its own, or one it shares with another system
    rules    what it says is a ruling: never an edit, so that no policy judges it
    """

    name: str
    rekeyed: bool = False
    views: Mapping[str, str] = {}
    rules: bool = False


REGISTRY: tuple[System, ...] = (
    System("credentialing"),
    System("directory", rekeyed=True, views={"location": "directory", "provider": "directory"}),
    System("enrollment", rekeyed=True, views={"provider": "enrollment"}),
    System(
        "billing",
        rekeyed=True,
        views={"location": "billing", "organization": "billing", "provider": "billing"},
    ),
    System("stewardship", rules=True),
)

SYSTEMS: tuple[str, ...] = tuple(system.name for system in REGISTRY)
REKEYED: tuple[str, ...] = tuple(system.name for system in REGISTRY if system.rekeyed)
ADAPTED: tuple[str, ...] = tuple(system.name for system in REGISTRY if system.views)
"""Views are applied to them."""
EDITING: tuple[str, ...] = tuple(system.name for system in REGISTRY if not system.rules)
"""Their users edit what they hold."""
TAKEN: Mapping[str, Mapping[str, str]] = {system.name: system.views for system in REGISTRY if system.views}
"""system -> kind -> the view it is sent"""
WORK: Mapping[str, tuple[str, ...]] = {
    "stewardship": ("location", "organization", "provider"),
    "credentialing": ("request",),
}
"""system -> the kinds of work brought to it, no views of a provider: proposals to rule on, and approved changes asked
of the owner."""
ASKED: tuple[str, ...] = tuple(WORK)
ADAPTERS: tuple[str, ...] = (*ADAPTED, *ASKED)
"""One process each."""
