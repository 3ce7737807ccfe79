"""Connections that the console keeps between questions (streams/operate/databases.py), on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from streams.operate import databases
from tests.fixtures.databases import NewDatabase


@pytest.fixture
def kept() -> Iterator[None]:
    databases.keep()
    yield
    databases.let_go()


def asked(dsn: str, question: str) -> int:
    """The server's process that answered."""
    with databases.connected(dsn, 3, autocommit=True) as connection:
        connection.execute(question)
        return connection.info.backend_pid


def test_who_asks_once_connects_each_time(database: NewDatabase) -> None:
    dsn = database("stewardship").dsn
    assert asked(dsn, "select 1") != asked(dsn, "select 1")


def test_who_keeps_connections_asks_with_the_same_one(database: NewDatabase, kept: None) -> None:
    dsn = database("stewardship").dsn
    assert asked(dsn, "select 1") == asked(dsn, "select 1")


def test_a_question_that_fails_leaves_nothing_behind(database: NewDatabase, kept: None) -> None:
    dsn = database("stewardship").dsn
    with pytest.raises(psycopg.errors.UndefinedTable):
        asked(dsn, "select * from nowhere")
    asked(dsn, "select 1")


def test_a_connection_that_the_server_ended_is_not_asked_again(database: NewDatabase, kept: None) -> None:
    dsn = database("stewardship").dsn
    first = asked(dsn, "select 1")
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 5000)", [first])
    assert asked(dsn, "select 1") != first


def test_more_questions_than_are_kept_are_answered_at_once(database: NewDatabase, kept: None) -> None:
    dsn = database("stewardship").dsn
    with ExitStack() as all_of_them:
        asking = [all_of_them.enter_context(databases.connected(dsn, 3)) for _ in range(databases.MOST + 1)]
        assert len({connection.info.backend_pid for connection in asking}) == databases.MOST + 1


def test_a_server_that_is_away_says_so_with_the_cause(database: NewDatabase, kept: None) -> None:
    away = make_conninfo(database("stewardship").dsn, host="127.0.0.1", port=1)
    with pytest.raises(psycopg.OperationalError, match="refused"):
        asked(away, "select 1")
