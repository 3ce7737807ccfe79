"""Provenance is told as data beside the views: is it complete, and is it true? The views themselves are the judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from connectors.described import DESCRIBED
from connectors.table import System
from schemas.authority import load_authority
from schemas.catalog import load_catalog
from streams.core import view
from streams.core.canonical import Taxonomy
from streams.core.entity import Entity, Golden, golden
from streams.core.today import primary_taxonomy
from streams.operate.masking import leaves, view_schema
from streams.operate.provenance import PROVENANCE, Leaf, Scene, rows, told_of
from streams.operate.sandbox import Sandbox
from streams.operate.told import plain_path, values
from tests import people

LINKS = {"dir_listing.dir_provider_id", "enrollment.enr_provider_id", "bil_affiliation.rend_id"}
"""A child's link to its parent row, and when a listing ended: the adapter's own, from no field of a view."""
OWN = LINKS | {"dir_listing.listed_to"}
VIEWS = sorted((sink, kind) for kind, sinks in view.VIEWS.items() for sink in sinks)


@pytest.fixture(scope="module")
def entities(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Entity]]:
    """Sixty providers with their clinics, decided."""
    sandbox = Sandbox(tmp_path_factory.mktemp("store"))
    sandbox.snapshot(list(people.changes(60, seed=3)))
    names = [key.decode() for key in sandbox.partition.store.entity_keys()]
    yield {name: found for name in names if (found := sandbox.entity(name)) is not None}
    sandbox.close()


def test_every_view_is_told() -> None:
    assert set(PROVENANCE) == {(name, kind) for kind, named in view.NAMED.items() for name in named}


@pytest.mark.parametrize(("sink", "kind"), VIEWS)
def test_every_field_of_the_contract_has_a_source(sink: str, kind: str) -> None:
    assert set(told_of(sink, kind)) == {path for path, _ in leaves(view_schema(sink, kind))}


@pytest.mark.parametrize(("sink", "kind"), VIEWS)
def test_every_source_is_a_canonical_field_with_an_owner(sink: str, kind: str) -> None:
    owners = load_authority().owners
    for leaf in told_of(sink, kind).values():
        for source in leaf.sources:
            record, _, field = source.partition(".")
            assert load_catalog().field(record, field) is not None, source
            assert owners[record][field], source


@pytest.mark.parametrize("system", DESCRIBED.values(), ids=DESCRIBED)
def test_every_column_an_adapter_writes_is_named(system: System) -> None:
    written = {f"{root.table}.{column}" for root in system.roots.values() for column in root.columns}
    for children in system.children.values():
        written |= {f"{children.table}.{column}" for column in (*children.columns, *children.key)}
    told = {
        column
        for kind in system.roots
        for leaf in told_of(system.name, kind).values()
        for column in leaf.column.split(", ")
        if column and not column.startswith("concord_applied.")
    }
    assert told == written - OWN


def test_changing_a_named_field_changes_the_views_value_and_no_other_row_does(
    entities: dict[str, Entity],
) -> None:
    """Differential: nothing is believed that the view's own function does not confirm."""
    world = World(entities)
    checked: set[tuple[str, str, str]] = set()
    for name, record in world.golden.items():
        for sink in view.VIEWS.get(record.kind, {}):
            if sink in entities[name].sent:
                checked |= {(sink, record.kind, path) for path in world.check(sink, record)}
    wanted = {
        (sink, kind, path)
        for sink, kind in VIEWS
        for path, leaf in told_of(sink, kind).items()
        if leaf.sources and path not in (*DECIDED, f"{kind}_id")
    }
    assert checked == wanted


class World:
    """The golden records, and what happens to a view when one value of one row is another."""

    def __init__(self, entities: dict[str, Entity]) -> None:
        authority = load_authority()
        self.golden = {name: golden(entity, authority) for name, entity in entities.items()}
        self.as_of = "2026-11-22"

    def look(self, kind: str, entity_id: str) -> Golden | None:
        return self.golden.get(f"{kind}/{entity_id}")

    def build(self, sink: str, record: Golden) -> view.View:
        return view.build(record, self.look, self.as_of)[sink]

    def check(self, sink: str, record: Golden) -> Iterator[str]:
        """Every path of this view whose sources were proven."""
        for path, value, item in values(view.named(self.build(sink, record))):
            leaf = told_of(sink, record.kind).get(plain_path(path), Leaf(""))
            if not leaf.sources or path in (*DECIDED, f"{record.kind}_id"):
                continue
            scene = Scene(record, self.look, self.as_of, item)
            moved = [self._moves(sink, record, scene, source, path, value) for source in leaf.sources]
            proven = any(moved) if leaf.first or path.endswith("listed_from") else False not in moved
            assert proven, f"{sink} {record.kind} {path}: {leaf.sources} do not make {value!r}: {moved}"
            yield plain_path(path)

    def _moves(self, sink: str, record: Golden, scene: Scene, source: str, path: str, value: Any) -> bool:
        """Whether another value in the named row makes another value in the view."""
        name, _, field = source.partition(".")
        found = rows(scene, name)
        if not found:
            return value is None
        ((entity_name, row_id),) = found
        held = self.golden[entity_name].named(name)
        before = held[row_id]
        shown = view.named(self.build(sink, record)).get(path.partition("[")[0])
        count = len(shown) if isinstance(shown, list) else 0
        held[row_id] = replace(before, **{field: other(getattr(before, field))})
        try:
            after = view.named(self.build(sink, record))
        finally:
            held[row_id] = before
        return differs(after, path, value, scene.item, count)


def differs(after: dict[str, Any], path: str, value: Any, item: Mapping[str, Any], count: int) -> bool:
    """Whether a view says something else at this path; items of a list are found again by what they say."""
    if not item:
        return bool(after.get(path) != value)
    head, key = path.partition("[")[0], path.rpartition(".")[2]
    changes = [{name for name in item if other_item.get(name) != item[name]} for other_item in after[head]]
    return len(changes) < count or key in min(changes, key=len)


DECIDED = ("status", "reason")


def other(value: Any) -> Any:
    """Another value of the same shape; a date stays a date in the past."""
    match value:
        case str() if len(value) == 10 and value[4:5] == "-":
            return f"{int(value[:4]) - 1}{value[4:]}"
        case str():
            return ("9" if value[:1] != "9" else "8") + value[1:-1] + ("9" if value[-1:] != "9" else "8")
        case list():
            return [] if value else ["xx"]
        case bool():
            return not value
        case None:
            return "x"
        case _:
            return None


def test_the_row_named_for_a_taxonomy_is_the_one_the_view_took(entities: dict[str, Entity]) -> None:
    world = World(entities)
    for record in world.golden.values():
        chosen = primary_taxonomy(record, world.as_of) if record.kind == "provider" else None
        if chosen is not None:
            ((_, row_id),) = rows(Scene(record, world.look, world.as_of), "taxonomy")
            assert record.rows(Taxonomy)[row_id] is chosen


def test_a_view_read_back_path_by_path_loses_nothing(tmp_path: Path) -> None:
    content = {"npi": "1", "languages": ["en"], "listings": [{"city": "A"}, {"city": "B"}], "groups": []}
    assert [(path, value) for path, value, _ in values(content)] == [
        ("npi", "1"),
        ("languages", ["en"]),
        ("listings[0].city", "A"),
        ("listings[1].city", "B"),
        ("groups", []),
    ]
