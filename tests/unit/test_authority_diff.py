"""`concord authority diff`: which golden values another file would change, and nothing else."""

from __future__ import annotations

from pathlib import Path

import msgspec
from hypothesis import given

from connectors.envelope import Change as Row
from schemas.authority import load_authority
from streams.core.authority import Authority, compile_owners
from streams.core.canonical import Organization
from streams.core.change import Change
from streams.core.entity import Entity
from streams.operate.authority_diff import FieldChange, compare
from tests.strategies import any_entity, decoded
from tests.world import entity_of, row

NOW = load_authority()


def owned(record: str, field: str, system: str) -> Authority:
    """The shipped authority with another owner of one field."""
    owners = {name: dict(fields) for name, fields in NOW.owners.items()}
    owners[record][field] = system
    return compile_owners(NOW.version + 1, owners, NOW.keepers)


def group(**columns: object) -> Row:
    return row("organization", org_id="organization-0", **columns)


def disputed() -> Entity:
    [ours] = decoded([[group(tin="000000001")]])
    other = Organization(legal_name="Other Group", tin="000000002")
    theirs = msgspec.structs.replace(ours, system="billing", values=other)
    return entity_of([ours, theirs], "organization", "organization-0")


@given(any_entity)
def test_the_same_file_changes_nothing(history: list[Change]) -> None:
    found = compare([entity_of(history, history[0].kind, history[0].entity_id)], NOW, NOW)
    assert (found.entities, found.changed, found.changes) == (1, 0, [])


def test_another_owner_shows_the_values_that_would_change() -> None:
    found = compare([disputed()], NOW, owned("organization", "legal_name", "billing"))
    assert found.changes == [
        FieldChange(
            "organization/organization-0",
            "organization",
            "organization-0",
            "legal_name",
            "Example Group",
            "Other Group",
        )
    ]
    assert (found.changed, dict(found.fields)) == (1, {"organization.legal_name": 1})


def test_restricted_values_stay_masked() -> None:
    [change] = compare([disputed()], NOW, owned("organization", "tin", "billing")).changes
    assert (change.before, change.after) == ("•••0001", "•••0002")


def test_only_the_first_changes_are_listed_and_all_are_counted() -> None:
    found = compare([disputed()] * 300, NOW, owned("organization", "legal_name", "billing"))
    assert (len(found.changes), found.fields["organization.legal_name"], found.changed) == (200, 300, 300)


def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from streams.cli.main import app

    (tmp_path / "a.toml").write_text("version = 2")
    result = CliRunner().invoke(
        app, ["authority", "diff", str(tmp_path / "a.toml"), str(tmp_path / "a.toml")]
    )
    assert result.exit_code == 2
    assert "a.toml" in result.output
