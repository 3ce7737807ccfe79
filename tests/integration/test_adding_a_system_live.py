"""The fifth system on real services: the copy's own tests make its database, capture it and apply its views."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from stack.environment import Environment
from tests.fixtures import fifth
from tests.fixtures.fifth import Copy

ROLE = "concord_adapter_ehr"
WALKERS = (
    "tests/integration/test_live_ehr.py",
    "tests/integration/test_live_mapping_check.py::test_every_reference_system_is_ready_for_capture[ehr]",
    "tests/integration/test_live_sources.py::test_every_system_passes_debeziums_own_validation",
)


@pytest.fixture
def copy(stack: Environment, tmp_path: Path) -> Iterator[Copy]:
    """The copy, told of the running stack and of a role as the next `up` would make it."""
    password = secrets.token_urlsafe(24)
    with psycopg.connect(stack.postgres, autocommit=True) as connection:
        role = sql.SQL("create role {} with login password {}")
        connection.execute(role.format(sql.Identifier(ROLE), sql.Literal(password)))
        address = stack.postgres.rpartition("@")[2].partition("/")[0]
        own = {
            "CONCORD_DATABASE_EHR": stack.postgres.rpartition("/")[0] + "/ehr",
            "CONCORD_CAPTURE_EHR": next(iter(stack.capture.values())).rpartition("/")[0] + "/ehr",
            "CONCORD_CANARY_EHR": next(iter(stack.canaries.values())).rpartition("/")[0] + "/ehr",
            "CONCORD_ADAPTER_EHR": f"postgresql://{ROLE}:{password}@{address}/ehr",
            "CONCORD_TEST_STACK": "external",
        }
        yield fifth.assemble(tmp_path / "project", {**stack.variables(), **own})
        connection.execute(sql.SQL("drop role {}").format(sql.Identifier(ROLE)))


def test_its_database_is_made_and_captured_and_its_adapter_applies_views(copy: Copy) -> None:
    walked = copy.run("pytest", "-q", "-p", "no:cacheprovider", *WALKERS)
    assert walked.returncode == 0, walked.stdout[-6000:]
    assert "skipped" not in walked.stdout
