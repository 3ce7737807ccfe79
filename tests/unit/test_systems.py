"""The systems stand in one list; whatever else names them all agrees with it."""

from __future__ import annotations

import re

from connectors import systems as registry
from connectors.sink import KINDS, WORK
from schemas.catalog import load_mappings
from stack.layout import PROJECT
from stack.settings import ADAPTER_ROLES
from streams.systems import ADAPTED, ASKED, REKEYED, SYSTEMS


def test_registry_mappings_roles_and_sinks_know_the_same_systems() -> None:
    assert set(registry.SYSTEMS) == set(load_mappings()) == set(ADAPTER_ROLES) == set(SYSTEMS)
    assert {name for name, mapping in load_mappings().items() if mapping.rekeyed} == set(REKEYED)
    assert set(KINDS) == set(ADAPTED)
    assert set(WORK) == set(ASKED)


def test_no_module_lists_them_a_second_time() -> None:
    listed = re.compile(r'"credentialing", "enrollment", "directory", "billing"')
    files = [
        path
        for folder in ("streams", "stack", "schemas", "connectors")
        for path in (PROJECT / folder).rglob("*.py")
    ]
    found = {str(path.relative_to(PROJECT)) for path in files if listed.search(path.read_text("utf-8"))}
    assert found == {"streams/systems.py", "schemas/authority_file.py"}, "Editor is another vocabulary"
