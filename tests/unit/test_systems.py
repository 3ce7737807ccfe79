"""The systems stand in one list; whatever else names them all agrees with it."""

from __future__ import annotations

import re

from connectors import systems as registry
from connectors.sink import KINDS
from schemas.catalog import load_mappings
from stack.layout import PROJECT
from stack.settings import ADAPTER_ROLES
from streams.core.view import NAMED
from streams.systems import ADAPTED, REGISTRY, REKEYED, SYSTEMS, WORK


def test_registry_mappings_roles_and_sinks_know_the_same_systems() -> None:
    assert set(registry.SYSTEMS) == set(load_mappings()) == set(ADAPTER_ROLES) == set(SYSTEMS)
    assert {name for name, mapping in load_mappings().items() if mapping.rekeyed} == set(REKEYED)
    assert set(KINDS) == set(ADAPTED)


def test_no_module_lists_them_a_second_time() -> None:
    listed = re.compile(r'"credentialing", "enrollment", "directory", "billing"')
    files = [
        path
        for folder in ("streams", "stack", "schemas", "connectors")
        for path in (PROJECT / folder).rglob("*.py")
    ]
    assert {
        str(path.relative_to(PROJECT)) for path in files if listed.search(path.read_text("utf-8"))
    } == set()


def test_a_system_is_sent_views_that_are_built() -> None:
    for system in REGISTRY:
        for kind, view in system.views.items():
            assert view in NAMED[kind], f"{system.name}: no view of a {kind} is called {view}"


def test_a_view_that_is_built_has_a_schema_and_somebody_it_is_sent_to() -> None:
    built = {f"{view}.{kind}" for kind, views in NAMED.items() for view in views}
    files = (PROJECT / "schemas" / "view").glob("*.avsc")
    work = {f"{system}.{kind}" for system, kinds in WORK.items() for kind in kinds}
    assert {file.name.partition(".v")[0] for file in files} == built | work
    assert {f"{view}.{kind}" for system in REGISTRY for kind, view in system.views.items()} == built
