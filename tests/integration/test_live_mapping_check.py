"""`concord mapping check` against real databases: sound as shipped, and each fix cures what it was given for."""

from __future__ import annotations

from collections.abc import Iterable

import psycopg
import pytest

from connectors.mapping_check import Problem, check
from schemas.catalog import load_catalog, load_mapping
from streams.errors import Unavailable
from streams.systems import SYSTEMS
from tests.fixtures.databases import Database, NewDatabase

BREAKS = (
    ("alter publication concord drop table license", "mapping.unpublished"),
    ("alter table license replica identity default", "mapping.replica_identity"),
    ("alter table license replica identity full", "mapping.replica_identity"),
    ("revoke select (number) on license from concord_capture", "mapping.grant"),
    ("revoke insert on concord_signal from concord_capture", "mapping.grant"),
    ("alter publication concord set (publish = 'insert, update, delete')", "mapping.publication"),
    ("alter publication concord drop table provider", "mapping.unpublished"),
)


def problems(database: Database) -> list[Problem]:
    return check(load_mapping(database.system), load_catalog(), database.dsn)


def run(database: Database, statements: Iterable[str]) -> None:
    with database.connect() as connection:
        for statement in statements:
            connection.execute(statement)


def pasted(fix: str) -> list[str]:
    """The statements of a fix, one by one, as a person's client would send them."""
    code = "\n".join(line.partition("--")[0] for line in fix.splitlines())
    return [statement for statement in code.split(";") if statement.strip()]


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_reference_system_is_ready_for_capture(database: NewDatabase, system: str) -> None:
    assert problems(database(system)) == []


def test_the_capture_role_sees_what_a_superuser_sees(database: NewDatabase) -> None:
    found = database("credentialing")
    run(found, ["alter publication concord drop table license"])
    seen = check(load_mapping("credentialing"), load_catalog(), found.capture)
    assert seen == problems(found) != []


@pytest.mark.parametrize(("breaking", "code"), BREAKS)
def test_a_fix_cures_its_problem(database: NewDatabase, breaking: str, code: str) -> None:
    found = database("credentialing")
    run(found, [breaking])
    [problem] = problems(found)
    assert problem.code == code
    run(found, pasted(problem.fix))
    assert problems(found) == []


def test_a_column_that_went_away_is_found(database: NewDatabase) -> None:
    found = database("credentialing")
    run(found, ["alter table license drop column disciplinary_flag"])
    [problem] = problems(found)
    assert (problem.code, problem.where) == (
        "mapping.missing_column",
        "credentialing.public.license.disciplinary_flag",
    )


def test_not_being_able_to_look_is_an_error_and_no_finding(database: NewDatabase) -> None:
    found = database("credentialing")
    nowhere = psycopg.conninfo.make_conninfo(found.dsn, port=1)
    with pytest.raises(Unavailable):
        check(load_mapping("credentialing"), load_catalog(), nowhere)
