"""What an adapter may write: tables and columns of a target, as data.

connectors/<system>/adapter.py describes its system with these; connectors/statement.py makes SQL of them;
connectors/relational.py runs it. A column that is not named here is never written (Invariant 9).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from connectors.sink import Request, View


@dataclass(frozen=True, slots=True)
class Root:
    """The table with one row per entity; `reference` is its cross reference to the master."""

    table: str
    key: str
    reference: str
    columns: Mapping[str, str]
    npi: str | None = None


@dataclass(frozen=True, slots=True)
class Children:
    """The table below a root: `key` tells wanted rows apart, `links` hold references to other roots.

    Each statement runs once per batch with two JSON parameters: `roots` (local_id, withdrawn) and `rows` (the
    wanted rows, with the root's id under `parent`). `columns` are those the statements write; `once` those of them
    that are the system's own as soon as something stands in them.
    """

    table: str
    parent: str
    key: tuple[str, ...]
    fields: Mapping[str, str]
    statements: tuple[str, ...]
    columns: frozenset[str]
    links: tuple[str, ...] = ()
    once: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class System:
    """One relational target. `lookups` find the target's own id of a reference, by its kind."""

    name: str
    build: Callable[[View], Request]
    roots: Mapping[str, Root]
    children: Mapping[str, Children]
    lookups: Mapping[str, str]
    owned: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def written(self) -> dict[str, frozenset[str]]:
        """Every column the adapter may write, by table."""
        tables = {root.table: frozenset({root.key, *root.columns}) for root in self.roots.values()}
        for below in self.children.values():
            tables[below.table] = tables.get(below.table, frozenset()) | below.columns
        return tables
