"""One fixture file a concern (tests/fixtures); a test's marker is the folder it stands in."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = [
    "tests.fixtures.stack",
    "tests.fixtures.databases",
    "tests.fixtures.kafka",
    "tests.fixtures.faust_apps",
    "tests.fixtures.platform",
    "tests.fixtures.guarantees",
]

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(item.path.relative_to(HERE).parts[0])
