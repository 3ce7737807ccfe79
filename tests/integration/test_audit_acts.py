"""The audit on a real PostgreSQL: acts stand there before they are done, the chain holds under many writers, and
whoever can't write it does nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from stack.environment import Environment
from streams.errors import EnvironmentFault, InvalidInput
from streams.operate.audit import export, ledger
from streams.operate.audit.act import act
from streams.operate.audit.ledger import Asked
from streams.settings import Settings
from tests.fixtures.databases import Database, NewDatabase, with_database

REFUSED = (
    "update audit set actor = 'x'",
    "delete from audit",
    "truncate audit",
    "insert into audit (actor, action, hash) values ('x', 'x', 'x')",
    "alter table audit disable trigger all",
    "select * from proposal",
    "insert into ruling (kind, entity_id, decision, ruled_by) values ('provider', 'p', 'lock', 'x')",
)


@pytest.fixture
def desk(database: NewDatabase) -> Database:
    return database("stewardship")


@pytest.fixture
def settings(stack: Environment, desk: Database) -> Settings:
    return Settings(audit=with_database(stack.audit, desk.name))


@pytest.mark.parametrize("statement", REFUSED)
def test_the_role_adds_by_its_function_and_can_do_nothing_else(settings: Settings, statement: str) -> None:
    with psycopg.connect(settings.audit) as writer, pytest.raises(psycopg.errors.InsufficientPrivilege):
        writer.execute(statement)


def test_an_act_is_committed_before_it_is_done_and_ends_in_a_second_row(settings: Settings) -> None:
    with act(
        settings, "pat", "pause", why="upgrade", subject="directory", entity=("provider", "p-1")
    ) as found:
        [begun] = ledger.listed(settings, Asked(unfinished=True))
        assert (begun["actor"], begun["action"], begun["detail"]["phase"]) == ("pat", "pause", "intended")
        assert begun["detail"]["account"] == "concord_audit"
        found.after = {"tin": "123456789", "changed": True}
    assert ledger.listed(settings, Asked(unfinished=True)) == []
    shown = ledger.show(settings, found.id)
    assert [row["detail"]["phase"] for row in shown] == ["intended", "done"]
    assert shown == ledger.show(settings, str(shown[0]["audit_id"]))
    assert shown[1]["detail"]["after"] == {"tin": "•••6789", "changed": True}
    assert {row["action"] for row in ledger.listed(settings, Asked(entity="provider/p-1"))} == {"pause"}


def test_without_the_right_to_be_written_down_nothing_is_done(settings: Settings, desk: Database) -> None:
    with desk.connect() as owner:
        owner.execute(
            "revoke execute on function audit_append(text, text, text, text, jsonb) from concord_audit"
        )
    with pytest.raises(EnvironmentFault) as refused, act(settings, "pat", "pause"):
        raise AssertionError("it was done")
    assert refused.value.code == "audit.unwritten"
    assert ledger.verify(settings).entries == 0


def test_with_its_database_gone_nothing_is_done_and_what_was_done_says_that_its_end_is_unwritten(
    settings: Settings, desk: Database
) -> None:
    with psycopg.connect(with_database(desk.dsn, "postgres"), autocommit=True) as server:
        with pytest.raises(EnvironmentFault) as refused, act(settings, "pat", "pause"):
            server.execute(f"alter database {desk.name} allow_connections false")
        assert refused.value.code == "audit.outcome_unwritten"
        with pytest.raises(EnvironmentFault) as refused, act(settings, "pat", "resume"):
            raise AssertionError("it was done")
        assert refused.value.code == "audit.unwritten"
        server.execute(f"alter database {desk.name} allow_connections true")
    [left] = ledger.listed(settings, Asked(unfinished=True))
    assert left["action"] == "pause"


def test_many_at_once_write_one_chain(settings: Settings) -> None:
    def acting(number: int) -> None:
        with act(settings, f"person {number}", "pause"):
            pass

    with ThreadPoolExecutor(8) as people:
        list(people.map(acting, range(40)))
    found = ledger.verify(settings)
    assert (found.broken, found.entries) == (None, 80)


def test_a_writer_that_sees_an_older_chain_is_refused_and_never_forks_it(
    settings: Settings, desk: Database
) -> None:
    say = "select audit_append('ann', 'x', null, null, '{}')"
    with psycopg.connect(desk.dsn) as late:
        late.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        late.execute("select 1 from audit")
        with act(settings, "pat", "pause"):
            pass
        with pytest.raises(psycopg.errors.UniqueViolation):
            late.execute(say)
    assert ledger.verify(settings).broken is None


TAMPERED = (
    ("update audit set actor = 'somebody else' where audit_id = 3", 3),
    ("delete from audit where audit_id = 3", 4),
    ("update audit set audit_id = case audit_id when 2 then 3 else 2 end + 100 where audit_id in (2, 3)", 4),
    ("update audit set detail = '{}' where audit_id = 4", 4),
)


@pytest.mark.parametrize(("statement", "first"), TAMPERED, ids=["changed", "deleted", "moved", "emptied"])
def test_whoever_owns_the_table_and_changes_it_is_found_at_the_first_row(
    settings: Settings, desk: Database, statement: str, first: int
) -> None:
    for number in range(3):
        with act(settings, "pat", f"act {number}"):
            pass
    with desk.connect() as owner:
        owner.execute("alter table audit disable trigger all")
        owner.execute("alter table audit alter audit_id drop identity")
        owner.execute(statement)
    found = ledger.verify(settings).broken
    assert found is not None
    assert found.audit_id == first


def test_an_export_is_checked_without_the_database_and_its_head_proves_the_end(
    settings: Settings, desk: Database, tmp_path: Path
) -> None:
    with act(settings, "pat", "pause", why="für 'heute' \" \\ \u2028"):
        pass
    made = export.take(settings, tmp_path / "audit.jsonl")
    assert made.entries == 2
    assert export.check(tmp_path / "audit.jsonl").broken is None
    with act(settings, "pat", "resume"):
        pass
    assert ledger.verify(settings, made.head or "").entries == 4
    with desk.connect() as owner:
        owner.execute("alter table audit disable trigger all")
        owner.execute("delete from audit where audit_id > 1")
    assert ledger.verify(settings).broken is None, "a chain alone doesn't know where it ended"
    with pytest.raises(InvalidInput) as refused:
        ledger.verify(settings, made.head or "")
    assert refused.value.code == "audit.head"
    with pytest.raises(EnvironmentFault):
        export.take(settings, tmp_path / "nowhere" / "audit.jsonl")


def test_what_cannot_be_asked_is_refused(settings: Settings) -> None:
    with pytest.raises(InvalidInput):
        ledger.listed(settings, Asked(since="soon"))
    with pytest.raises(InvalidInput) as refused:
        ledger.show(settings, "9")
    assert refused.value.code == "audit.unknown"
